use std::sync::{Mutex, MutexGuard, PoisonError};

use agentkeys_api::{ErrorCode, WalletChallenge, WalletStart, attestation::SigningPurpose, paths};
use agentkeys_types::{EvmAddress, TokenDigest};
use hyper::header::{AUTHORIZATION, HeaderName};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Fault, RawAnswer, SpareSessions, Verdict, Wire, call::Call};
use crate::{ClientError, Flow, Session};

pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What checks are made with.
pub(super) struct Bench {
    pub(super) flow: Flow,
    pub(super) session: Session,
    pub(super) spare: SpareSessions,
    /// The account's wallet, as the signer derives it.
    pub(super) wallet: EvmAddress,
    /// A genuine challenge of the broker, which every signer signs.
    pub(super) challenge: WalletChallenge,
    /// What the signer says that it signs; nothing where it is not attested.
    pub(super) purpose: Option<SigningPurpose>,
    wire: Wire,
    nonce: Mutex<Option<String>>,
    replies: Mutex<Vec<RawAnswer>>,
}

impl Bench {
    pub(super) async fn set_up(flow: &Flow, session: &Session, spare: SpareSessions) -> Result<Self, ClientError> {
        let wallet = flow.connect_wallet(session, &mut ()).await?;
        let request = WalletStart { address: wallet, chain_id: None };
        let challenge = flow.broker.start_wallet(session, &request).await?;
        let wire = flow.signer.wire();
        let mut bench = Self {
            flow: flow.clone(),
            session: session.clone(),
            spare,
            wallet,
            challenge,
            purpose: None,
            wire,
            nonce: Mutex::default(),
            replies: Mutex::default(),
        };
        let shown = bench.send(Call::get(&format!("{}?nonce={}", paths::ATTESTATION, "5a".repeat(32)))).await;
        if let Ok(shown) = shown.map_err(|_| ())
            && let Ok(evidence) = serde_json::from_slice::<Value>(&shown.body)
        {
            bench.purpose = serde_json::from_value(evidence["bound"]["purpose"].clone()).ok();
        }
        Ok(bench)
    }

    /// Whether the signer signs whatever it is asked to.
    pub(super) fn signs_anything(&self) -> bool {
        self.purpose != Some(SigningPurpose::WalletProof)
    }

    /// The caller's own account.
    pub(super) fn account(&self) -> String {
        self.session.omni_account.to_string()
    }

    /// The right body to ask for the own address.
    pub(super) fn derive_body(&self) -> Value {
        json!({"omni_account": self.account()})
    }

    /// The right body to have the challenge signed.
    pub(super) fn sign_body(&self) -> Value {
        json!({"omni_account": self.account(), "message_hex": hex::encode(&self.challenge.siwe_message)})
    }

    /// Sends `call` as it is.
    pub(super) async fn send(&self, call: Call) -> Result<RawAnswer, Fault> {
        let request = call.request(self.flow.signer.url().authority());
        let request = request.map_err(|error| Fault::Wrong(format!("it could not be asked: {error}")))?;
        let answer = self.wire.exchange(request).await?;
        if let Some(nonce) = answer.header("dpop-nonce") {
            *self.nonce() = Some(nonce.to_owned());
        }
        self.replies().push(answer.clone());
        Ok(answer)
    }

    /// Sends `call` with the own session, as it should be presented.
    pub(super) async fn send_as_caller(&self, call: Call) -> Result<RawAnswer, Fault> {
        self.send_as(&self.session, call).await
    }

    /// Sends `call` with `session`, as it should be presented.
    pub(super) async fn send_as(&self, session: &Session, call: Call) -> Result<RawAnswer, Fault> {
        let answer = self.send(self.presented(session, call.clone())?).await?;
        if answer.problem().is_some_and(|problem| problem.error == ErrorCode::UseDpopNonce) {
            return self.send(self.presented(session, call)?).await;
        }
        Ok(answer)
    }

    /// The text of a successful answer's field.
    pub(super) async fn ask(&self, call: Call, field: &str) -> Result<String, Fault> {
        let answer = self.send_as_caller(call).await?;
        if answer.status != 200 {
            return Err(Fault::Wrong(format!("it answered {}", answer.summary())));
        }
        answer.text(field).ok_or_else(|| Fault::Wrong(format!("its answer has no `{field}`")))
    }

    /// Finds a fault unless `call`, with the own session, is refused with `code`.
    pub(super) async fn refuses(&self, what: &str, call: Call, code: ErrorCode) -> Verdict {
        expect(what, &self.send_as_caller(call).await?, code)
    }

    /// Finds a fault unless `call`, as it is, is refused with `code`.
    pub(super) async fn refuses_as_it_is(&self, what: &str, call: Call, code: ErrorCode) -> Verdict {
        expect(what, &self.send(call).await?, code)
    }

    /// `call` with the token of `session`, and a proof by its device key where it has one.
    pub(super) fn presented(&self, session: &Session, call: Call) -> Result<Call, Fault> {
        if session.device_key.is_none() {
            return Ok(as_bearer(session, call));
        }
        let proof = self.proof(session, call.method.as_str(), call.plain_path(), self.nonce().as_deref())?;
        Ok(bound(session, call).with(DPOP, &proof))
    }

    /// A proof for the signer by the device key of `session`.
    pub(super) fn proof(
        &self,
        session: &Session,
        method: &str,
        path: &str,
        nonce: Option<&str>,
    ) -> Result<String, Fault> {
        self.proof_for(session, method, self.flow.signer.url().join(path).as_str(), nonce)
    }

    /// A proof for any server.
    pub(super) fn proof_for(
        &self,
        session: &Session,
        method: &str,
        url: &str,
        nonce: Option<&str>,
    ) -> Result<String, Fault> {
        let key = session.device_key.as_ref().ok_or(Fault::LeftOut("the session is bound to no device key"))?;
        let digest = Some(TokenDigest::of(session.token.expose()));
        let proof = key.prove(method, url, digest, nonce, self.flow.broker.now());
        proof.map_err(|_| Fault::Wrong("the device key does not sign".to_owned()))
    }

    /// The nonce that the signer gives for proofs.
    pub(super) async fn fresh_nonce(&self) -> Result<String, Fault> {
        self.send_as_caller(Call::derive(&self.derive_body())).await?;
        self.nonce().clone().ok_or_else(|| Fault::Wrong("it gives no `DPoP-Nonce`".to_owned()))
    }

    /// All that the signer has answered so far.
    pub(super) fn replies(&self) -> MutexGuard<'_, Vec<RawAnswer>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nonce(&self) -> MutexGuard<'_, Option<String>> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `call` with the token of `session` as a bound one, still without a proof.
pub(super) fn bound(session: &Session, call: Call) -> Call {
    call.with(AUTHORIZATION, &Zeroizing::new(format!("DPoP {}", session.token.expose())))
}

/// `call` with the token of `session` as a plain bearer.
pub(super) fn as_bearer(session: &Session, call: Call) -> Call {
    call.with(AUTHORIZATION, &Zeroizing::new(format!("Bearer {}", session.token.expose())))
}

/// Finds a fault unless `answer` refuses with `code`.
pub(super) fn expect(what: &str, answer: &RawAnswer, code: ErrorCode) -> Verdict {
    let is_so = answer.problem().is_some_and(|problem| problem.error == code);
    Fault::unless(is_so, || {
        let (status, found) = (code.status(), answer.summary());
        format!("{what}: it answered {found} instead of {status} `{code}`")
    })
}
