//! A signer whose evidence is a hash, and everything that it was asked.

use std::sync::{Arc, Mutex, MutexGuard};

use agentkeys_api::{
    ErrorCode, LogEntry, Problem, SigningEntry, SigningOutcome,
    attestation::{
        ActivateCredential, AttestationEvidence, Backend, Bound, EXPORTER_LABEL, Encoded, Endorsements, RawEvidence,
        SigningPurpose,
    },
    headers,
};
use agentkeys_attestation::{Check, CheckName, Outcome, Stage};
use agentkeys_crypto::{MasterSecret, ReportData, keccak256};
use agentkeys_http::{Running, Server, TlsChannel, TlsIdentity};
use agentkeys_tlog::{Checkpoint, Hash, SignerKey, Tree};
use agentkeys_types::{Clock, OmniAccount, SessionId, Timestamp};
use axum::{
    Extension, Router,
    body::{Bytes, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::attested::judge::{Activation, Judge, Judgement, Question};

pub(super) const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
pub(super) const SESSION: [u8; 16] = [1; 16];

/// What a signer does that a genuine one does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trick {
    /// Nothing.
    #[default]
    None,
    /// It shows evidence that is bound to something else.
    OtherEvidence,
    /// It has no evidence.
    NoEvidence,
    /// It ends the connection with each answer.
    Closes,
    /// It sends people elsewhere.
    Redirects,
    /// Its answer has no end.
    TooLarge,
    /// It waits for the shares of a backup.
    Restores,
    /// The same, behind a proxy that takes it for away once it was accepted.
    RestoresBehindAProxy,
    /// It says nothing of its log.
    NoReceipt,
    /// It shows the entry of an earlier signature of the same message, in a log that goes on.
    OldEntry,
    /// It shows the entry of another message.
    OtherLeaf,
    /// It shows an entry that the log does not have.
    UnloggedLeaf,
    /// It shows a log in which the past is another.
    ForkedLog,
    /// It shows the checkpoint of another key.
    OtherKey,
}

/// What one request was: its line, its token, its proof and its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) proof: Option<String>,
    pub(super) connection: [u8; 32],
}

pub(super) struct State {
    pub(super) trick: Trick,
    pub(super) asked: Vec<Asked>,
    pub(super) master: [u8; 32],
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) devices: Option<Value>,
    pub(super) boot_counter: u64,
    /// What happens elsewhere once evidence was asked for, and is not there yet.
    pub(super) meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

/// A signer with TLS, on loopback.
pub(super) struct FakeSigner {
    pub(super) running: Running,
    pub(super) identity: TlsIdentity,
    pub(super) state: Arc<Mutex<State>>,
}

impl FakeSigner {
    pub(super) async fn start() -> Self {
        let master = [7; 32];
        let leaves = vec![b"{\"counter\":1}".to_vec()];
        let (asked, devices, meanwhile) = (Vec::new(), None, None);
        let state = State { trick: Trick::None, asked, master, leaves, devices, boot_counter: 1, meanwhile };
        let (state, identity) = (Arc::new(Mutex::new(state)), TlsIdentity::generate(["signer.example.com"]).unwrap());
        let shared = Arc::clone(&state);
        let handler = move |Extension(channel): Extension<TlsChannel>, request: Request| async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let header = |name: &str| Some(parts.headers.get(name)?.to_str().unwrap().to_owned());
            let asked = Asked {
                line: format!("{} {}", parts.method, parts.uri),
                authorization: header("authorization"),
                proof: header("dpop"),
                connection: channel.exporter,
            };
            let mut state = shared.lock().unwrap();
            state.asked.push(asked);
            state.answer(parts.uri.path(), parts.uri.query().unwrap_or_default(), &body, &channel)
        };
        let server = Server::bind("signer", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let running = server.with_tls(identity.clone()).serve(Router::new().route("/{*path}", any(handler)));
        Self { running, identity, state }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.running.address())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn plays(&self, trick: Trick) {
        self.state().trick = trick;
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// The paths of the requests so far.
    pub(super) fn paths(&self) -> Vec<String> {
        let path = |asked: Asked| asked.line.split('?').next().unwrap().to_owned();
        self.asked().into_iter().map(path).collect()
    }

    /// How often it was asked for evidence.
    pub(super) fn questions(&self) -> usize {
        self.paths().iter().filter(|path| *path == "GET /attestation").count()
    }

    /// Whether any request had a token.
    pub(super) fn has_heard_a_token(&self) -> bool {
        self.asked().iter().any(|asked| asked.authorization.is_some())
    }
}

impl State {
    fn answer(&mut self, path: &str, query: &str, body: &Bytes, channel: &TlsChannel) -> Response {
        match path {
            "/attestation" if self.trick == Trick::NoEvidence => problem(ErrorCode::NotAttested),
            "/attestation" => {
                let nonce = query.strip_prefix("nonce=").unwrap();
                self.meanwhile.take().into_iter().for_each(|meanwhile| meanwhile());
                axum::Json(self.evidence(nonce, channel)).into_response()
            }
            "/attestation/activate" => axum::Json(json!({"secret": "c2VjcmV0"})).into_response(),
            "/restore" if self.trick == Trick::RestoresBehindAProxy => StatusCode::BAD_GATEWAY.into_response(),
            "/restore" => axum::Json(json!({"restored": false, "shares": 1, "threshold": 2})).into_response(),
            "/dev/derive-address" => self.dressed(self.derived()),
            "/dev/sign-message" => self.sign(body),
            "/v1/devices" => axum::Json(self.devices.clone().unwrap()).into_response(),
            _ => match path.strip_prefix("/log/tile/0/000.p/").and_then(|width| width.parse().ok()) {
                Some(width) => self.tile(width),
                None => problem(ErrorCode::NotFound),
            },
        }
    }

    fn derived(&self) -> Response {
        let address = MasterSecret::new(&self.master).derive_wallet(&ACCOUNT.parse().unwrap()).address();
        axum::Json(json!({"address": address})).into_response()
    }

    fn dressed(&self, mut answer: Response) -> Response {
        match self.trick {
            Trick::Redirects => return (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
            Trick::TooLarge => return vec![b' '; (1 << 20) + 1].into_response(),
            Trick::Closes => drop(answer.headers_mut().insert(header::CONNECTION, "close".parse().unwrap())),
            _ => {}
        }
        if let Some(devices) = &self.devices {
            let revision = devices["revision"].as_u64().unwrap();
            answer.headers_mut().insert(headers::DEVICE_REVISION, revision.into());
        }
        answer
    }

    fn sign(&mut self, body: &Bytes) -> Response {
        let request: Value = serde_json::from_slice(body).unwrap();
        let account: OmniAccount = request["omni_account"].as_str().unwrap().parse().unwrap();
        let message = hex::decode(request["message_hex"].as_str().unwrap()).unwrap();
        let wallet = MasterSecret::new(&self.master).derive_wallet(&account);
        let seq = if self.trick == Trick::OldEntry { 1 } else { self.leaves.len() as u64 };
        let logged = if self.trick == Trick::OtherLeaf { keccak256(b"another") } else { keccak256(&message) };
        let entry = LogEntry::Signing(SigningEntry {
            seq,
            time: Timestamp::from_unix(0),
            account,
            address: wallet.address(),
            message: logged,
            session: SessionId::from_bytes(SESSION),
            outcome: SigningOutcome::Allowed,
        });
        let leaf = entry.to_leaf();
        match self.trick {
            Trick::OldEntry | Trick::UnloggedLeaf => self.leaves.push(b"{\"counter\":2}".to_vec()),
            _ => self.leaves.push(leaf.clone()),
        }
        if self.trick == Trick::ForkedLog {
            self.leaves[0] = b"{\"counter\":9}".to_vec();
        }
        let mut answer = axum::Json(json!({"signature": wallet.sign_eip191(&message).to_string()})).into_response();
        if self.trick != Trick::NoReceipt {
            let entry = format!("{seq} {}", BASE64_STANDARD.encode(leaf));
            answer.headers_mut().insert(headers::LOG_ENTRY, entry.parse().unwrap());
            let checkpoint = BASE64_STANDARD.encode(self.checkpoint());
            answer.headers_mut().insert(headers::LOG_CHECKPOINT, checkpoint.parse().unwrap());
        }
        self.dressed(answer)
    }

    fn log_key(&self) -> SignerKey {
        let seed = if self.trick == Trick::OtherKey { [9; 32] } else { self.master };
        SignerKey::from_seed("log.example", &seed).unwrap()
    }

    fn checkpoint(&self) -> String {
        let mut tree = Tree::default();
        self.leaves.iter().for_each(|leaf| tree.append(Hash::of_leaf(leaf), &mut Vec::new()));
        Checkpoint::new("log.example", tree.size(), tree.root(), None).sign(&self.log_key()).unwrap()
    }

    fn tile(&self, width: usize) -> Response {
        let hashes = self.leaves.iter().take(width).map(|leaf| Hash::of_leaf(leaf));
        hashes.flat_map(|hash| *hash.as_bytes()).collect::<Vec<u8>>().into_response()
    }

    fn evidence(&self, nonce: &str, channel: &TlsChannel) -> AttestationEvidence {
        let mut identity_pub = MasterSecret::new(&self.master).identity_public_key();
        let (mut log_vkey, mut log_checkpoint) = (self.log_key().verifier().to_string(), self.checkpoint());
        if matches!(self.trick, Trick::Restores | Trick::RestoresBehindAProxy) {
            identity_pub = [6; 33];
            identity_pub[0] = 0;
            log_vkey.clear();
            log_checkpoint.clear();
        }
        let bound = Bound {
            tls_spki_sha256: hex::encode(channel.spki_sha256),
            exporter_label: EXPORTER_LABEL.to_owned(),
            identity_pub: hex::encode(identity_pub),
            log_vkey,
            log_checkpoint,
            boot_counter: self.boot_counter,
            purpose: SigningPurpose::WalletProof,
        };
        let mut asked = [0; 32];
        hex::decode_to_slice(nonce, &mut asked).unwrap();
        if self.trick == Trick::OtherEvidence {
            asked[0] ^= 1;
        }
        let report_data = hex::encode(report_data(&asked, &channel.spki_sha256, &channel.exporter, &bound).sha256());
        AttestationEvidence {
            v: 1,
            backend: Backend::Tpm2,
            eat_nonce: nonce.to_owned(),
            swname: "agentkeys-tee-worker".to_owned(),
            swversion: "0.1.0".to_owned(),
            dbgstat: "disabled-since-boot".to_owned(),
            bound,
            report_data,
            evidence: RawEvidence::default(),
            endorsements: Endorsements::default(),
        }
    }
}

fn report_data<'a>(
    nonce: &'a [u8; 32],
    tls_spki_sha256: &'a [u8; 32],
    exporter: &'a [u8; 32],
    bound: &'a Bound,
) -> ReportData<'a> {
    ReportData {
        nonce,
        tls_spki_sha256,
        exporter,
        identity_pub: bound.identity_pub.as_bytes(),
        log_vkey: &bound.log_vkey,
        log_checkpoint: &bound.log_checkpoint,
        boot_counter: bound.boot_counter,
        signs_any_message: bound.purpose == SigningPurpose::AnyMessage,
    }
}

pub(super) fn problem(error: ErrorCode) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap();
    let body = serde_json::to_vec(&Problem::new(error, "no")).unwrap();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

/// The version of the policy that accepts a worker that restores.
const POLICY_VERSION: u64 = 7;

/// Believes whatever is bound to the question and the connection, as if a TPM had signed it.
#[derive(Debug, Default)]
pub(super) struct ByReportData {
    /// Whether it has the attestation key activated first.
    pub(super) activates: bool,
    /// Whether no TPM vouches, so that there is no attestation key.
    pub(super) has_no_ak: bool,
}

impl Judge for ByReportData {
    fn judge(&self, evidence: &AttestationEvidence, question: &Question<'_>) -> (Judgement, Option<Activation>) {
        let channel = question.channel;
        let expected = report_data(question.nonce, &channel.spki_sha256, &channel.exporter, &evidence.bound);
        let is_ours = evidence.report_data == hex::encode(expected.sha256());
        let is_key = evidence.bound.tls_spki_sha256 == hex::encode(channel.spki_sha256);
        let mut checks = vec![check(CheckName::TlsKey, is_key), check(CheckName::Exporter, is_ours)];
        if let Stage::Restoring { .. } = question.stage {
            checks.push(check(CheckName::PolicyVersion, question.kept.policy_version <= POLICY_VERSION));
            checks.push(check(CheckName::AttestationKey, question.kept.ak_name.is_none()));
        }
        let ak_name = Some("000b01".to_owned()).filter(|_| !self.has_no_ak);
        let judgement = |checks| Judgement {
            backend: Backend::Tpm2,
            release: None,
            ak_name: ak_name.clone(),
            ek_sha256: Some("0e".to_owned()),
            checks,
        };
        if !self.activates || !is_ours || question.kept.ek_sha256.as_deref() == Some("0e") {
            return (judgement(checks), None);
        }
        let settled = judgement(vec![check(CheckName::Activation, true)]);
        checks.push(Check { outcome: Outcome::Pending, ..check(CheckName::Activation, true) });
        let encoded = || Encoded("00".to_owned());
        let request =
            ActivateCredential { ak_name: encoded(), credential_blob: encoded(), encrypted_secret: encoded() };
        let settle = Box::new(move |_: &agentkeys_api::attestation::ActivatedCredential| settled);
        (judgement(checks), Some(Activation { request, settle }))
    }
}

fn check(name: CheckName, has_passed: bool) -> Check {
    let outcome = if has_passed { Outcome::Passed } else { Outcome::Failed };
    Check { name, outcome, detail: "it was looked at".to_owned() }
}

/// A clock that a test sets.
#[derive(Debug)]
pub(super) struct SetClock(pub(super) Mutex<Timestamp>);

impl SetClock {
    pub(super) fn set(&self, unix: i64) {
        *self.0.lock().unwrap() = Timestamp::from_unix(unix);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
