use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use agentkeys_api::{ErrorCode, Problem, paths};
use agentkeys_crypto::{
    AUDIENCE, Confirmation, DeviceKey, Es256Key, EvmSignature, JwkSet, MasterSecret, Purpose, SessionIssuer,
    SessionTokenClaims, WalletSessionTokenClaims,
};
use agentkeys_http::{Running, Server};
use agentkeys_signer::{
    Attester, BrokerUnreachable, KeysUnavailable, NotAttested, Signer, SignerConfig, SignerParts, SigningLog,
    SigningRecord, Standing, WalletKeys, router,
};
use agentkeys_types::{Clock, EvmAddress, IdentityType, OmniAccount, SessionId, Timestamp};
use async_trait::async_trait;
use axum::Router;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const ISSUER: &str = "http://127.0.0.1:8470";
pub(crate) const ADA: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
pub(crate) const GRACE: &str = "5006ca8162c0416f35e75fd61c787a379f1235a0c34ca79b213f29a0784b731c";
pub(crate) const START: i64 = 1_800_000_000;

/// A signer on a port of its own, and all that it depends on.
pub(crate) struct Bench {
    pub(crate) broker: Arc<FakeBroker>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) keys: Arc<TestKeys>,
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    running: Running,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// A signer that cannot reach its broker from the start.
    pub(crate) async fn start_alone() -> Self {
        let broker = FakeBroker::default();
        broker.unreachable.store(true, Ordering::SeqCst);
        Self::start_with(broker, tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        Self::start_with(FakeBroker::default(), folder).await
    }

    async fn start_with(broker: FakeBroker, folder: TempDir) -> Self {
        let broker = Arc::new(broker);
        let clock = Arc::new(TestClock::default());
        let keys = Arc::new(TestKeys::default());
        let record = Arc::new(SigningLog::open(&folder.path().join("signing.log")).unwrap());
        let parts = SignerParts {
            keys: keys.clone(),
            record,
            attester: Arc::new(NotAttested),
            standing: broker.clone(),
            clock: clock.clone(),
        };
        let running = serve(SignerConfig::for_development(ISSUER.to_owned()), parts, |routes| routes).await;
        Self { broker, clock, keys, folder, client: client(), running }
    }

    /// A signer that is made of other parts than a development signer.
    pub(crate) async fn start_as(
        config: SignerConfig,
        record: Arc<dyn SigningRecord>,
        attester: Arc<dyn Attester>,
        clock: Arc<TestClock>,
        layer: impl FnOnce(Router) -> Router,
    ) -> Self {
        let (broker, keys) = (Arc::new(FakeBroker::default()), Arc::new(TestKeys::default()));
        let parts =
            SignerParts { keys: keys.clone(), record, attester, standing: broker.clone(), clock: clock.clone() };
        let running = serve(config, parts, layer).await;
        Self { broker, clock, keys, folder: tempfile::tempdir().unwrap(), client: client(), running }
    }

    /// Stops the signer, and starts another on the same folder.
    pub(crate) async fn restart(self) -> Self {
        drop(self.client);
        self.running.stop().await;
        Self::start_in(self.folder).await
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("signing.log")
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth(token).json(body)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address())
    }

    /// The 30-day token of a session of `account` that stands.
    pub(crate) fn session(&self, account: &str) -> String {
        self.broker.issue(&self.claims(account))
    }

    pub(crate) fn claims(&self, account: &str) -> SessionTokenClaims {
        let now = self.clock.now().as_unix();
        SessionTokenClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: account.parse().unwrap(),
            sid: SessionId::from_bytes(agentkeys_crypto::random()),
            iat: now,
            exp: now + 30 * 24 * 3600,
            auth_time: now,
            idt: IdentityType::Email,
            cnf: None,
        }
    }

    pub(crate) fn wallet_session(&self, account: &str) -> String {
        let session = self.claims(account);
        let claims = WalletSessionTokenClaims {
            iss: session.iss,
            aud: session.aud,
            sub: OmniAccount::from_bytes([3; 32]),
            sid: session.sid,
            iat: session.iat,
            exp: session.exp,
            auth_time: session.auth_time,
            idt: IdentityType::Evm,
            acc: session.sub,
            psid: session.sid,
            wal: EvmAddress::from_bytes([4; 20]),
            cnf: None,
        };
        self.broker.issuer.lock().unwrap().issue_wallet(&claims).unwrap().expose().to_owned()
    }

    pub(crate) fn bound_session(&self, account: &str, key: &DeviceKey) -> String {
        let cnf = Some(Confirmation { jkt: key.thumbprint() });
        self.broker.issue(&SessionTokenClaims { cnf, ..self.claims(account) })
    }

    pub(crate) async fn derive(&self, token: &str, account: &str) -> Result<Value, ErrorCode> {
        outcome(self.post(paths::DERIVE_ADDRESS, token, &json!({"omni_account": account}))).await
    }

    /// The nonce that this signer gives to whoever proves without one.
    pub(crate) async fn nonce(&self, token: &str, key: &DeviceKey) -> String {
        let proof = key.prove("POST", &self.url(paths::DERIVE_ADDRESS), None, None, self.clock.now()).unwrap();
        let response = self.proved(token, &proof, ADA).send().await.unwrap();
        response.headers()["dpop-nonce"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn derive_proved(&self, token: &str, proof: &str, account: &str) -> Result<Value, ErrorCode> {
        outcome(self.proved(token, proof, account)).await
    }

    fn proved(&self, token: &str, proof: &str, account: &str) -> RequestBuilder {
        let request = self.client.post(self.url(paths::DERIVE_ADDRESS)).json(&json!({"omni_account": account}));
        request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
    }

    pub(crate) async fn sign(&self, token: &str, account: &str, message: &[u8]) -> Result<Value, ErrorCode> {
        let body = json!({"omni_account": account, "message_hex": hex::encode(message)});
        outcome(self.post(paths::SIGN_MESSAGE, token, &body)).await
    }
}

async fn serve(config: SignerConfig, parts: SignerParts, layer: impl FnOnce(Router) -> Router) -> Running {
    let signer = Signer::open(config, parts);
    let mut server = Server::bind("signer", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let routes = router(signer, &mut server);
    server.serve(layer(routes))
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// The body of a 200, or the code of a refusal in our shape.
pub(crate) async fn outcome(request: RequestBuilder) -> Result<Value, ErrorCode> {
    let response = request.send().await.unwrap();
    if response.status() == 200 {
        return Ok(response.json().await.unwrap());
    }
    Err(problem(response).await.error)
}

pub(crate) async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(header("www-authenticate").is_some(), status == 401);
    let retry_after = header("retry-after").is_some();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(retry_after, matches!(status, 429 | 503) || problem.error == ErrorCode::DeviceWaiting);
    assert_eq!((problem.status, problem.error.status()), (status, status));
    problem
}

/// Issues tokens, and says whether their sessions stand.
#[derive(Debug)]
pub(crate) struct FakeBroker {
    issuer: Mutex<SessionIssuer>,
    revoked: Mutex<HashSet<SessionId>>,
    renewed_at: Mutex<Option<Timestamp>>,
    told: Notify,
    pub(crate) unreachable: AtomicBool,
    pub(crate) valid_for: AtomicUsize,
    pub(crate) asked_for_keys: AtomicUsize,
    pub(crate) asked_for_standing: AtomicUsize,
}

impl Default for FakeBroker {
    fn default() -> Self {
        Self {
            issuer: Mutex::new(new_issuer()),
            revoked: Mutex::default(),
            renewed_at: Mutex::default(),
            told: Notify::new(),
            unreachable: AtomicBool::default(),
            valid_for: AtomicUsize::new(5),
            asked_for_keys: AtomicUsize::default(),
            asked_for_standing: AtomicUsize::default(),
        }
    }
}

pub(crate) fn new_issuer() -> SessionIssuer {
    SessionIssuer::new(Es256Key::generate(Purpose::Session).unwrap()).unwrap()
}

impl FakeBroker {
    pub(crate) fn issue(&self, claims: &SessionTokenClaims) -> String {
        self.issuer.lock().unwrap().issue(claims).unwrap().expose().to_owned()
    }

    pub(crate) fn rotate_keys(&self) {
        *self.issuer.lock().unwrap() = new_issuer();
    }

    /// Revokes a session, and answers the questions that it holds.
    pub(crate) fn revoke_and_tell(&self, session: SessionId) {
        self.revoke(session);
        self.told.notify_waiters();
    }

    /// Says that tokens from before this time do not count.
    pub(crate) fn renew(&self, at: Timestamp) {
        *self.renewed_at.lock().unwrap() = Some(at);
    }

    pub(crate) fn revoke(&self, session: SessionId) {
        self.revoked.lock().unwrap().insert(session);
    }

    async fn answer(&self) -> Result<(), BrokerUnreachable> {
        // Gives those who wait together the chance to.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if self.unreachable.load(Ordering::SeqCst) { Err(BrokerUnreachable) } else { Ok(()) }
    }
}

#[async_trait]
impl Standing for FakeBroker {
    async fn session_keys(&self) -> Result<JwkSet, BrokerUnreachable> {
        self.asked_for_keys.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        Ok(self.issuer.lock().unwrap().keys())
    }

    async fn of(&self, session: SessionId, wait: Duration) -> Result<agentkeys_api::Standing, BrokerUnreachable> {
        if wait.is_zero() {
            self.asked_for_standing.fetch_add(1, Ordering::SeqCst);
        } else {
            // What happens silently, at another broker say, is seen when the time is up.
            let _ = tokio::time::timeout(wait, self.told.notified()).await;
        }
        self.answer().await?;
        let standing = !self.revoked.lock().unwrap().contains(&session);
        Ok(agentkeys_api::Standing {
            standing,
            valid_for: self.valid_for.load(Ordering::SeqCst) as u64,
            renewed_at: *self.renewed_at.lock().unwrap(),
        })
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(START))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// The master secret of the published vectors, which can be taken away.
#[derive(Debug, Default)]
pub(crate) struct TestKeys {
    pub(crate) disabled: AtomicBool,
}

impl TestKeys {
    fn master_secret(&self) -> Result<MasterSecret, KeysUnavailable> {
        self.ready()?;
        Ok(MasterSecret::new(&std::array::from_fn(|index| u8::try_from(index).unwrap())))
    }
}

impl WalletKeys for TestKeys {
    fn ready(&self) -> Result<(), KeysUnavailable> {
        if self.disabled.load(Ordering::SeqCst) { Err(KeysUnavailable) } else { Ok(()) }
    }

    fn address(&self, account: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        Ok(self.master_secret()?.derive_wallet(account).address())
    }

    fn sign_eip191(&self, account: &OmniAccount, message: &[u8]) -> Result<EvmSignature, KeysUnavailable> {
        Ok(self.master_secret()?.derive_wallet(account).sign_eip191(message))
    }
}
