use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use agentkeys_api::{ErrorCode, Problem, paths};
use agentkeys_client::{Http, SignerClient, SignerTrust};
use agentkeys_crypto::MasterSecret;
use agentkeys_http::{Running, Server};
use agentkeys_signer::{BrokerStanding, NotAttested, Signer, SignerConfig, SignerParts, SigningLog};
use agentkeys_testing::System;
use agentkeys_types::SystemClock;
use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use secp256k1::SecretKey;
use serde_json::{Value, json};
use tempfile::TempDir;

const AN_ADDRESS: &str = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE";

/// How a signer departs from the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Its addresses change.
    ChangingAddresses,
    /// Its signatures change.
    ChangingSignatures,
    /// Caches may keep what it answers.
    CachedReplies,
    /// It says of itself that it signs wallet proofs only.
    ClaimsToSignProofsOnly,
    /// Its signatures have the other one of the two possible `s`.
    HighS,
    /// Its addresses have no checksum.
    LowerCaseAddresses,
    /// What is not the caller's it refuses in plain text.
    PlainErrors,
    /// It repeats the token of the request.
    RepeatsTokens,
    /// It signs by another key than the account's.
    SignsByAnotherKey,
    /// A session whose time is over is as good as any.
    TakesExpiredSessions,
    /// Whoever is signed in has any account that the request names.
    TakesOthersSessions,
    /// It takes a bearer token as it is, and none at all.
    TakesPlainBearers,
    /// A revoked session is as good as any.
    TakesRevokedSessions,
    /// Its signatures are written in upper case.
    UpperCaseSignatures,
    /// It says of a bad message only that some field is bad.
    VagueCodes,
}

impl Lie {
    /// The refusal that such a signer does not know.
    fn unknown_refusal(self) -> Option<ErrorCode> {
        match self {
            Self::TakesExpiredSessions => Some(ErrorCode::TokenExpired),
            Self::TakesOthersSessions => Some(ErrorCode::AccountMismatch),
            Self::TakesRevokedSessions => Some(ErrorCode::TokenRevoked),
            _ => None,
        }
    }
}

/// The development signer, whose answers are changed on their way out.
pub(super) struct LyingSigner {
    running: Running,
    _folder: TempDir,
}

impl LyingSigner {
    /// Starts it for the broker of `system`.
    pub(super) async fn start(system: &System, lie: Option<Lie>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = SignerParts {
            keys: Arc::new(MasterSecret::new(system.master_secret())),
            record: Arc::new(SigningLog::open(&folder.path().join("signing.log")).unwrap()),
            attester: Arc::new(NotAttested),
            standing: Arc::new(BrokerStanding::new(&system.broker_url().parse().unwrap()).unwrap()),
            clock: Arc::new(SystemClock),
        };
        let signer = Signer::open(SignerConfig::for_development(system.broker_url()), parts);
        let mut server = Server::bind("signer", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let liar = Arc::new(Liar { lie, has_lied: AtomicBool::default() });
        let routes = agentkeys_signer::router(signer, &mut server)
            .layer(from_fn(move |request, next| answer(Arc::clone(&liar), request, next)));
        Self { running: server.serve(routes), _folder: folder }
    }

    pub(super) fn client(&self, http: &Http) -> SignerClient {
        let url = format!("http://{}", self.running.address()).parse().unwrap();
        SignerClient::new(http, url, SignerTrust::default()).unwrap()
    }
}

struct Liar {
    lie: Option<Lie>,
    /// Every other answer of one that changes is right.
    has_lied: AtomicBool,
}

async fn answer(liar: Arc<Liar>, request: Request, next: Next) -> Response {
    let Some(lie) = liar.lie else { return next.run(request).await };
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    if lie == Lie::TakesPlainBearers && request.method() == Method::POST {
        let is_proved = authorization.as_ref().is_some_and(|value| value.as_bytes().starts_with(b"DPoP"));
        if !is_proved {
            return Json(json!({"address": AN_ADDRESS})).into_response();
        }
    }
    if lie == Lie::ClaimsToSignProofsOnly && path == paths::ATTESTATION && request.method() == Method::GET {
        return Json(json!({"bound": {"purpose": "wallet_proof"}})).into_response();
    }
    let (mut parts, body) = next.run(request).await.into_parts();
    let mut body = to_bytes(body, usize::MAX).await.unwrap();
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    if problem.is_some_and(|problem| lie.unknown_refusal() == Some(problem.error)) {
        parts.status = StatusCode::OK;
        parts.headers.remove(header::WWW_AUTHENTICATE);
        body = Bytes::from(json!({"address": AN_ADDRESS}).to_string());
    }
    let alternates = || liar.has_lied.fetch_xor(true, Ordering::SeqCst);
    match lie {
        Lie::CachedReplies => drop(parts.headers.remove(header::CACHE_CONTROL)),
        Lie::PlainErrors if parts.status == StatusCode::FORBIDDEN => {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        Lie::RepeatsTokens => {
            if let Some(value) = authorization {
                parts.headers.insert("x-caller", value);
            }
        }
        Lie::ChangingAddresses if parts.status == StatusCode::OK && alternates() => {
            body = changed(&body, "address", |_| "0xFDc9718C197650CB9B9df139047A12F57e0FAC59".to_owned());
        }
        Lie::LowerCaseAddresses if parts.status == StatusCode::OK => {
            body = changed(&body, "address", str::to_lowercase);
        }
        Lie::ChangingSignatures if parts.status == StatusCode::OK && alternates() => {
            body = changed(&body, "signature", high_s);
        }
        Lie::HighS if parts.status == StatusCode::OK => body = changed(&body, "signature", high_s),
        Lie::SignsByAnotherKey if parts.status == StatusCode::OK => {
            body = changed(&body, "signature", by_another_key);
        }
        Lie::UpperCaseSignatures if parts.status == StatusCode::OK => {
            body = changed(&body, "signature", |signature| format!("0x{}", signature[2..].to_uppercase()));
        }
        Lie::VagueCodes => {
            let text = String::from_utf8_lossy(&body).replace("invalid_message_hex", "invalid_field");
            body = Bytes::from(text);
        }
        _ => {}
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

/// The body with another text in one of its fields, if it has that.
fn changed(body: &Bytes, field: &str, change: impl Fn(&str) -> String) -> Bytes {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(text) = value[field].as_str().map(change) else { return body.clone() };
    value[field] = json!(text);
    Bytes::from(value.to_string())
}

/// The other signature that is as good: n − s, and the other v.
fn high_s(signature: &str) -> String {
    let mut bytes: [u8; 65] = hex::decode(&signature[2..]).unwrap().try_into().unwrap();
    let s: [u8; 32] = bytes[32..64].try_into().unwrap();
    bytes[32..64].copy_from_slice(&SecretKey::from_byte_array(s).unwrap().negate().secret_bytes());
    bytes[64] = if bytes[64] == 27 { 28 } else { 27 };
    format!("0x{}", hex::encode(bytes))
}

/// A signature of the right form by whoever.
fn by_another_key(signature: &str) -> String {
    let v = if signature.ends_with("1b") { "1c" } else { "1b" };
    format!("{}{v}", &signature[..130])
}
