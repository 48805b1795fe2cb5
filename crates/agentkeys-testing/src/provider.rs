use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agentkeys_types::Clock;
use axum::Router;
use reqwest::{header::LOCATION, redirect::Policy};
use serde_json::Value;
use tokio::{net::TcpListener, task::AbortHandle};

mod endpoints;
mod key;
mod misbehaviour;

pub use key::KeyKind;
pub use misbehaviour::{Canned, Part};

use key::SigningKey;
use misbehaviour::Misbehaviour;

/// An OpenID Provider on a free port of this machine: everybody who comes is signed in at once, as whom the test says.
///
/// It is strict with its clients and says the truth, until it is told to misbehave. Gone when dropped.
pub struct TestProvider {
    shared: Arc<Shared>,
    http: reqwest::Client,
    server: AbortHandle,
}

/// Which of a provider's URLs was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Where browsers are sent.
    Authorization,
    /// Where nobody has reason to go.
    Elsewhere,
    /// The JWK Set.
    Keys,
    /// The metadata of discovery.
    Metadata,
    /// Where codes are exchanged.
    Token,
}

/// What a browser brings back from the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// What is exchanged for an ID token.
    pub code: Option<String>,
    /// The error, when the provider refused.
    pub error: Option<String>,
    /// Whose answer it is (RFC 9207).
    pub iss: Option<String>,
    /// What the client gave.
    pub state: Option<String>,
}

struct Shared {
    issuer: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    subject: String,
    email: Option<(String, bool)>,
    refusal: Option<String>,
    client_secret: Option<String>,
    authentication: Option<&'static str>,
    keys: Vec<SigningKey>,
    grants: HashMap<String, Grant>,
    asked: HashMap<Endpoint, usize>,
    misbehaviour: Misbehaviour,
}

/// What a code stands for.
struct Grant {
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
}

impl TestProvider {
    /// What the provider calls its one client.
    pub const CLIENT_ID: &'static str = "agentkeys";
    /// How its one client proves itself, unless it is public.
    pub const CLIENT_SECRET: &'static str = "secret/of the client+";

    /// Starts a provider that signs `ada` in, with a P-256 key.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = State {
            subject: "ada".to_owned(),
            email: Some(("ada@example.com".to_owned(), true)),
            refusal: None,
            client_secret: Some(Self::CLIENT_SECRET.to_owned()),
            authentication: None,
            keys: vec![SigningKey::generate(KeyKind::Es256)],
            grants: HashMap::new(),
            asked: HashMap::new(),
            misbehaviour: Misbehaviour::default(),
        };
        let shared = Arc::new(Shared { issuer: format!("http://{address}"), clock, state: Mutex::new(state) });
        let router: Router = endpoints::router(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("an HTTP client");
        Self { shared, http, server }
    }

    /// The URL that the provider has for a name.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// From now on, signs this subject in, with what it knows of their e-mail address and whether it is verified.
    pub fn sign_in_as(&self, subject: &str, email: Option<(&str, bool)>) {
        let mut state = self.shared.state();
        subject.clone_into(&mut state.subject);
        state.email = email.map(|(address, verified)| (address.to_owned(), verified));
    }

    /// From now on, refuses everybody with this error.
    pub fn refuse(&self, error: &str) {
        self.shared.state().refusal = Some(error.to_owned());
    }

    /// From now on, the client has no secret.
    pub fn make_client_public(&self) {
        self.shared.state().client_secret = None;
    }

    /// Signs with a new key, and publishes the one before for a while longer.
    pub fn rotate_key(&self, kind: KeyKind) {
        self.shared.state().keys.insert(0, SigningKey::generate(kind));
    }

    /// Signs with a key that is not published, under the name of the one that is.
    pub fn sign_with_stolen_name(&self) {
        let mut state = self.shared.state();
        let name = state.keys[0].kid.clone();
        state.misbehaviour.forger = Some(SigningKey::named(name, KeyKind::Es256));
    }

    /// Changes a part of what the provider says, each time, before it is signed or sent.
    pub fn change(&self, part: Part, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.shared.state().misbehaviour.changes.insert(part, Arc::new(change));
    }

    /// Changes every ID token after it has been signed.
    pub fn change_token(&self, change: impl Fn(&str) -> String + Send + Sync + 'static) {
        self.shared.state().misbehaviour.token = Some(Arc::new(change));
    }

    /// Answers at this endpoint in one way alone, whatever is asked.
    pub fn answer(&self, endpoint: Endpoint, canned: Canned) {
        self.shared.state().misbehaviour.canned.insert(endpoint, canned);
    }

    /// Behaves again.
    pub fn behave(&self) {
        self.shared.state().misbehaviour = Misbehaviour::default();
    }

    /// How often this endpoint was asked.
    pub fn asked(&self, endpoint: Endpoint) -> usize {
        self.shared.state().asked.get(&endpoint).copied().unwrap_or_default()
    }

    /// How the client showed its secret last: one of the names of `token_endpoint_auth_methods_supported`.
    pub fn authentication(&self) -> Option<&'static str> {
        self.shared.state().authentication
    }

    /// Goes where a browser is sent, and comes back without going where the provider sends it.
    pub async fn authorize(&self, url: &str) -> Callback {
        let answer = self.http.get(url).send().await.expect("the provider answers");
        assert!(answer.status().is_redirection(), "the provider did not like the request: {}", answer.status());
        let location = answer.headers()[LOCATION].to_str().expect("a URL is ASCII");
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let mut parameters: HashMap<String, String> = serde_urlencoded::from_str(query).expect("a query");
        let mut take = |name: &str| parameters.remove(name);
        Callback { code: take("code"), error: take("error"), iss: take("iss"), state: take("state") }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for TestProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TestProvider({})", self.issuer())
    }
}
