use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentkeys_api::{ErrorCode, Problem, paths};
use agentkeys_client::{ServerUrl, Session};
use agentkeys_types::{Clock, SessionId, SessionToken, SystemClock, Timestamp};
use axum::{
    Json, Router,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
const WALLET: &str = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE";
/// So short that each fetch needs another proof, and so asks broker and signer.
const PROOF_LIFE: i64 = 30;
const CHALLENGE_LIFE: i64 = 300;

/// A broker or a signer that answers as it is told, and remembers what it was asked.
///
/// Whether a session stands it answers at all times, and that is not counted.
pub(super) struct FakeServer {
    pub(super) url: ServerUrl,
    shared: Arc<Shared>,
}

struct Shared {
    url: ServerUrl,
    manner: Mutex<Manner>,
    gate: Semaphore,
    asked: watch::Sender<Vec<String>>,
    stands: AtomicBool,
}

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// As it should.
    Honest,
    /// With challenges that were issued so many seconds from now, and are good for so many.
    Challenges { issued_in: i64, life: i64 },
    /// With what is none of its answers.
    Garbage,
    /// With JWTs that end so many seconds from now.
    Mints(i64),
    /// With a page and this status.
    Page(u16),
    /// That somebody else is to be asked.
    Redirects,
    /// That it will not.
    Refuses(ErrorCode),
}

impl FakeServer {
    /// Starts it on a free port.
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: ServerUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shared = Arc::new(Shared {
            url: url.clone(),
            manner: Mutex::new(Manner::Honest),
            gate: Semaphore::new(1),
            asked: watch::Sender::default(),
            stands: AtomicBool::new(true),
        });
        let answering = Arc::clone(&shared);
        let router = Router::new().fallback(async move |uri: Uri| answering.answer(uri.path()).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// A session of this broker that is bound to no device.
    pub(super) fn session(&self) -> Session {
        Session {
            token: SessionToken::new("aks_of-a-fake".to_owned()),
            device_key: None,
            unused_key: None,
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: in_seconds(3600),
            renew_at: None,
            omni_account: ACCOUNT.parse().unwrap(),
            identity: serde_json::from_value(identity()).unwrap(),
            broker_url: self.url.clone(),
        }
    }

    pub(super) fn tell(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Says once that no session stands, so that the daemon fetches anew what it has at hand.
    pub(super) fn doubt(&self) {
        self.shared.stands.store(false, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.borrow().len()
    }

    /// How often it was asked for `path`.
    pub(super) fn asked_for(&self, path: &str) -> usize {
        self.shared.asked.borrow().iter().filter(|asked| *asked == path).count()
    }

    /// Holds all answers back until what it gives is dropped.
    pub(super) async fn hold(&self) -> SemaphorePermit<'_> {
        self.shared.gate.acquire().await.unwrap()
    }

    /// Returns when it was asked so often.
    pub(super) async fn is_asked(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        let enough = asked.wait_for(|asked| asked.len() >= times);
        let enough = tokio::time::timeout(Duration::from_secs(20), enough).await.is_ok();
        assert!(enough, "asked {} times, not {times}", self.asked());
    }
}

impl Shared {
    async fn answer(&self, path: &str) -> Response {
        if path == paths::SESSIONS_STANDING {
            let standing = self.stands.swap(true, Ordering::SeqCst);
            return Json(json!({"standing": standing, "valid_for": 1})).into_response();
        }
        self.asked.send_modify(|asked| asked.push(path.to_owned()));
        drop(self.gate.acquire().await);
        let manner = *self.manner.lock().unwrap();
        match manner {
            Manner::Garbage => "<html>Sign in to the network</html>".into_response(),
            Manner::Page(status) => (StatusCode::from_u16(status).unwrap(), "<html>Sorry</html>").into_response(),
            Manner::Redirects => (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response(),
            Manner::Refuses(code) => {
                let body = serde_json::to_vec(&Problem::new(code, "the fake says no")).unwrap();
                let status = StatusCode::from_u16(code.status()).unwrap();
                (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
            }
            Manner::Challenges { issued_in, life } => self.honest(path, [issued_in, life], CHALLENGE_LIFE),
            Manner::Mints(life) => self.honest(path, [0, CHALLENGE_LIFE], life),
            Manner::Honest => self.honest(path, [0, CHALLENGE_LIFE], CHALLENGE_LIFE),
        }
    }

    fn honest(&self, path: &str, challenge: [i64; 2], jwt_life: i64) -> Response {
        let body = match path {
            paths::DERIVE_ADDRESS => json!({"address": WALLET}),
            paths::SIGN_MESSAGE => json!({"signature": format!("0x{}", "11".repeat(65))}),
            paths::WALLET_LINK => json!({"address": WALLET, "status": "proved"}),
            paths::WALLET_START => self.challenge(challenge),
            paths::WALLET_VERIFY => json!({
                "session_token": "akw_of-a-fake", "token_type": "Bearer", "session_id": "02".repeat(16),
                "expires_at": in_seconds(PROOF_LIFE), "omni_account": ACCOUNT, "identity": identity(),
                "account": ACCOUNT, "address": WALLET,
            }),
            paths::MINT_OIDC_JWT => json!({"jwt": "a.b.c", "expires_at": in_seconds(jwt_life), "address": WALLET}),
            _ => return StatusCode::NOT_FOUND.into_response(),
        };
        Json(body).into_response()
    }

    fn challenge(&self, [issued_in, life]: [i64; 2]) -> Value {
        let url = self.url.to_string();
        let domain = url.trim_start_matches("http://");
        let (issued_at, expires_at) = (in_seconds(issued_in), in_seconds(issued_in + life));
        let message = format!(
            "{domain} wants you to sign in with your Ethereum account:\n{WALLET}\n\n\
             Prove this wallet for your AgentKeys account.\n\n\
             URI: {url}\nVersion: 1\nChain ID: 1\nNonce: 9ZxkQ2mT7vB4nR6sW8yA\n\
             Issued At: {issued_at}\nExpiration Time: {expires_at}\n\
             Resources:\n- urn:agentkeys:account:{ACCOUNT}"
        );
        json!({"request_id": "00".repeat(32), "siwe_message": message, "expires_at": expires_at})
    }
}

fn identity() -> Value {
    json!({"type": "email", "value": "ada@example.com"})
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_unix(SystemClock.now().as_unix() + seconds)
}
