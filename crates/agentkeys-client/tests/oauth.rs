//! Sign-in in a browser and linking, against a stand-in that answers as the broker does.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use agentkeys_api::{EmailStarted, ErrorCode, OauthError, Problem};
use agentkeys_client::{
    Binding, BrokerClient, BrowserScreen, ClientError, CodePrompt, DevicePage, DeviceScreen, Http, Linked, OauthSignIn,
    ServerUrl, Session, link_email, link_oauth, sign_in_by_browser, sign_in_by_device,
};
use agentkeys_crypto::{HolderCheck, HolderError};
use agentkeys_types::{Clock, SessionId, SessionToken, SystemClock};
use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, RawForm, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::{Url, form_urlencoded};

const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
const DEVICE_CODE: &str = "0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d";

/// A form and the proof that came with it.
type Submitted = (HashMap<String, String>, Option<String>);

/// A broker as far as a browser and the client see it.
#[derive(Clone)]
struct StandIn(Arc<Inner>);

struct Inner {
    url: ServerUrl,
    issuer: String,
    check: HolderCheck,
    /// What `/oauth/token` and `/v1/identities/oauth/verify` say, one after another.
    answers: Mutex<VecDeque<Response>>,
    /// The forms and proofs that came to `/oauth/token`.
    forms: Mutex<Vec<Submitted>>,
    unlinked: Mutex<Vec<String>>,
    verification_uri: String,
}

impl StandIn {
    async fn start(answers: Vec<Response>) -> Self {
        Self::with(answers, |url| (url.to_owned(), format!("{url}/device"))).await
    }

    /// With the issuer and the verification URI that `said` makes of its URL.
    async fn with(answers: Vec<Response>, said: impl FnOnce(&str) -> (String, String)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (issuer, verification_uri) = said(&url);
        let inner = Inner {
            url: url.parse().unwrap(),
            issuer,
            check: HolderCheck::default(),
            answers: Mutex::new(answers.into()),
            forms: Mutex::default(),
            unlinked: Mutex::default(),
            verification_uri,
        };
        let stand_in = Self(Arc::new(inner));
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/oauth/device_authorization", post(device_authorization))
            .route("/oauth/token", post(token))
            .route("/v1/identities/email/start", post(start_email_link))
            .route("/v1/identities/email/verify", post(verify_link))
            .route("/v1/identities/oauth/start", post(start_link))
            .route("/v1/identities/oauth/verify", post(verify_link))
            .route("/v1/identities/{identity_type}/{identity_value}", delete(unlink))
            .with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in
    }

    fn broker(&self) -> BrokerClient {
        BrokerClient::new(&Http::default(), self.0.url.clone())
    }

    fn url(&self) -> String {
        self.0.url.to_string()
    }

    fn forms(&self) -> Vec<HashMap<String, String>> {
        self.0.forms.lock().unwrap().iter().map(|(form, _)| form.clone()).collect()
    }

    fn session(&self) -> Session {
        Session {
            token: SessionToken::new("aks_very-secret".to_owned()),
            device_key: None,
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            renew_at: None,
            omni_account: ACCOUNT.parse().unwrap(),
            identity: serde_json::from_value(json!({"type": "email", "value": "ada@example.com"})).unwrap(),
            broker_url: self.0.url.clone(),
        }
    }

    fn next(&self) -> Response {
        self.0.answers.lock().unwrap().pop_front().expect("it is not asked again")
    }
}

async fn metadata(State(stand_in): State<StandIn>) -> Response {
    let url = stand_in.url();
    axum::Json(json!({
        "issuer": stand_in.0.issuer,
        "authorization_endpoint": format!("{url}/oauth/authorize"),
        "token_endpoint": format!("{url}/oauth/token"),
        "device_authorization_endpoint": format!("{url}/oauth/device_authorization"),
        "revocation_endpoint": format!("{url}/oauth/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
        "dpop_signing_alg_values_supported": ["ES256"],
        "agentkeys_identity_providers": ["email", "acme", "\u{1b}[2J"],
    }))
    .into_response()
}

async fn device_authorization(State(stand_in): State<StandIn>, RawForm(form): RawForm) -> Response {
    let form = read(&form);
    assert_eq!((form["client_id"].as_str(), form["client_name"].as_str()), ("agentkeys-cli", "ada's laptop"));
    axum::Json(json!({
        "device_code": DEVICE_CODE, "user_code": "K7Q4-MF2X", "verification_uri": stand_in.0.verification_uri,
        "expires_in": 600, "interval": 0,
    }))
    .into_response()
}

async fn token(State(stand_in): State<StandIn>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let proof = headers.get("dpop").map(|proof| proof.to_str().unwrap().to_owned());
    stand_in.0.forms.lock().unwrap().push((read(&form), proof));
    stand_in.next()
}

async fn start_link(State(stand_in): State<StandIn>) -> Response {
    let started = json!({
        "request_id": "0a".repeat(32), "authorize_url": format!("{}/oauth/link?request=1", stand_in.0.issuer),
        "expires_in": 600, "interval": 0,
    });
    (StatusCode::CREATED, axum::Json(started)).into_response()
}

async fn verify_link(State(stand_in): State<StandIn>) -> Response {
    stand_in.next()
}

async fn start_email_link() -> Response {
    let started = json!({"request_id": "0b".repeat(32), "expires_in": 600, "resend_after": 30});
    (StatusCode::ACCEPTED, axum::Json(started)).into_response()
}

async fn unlink(State(stand_in): State<StandIn>, Path((kind, value)): Path<(String, String)>) -> StatusCode {
    stand_in.0.unlinked.lock().unwrap().push(format!("{kind} {value}"));
    StatusCode::NO_CONTENT
}

fn read(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

fn json_answer(status: StatusCode, document: &Value) -> Response {
    (status, axum::Json(document.clone())).into_response()
}

fn refusal(error: &str) -> Response {
    json_answer(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": "No."}))
}

/// What the network leaves of an answer when it fails.
fn cut() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Body::from_stream(broken).into_response()
}

fn problem(error: ErrorCode) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap();
    let body = serde_json::to_vec(&Problem::new(error, "no")).unwrap();
    (status, [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "0")], body).into_response()
}

fn signed_in(token_type: &str) -> Response {
    json_answer(
        StatusCode::OK,
        &json!({
            "access_token": "aks_very-secret", "session_token": "aks_very-secret", "token_type": token_type,
            "expires_in": 2_592_000, "session_id": "0".repeat(32), "expires_at": "2026-12-22T10:00:00Z",
            "omni_account": ACCOUNT, "identity": {"type": "oauth2_acme", "value": "g-1001"},
        }),
    )
}

fn ada(binding: Binding) -> OauthSignIn {
    OauthSignIn { provider: Some("acme".parse().unwrap()), client_name: Some("ada's laptop".to_owned()), binding }
}

/// Remembers what was shown.
#[derive(Default)]
struct Seen(Vec<DevicePage>);

impl DeviceScreen for Seen {
    fn show(&mut self, page: &DevicePage) {
        self.0.push(page.clone());
    }
}

async fn by_device(stand_in: &StandIn, binding: Binding) -> (Result<Session, ClientError>, Vec<DevicePage>) {
    let mut seen = Seen::default();
    let session = sign_in_by_device(&stand_in.broker(), &ada(binding), &mut seen).await;
    (session, seen.0)
}

#[tokio::test]
async fn a_device_waits_through_every_delay_until_a_person_has_approved() {
    let away = (StatusCode::BAD_GATEWAY, "<html>").into_response();
    let answers = vec![
        refusal("authorization_pending"),
        cut(),
        away,
        problem(ErrorCode::RateLimited),
        refusal("authorization_pending"),
        signed_in("DPoP"),
    ];
    let stand_in = StandIn::start(answers).await;

    let (session, seen) = by_device(&stand_in, Binding::DeviceKey).await;

    let session = session.unwrap();
    assert_eq!((session.token.expose(), &*session.identity.value), ("aks_very-secret", "g-1001"));
    let url = format!("{}/device", stand_in.url());
    assert_eq!(seen, [DevicePage { url, user_code: "K7Q4-MF2X".to_owned(), expires_in: 600 }]);
    let forms = stand_in.forms();
    assert_eq!(forms.len(), 6);
    for form in forms {
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
        assert_eq!((form["device_code"].as_str(), form["client_id"].as_str()), (DEVICE_CODE, "agentkeys-cli"));
        assert_eq!(form.len(), 3);
    }
}

#[tokio::test]
async fn every_question_has_a_proof_by_the_key_that_the_session_is_bound_to() {
    let stand_in = StandIn::start(vec![]).await;
    let now = SystemClock.now();
    let nonce = stand_in.0.check.nonce(now);
    let mut use_nonce = refusal("use_dpop_nonce");
    use_nonce.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
    let answers = [use_nonce, refusal("authorization_pending"), signed_in("DPoP")];
    stand_in.0.answers.lock().unwrap().extend(answers);

    let (session, _) = by_device(&stand_in, Binding::DeviceKey).await;

    let jkt = session.unwrap().device_key.unwrap().thumbprint();
    let url = format!("{}/oauth/token", stand_in.url());
    let proofs = stand_in.0.forms.lock().unwrap();
    let holder = |(_, proof): &Submitted| stand_in.0.check.holder(proof.as_deref().unwrap(), "POST", &url, now);
    let holders: Vec<_> = proofs.iter().map(holder).collect();
    assert_eq!(holders, [Err(HolderError::UseNonce), Ok(jkt), Ok(jkt)]);
}

#[tokio::test]
async fn a_session_without_a_key_is_asked_for_without_a_proof() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;

    let (session, _) = by_device(&stand_in, Binding::None).await;

    assert!(session.unwrap().device_key.is_none());
    assert!(stand_in.0.forms.lock().unwrap().iter().all(|(_, proof)| proof.is_none()));
}

#[tokio::test]
async fn a_device_gives_up_when_the_broker_does() {
    for (answer, error) in [
        ("access_denied", OauthError::AccessDenied),
        ("expired_token", OauthError::ExpiredToken),
        ("invalid_grant", OauthError::InvalidGrant),
        ("invalid_dpop_proof", OauthError::InvalidDpopProof),
    ] {
        let stand_in = StandIn::start(vec![refusal("authorization_pending"), refusal(answer), signed_in("DPoP")]).await;

        let (outcome, _) = by_device(&stand_in, Binding::DeviceKey).await;

        assert!(matches!(outcome, Err(ClientError::Oauth { problem, .. }) if problem.error == error), "{answer}");
    }
}

#[tokio::test]
async fn a_session_that_was_not_bound_as_asked_is_refused() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;

    let (outcome, _) = by_device(&stand_in, Binding::DeviceKey).await;

    assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })));
}

#[tokio::test]
async fn a_broker_that_calls_itself_otherwise_signs_nobody_in() {
    let other = |issuer: &'static str| StandIn::with(vec![], move |url| (issuer.to_owned(), format!("{url}/device")));
    let named = other("https://broker.example.com").await;
    let nameless = other("\u{1b}[2J").await;
    let with_a_slash = StandIn::with(vec![], |url| (format!("{url}/"), format!("{url}/device"))).await;

    for stand_in in [named, with_a_slash] {
        let (outcome, seen) = by_device(&stand_in, Binding::DeviceKey).await;
        let by_browser = sign_in_by_browser(&stand_in.broker(), &ada(Binding::DeviceKey), &mut Nobody).await;

        assert!(matches!(outcome, Err(ClientError::OtherIssuer { .. })));
        assert!(matches!(by_browser, Err(ClientError::OtherIssuer { .. })));
        assert!(seen.is_empty());
    }
    let (outcome, _) = by_device(&nameless, Binding::DeviceKey).await;
    assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })));
}

#[tokio::test]
async fn a_person_is_sent_to_no_page_of_somebody_else() {
    for page in ["https://evil.example/device", "javascript:alert(1)", "http://127.0.0.1/device", ""] {
        let stand_in = StandIn::with(vec![], |url| (url.to_owned(), page.to_owned())).await;

        let (outcome, seen) = by_device(&stand_in, Binding::DeviceKey).await;

        assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })), "{page}");
        assert!(seen.is_empty());
    }
}

#[tokio::test]
async fn a_provider_that_the_broker_does_not_have_is_refused_by_name() {
    let stand_in = StandIn::start(vec![]).await;
    let elsewhere = OauthSignIn { provider: Some("google".parse().unwrap()), ..ada(Binding::DeviceKey) };

    let error = sign_in_by_browser(&stand_in.broker(), &elsewhere, &mut Nobody).await.unwrap_err();

    assert_eq!(error.to_string(), "the broker has no identity provider `google`, only: email, acme");
}

/// A browser that is never opened.
struct Nobody;

#[async_trait]
impl BrowserScreen for Nobody {
    async fn show(&mut self, url: &str) {
        panic!("{url} was shown");
    }
}

/// A browser in which a person signs in at once.
#[derive(Default)]
struct Person {
    query: HashMap<String, String>,
    heard: String,
}

#[async_trait]
impl BrowserScreen for Person {
    async fn show(&mut self, url: &str) {
        let url: Url = url.parse().unwrap();
        assert_eq!(url.path(), "/oauth/authorize");
        self.query = url.query_pairs().into_owned().collect();
        let redirect: Url = self.query["redirect_uri"].parse().unwrap();
        let host = format!("127.0.0.1:{}", redirect.port().unwrap());
        let issuer = url.origin().ascii_serialization();
        let parameters = [("code", "the-code"), ("state", &self.query["state"]), ("iss", &issuer)];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();

        let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let request = format!("GET {}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n", redirect.path());
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = stream.read_to_string(&mut self.heard).await;
    }
}

#[tokio::test]
async fn a_browser_on_this_machine_brings_a_code_that_only_this_process_can_use() {
    let stand_in = StandIn::start(vec![signed_in("DPoP")]).await;
    let mut person = Person::default();

    let session = sign_in_by_browser(&stand_in.broker(), &ada(Binding::DeviceKey), &mut person).await.unwrap();

    let query = person.query;
    let of = |name: &str| query.get(name).map(String::as_str);
    assert_eq!((of("response_type"), of("client_id")), (Some("code"), Some("agentkeys-cli")));
    assert_eq!((of("code_challenge_method"), of("provider")), (Some("S256"), Some("acme")));
    assert_eq!((of("client_name"), of("state").unwrap().len()), (Some("ada's laptop"), 64));
    assert_eq!(of("dpop_jkt").unwrap(), session.device_key.unwrap().thumbprint().to_string());
    let form = stand_in.forms().remove(0);
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "the-code"));
    assert_eq!(
        (form["client_id"].as_str(), Some(form["redirect_uri"].as_str())),
        ("agentkeys-cli", of("redirect_uri"))
    );
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(of("code_challenge"), Some(challenge.as_str()));
}

#[tokio::test]
async fn without_a_key_no_key_is_announced() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;
    let mut person = Person::default();

    sign_in_by_browser(&stand_in.broker(), &ada(Binding::None), &mut person).await.unwrap();

    assert!(!person.query.contains_key("dpop_jkt"));
}

#[tokio::test]
async fn an_identity_is_linked_once_it_is_proved_on_the_page() {
    let pending = || json_answer(StatusCode::ACCEPTED, &json!({"status": "pending", "interval": 0}));
    let identity = json!({
        "type": "oauth2_acme", "value": "g-1001", "email": "ada@example.com", "linked_at": "2026-12-22T10:00:00Z",
    });
    let stand_in = StandIn::start(vec![pending(), pending(), json_answer(StatusCode::CREATED, &identity)]).await;
    let again = StandIn::start(vec![json_answer(StatusCode::OK, &identity)]).await;

    let linked = link(&stand_in).await.0.unwrap();
    let (relinked, shown) = link(&again).await;

    assert_eq!((linked.is_new, &*linked.identity.identity.value), (true, "g-1001"));
    assert!(!relinked.unwrap().is_new);
    assert_eq!(shown, [format!("{}/oauth/link?request=1", again.url())]);
}

#[tokio::test]
async fn a_link_that_is_refused_or_over_is_not_waited_for() {
    for error in [ErrorCode::AccessDenied, ErrorCode::IdentityTaken, ErrorCode::LinkExpired, ErrorCode::ReauthRequired]
    {
        let stand_in = StandIn::start(vec![problem(error)]).await;

        let (outcome, _) = link(&stand_in).await;

        assert!(matches!(outcome, Err(ClientError::Problem { problem, .. }) if problem.error == error), "{error}");
    }
}

/// Remembers what it was shown.
#[derive(Default)]
struct Window(Vec<String>);

#[async_trait]
impl BrowserScreen for Window {
    async fn show(&mut self, url: &str) {
        self.0.push(url.to_owned());
    }
}

async fn link(stand_in: &StandIn) -> (Result<Linked, ClientError>, Vec<String>) {
    let mut window = Window::default();
    let provider = "acme".parse().unwrap();
    let outcome = link_oauth(&stand_in.broker(), &stand_in.session(), provider, &mut window).await;
    (outcome, window.0)
}

#[tokio::test]
async fn an_identity_is_removed_whatever_its_subject_is_made_of() {
    let stand_in = StandIn::start(vec![]).await;
    let identity = serde_json::from_value(json!({"type": "oauth2_acme", "value": "auth0|a/b?c#d%2Fe f"})).unwrap();

    stand_in.broker().unlink_identity(&stand_in.session(), &identity).await.unwrap();

    assert_eq!(*stand_in.0.unlinked.lock().unwrap(), ["oauth2_acme auth0|a/b?c#d%2Fe f"]);
}

/// Types these codes, one after another.
struct Typist(Vec<&'static str>);

#[async_trait]
impl CodePrompt for Typist {
    async fn code(&mut self, _: &EmailStarted, attempt: u32) -> Result<String, ClientError> {
        let code = self.0.get(attempt as usize - 1).ok_or(ClientError::NoCode)?;
        Ok((*code).to_owned())
    }
}

#[tokio::test]
async fn an_address_is_linked_once_the_right_code_is_typed() {
    let identity = json!({"type": "email", "value": "ada@example.org", "linked_at": "2026-12-22T10:00:00Z"});
    let answers = || vec![problem(ErrorCode::InvalidCode), json_answer(StatusCode::CREATED, &identity)];
    let (stand_in, over) =
        (StandIn::start(answers()).await, StandIn::start(vec![problem(ErrorCode::CodeExpired)]).await);
    let link = async |stand_in: &StandIn| {
        let address = "ada@example.org".parse().unwrap();
        link_email(&stand_in.broker(), &stand_in.session(), address, &mut Typist(vec!["AAAA", "BBBB"])).await
    };

    let linked = link(&stand_in).await.unwrap();
    let expired = link(&over).await;

    assert_eq!((linked.is_new, &*linked.identity.identity.value), (true, "ada@example.org"));
    assert!(matches!(expired, Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::CodeExpired));
}
