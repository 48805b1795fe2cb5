use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_client::{Binding, BrokerClient, BrowserScreen, Http, OauthSignIn, ServerUrl, Session};
use agentkeys_crypto::HolderCheck;
use agentkeys_types::{SessionId, SessionToken};
use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, RawForm, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use url::form_urlencoded;

pub(crate) const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
pub(crate) const DEVICE_CODE: &str = "0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d";

/// A form and the proof that came with it.
pub(crate) type Submitted = (HashMap<String, String>, Option<String>);

/// A broker as far as a browser and the client see it.
#[derive(Clone)]
pub(crate) struct StandIn(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) url: ServerUrl,
    pub(crate) issuer: String,
    pub(crate) check: HolderCheck,
    /// What `/oauth/token` and `/v1/identities/oauth/verify` say, one after another.
    pub(crate) answers: Mutex<VecDeque<Response>>,
    /// The forms and proofs that came to `/oauth/token`.
    pub(crate) forms: Mutex<Vec<Submitted>>,
    pub(crate) unlinked: Mutex<Vec<String>>,
    pub(crate) verification_uri: String,
}

impl StandIn {
    pub(crate) async fn start(answers: Vec<Response>) -> Self {
        Self::with(answers, |url| (url.to_owned(), format!("{url}/device"))).await
    }

    /// With the issuer and the verification URI that `said` makes of its URL.
    pub(crate) async fn with(answers: Vec<Response>, said: impl FnOnce(&str) -> (String, String)) -> Self {
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

    pub(crate) fn broker(&self) -> BrokerClient {
        BrokerClient::new(&Http::default(), self.0.url.clone())
    }

    pub(crate) fn url(&self) -> String {
        self.0.url.to_string()
    }

    pub(crate) fn forms(&self) -> Vec<HashMap<String, String>> {
        self.0.forms.lock().unwrap().iter().map(|(form, _)| form.clone()).collect()
    }

    pub(crate) fn session(&self) -> Session {
        Session {
            token: SessionToken::new("aks_very-secret".to_owned()),
            device_key: None,
            unused_key: None,
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            renew_at: None,
            omni_account: ACCOUNT.parse().unwrap(),
            identity: serde_json::from_value(json!({"type": "email", "value": "ada@example.com"})).unwrap(),
            broker_url: self.0.url.clone(),
        }
    }

    pub(crate) fn next(&self) -> Response {
        self.0.answers.lock().unwrap().pop_front().expect("it is not asked again")
    }
}

pub(crate) async fn metadata(State(stand_in): State<StandIn>) -> Response {
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

pub(crate) async fn device_authorization(State(stand_in): State<StandIn>, RawForm(form): RawForm) -> Response {
    let form = read(&form);
    assert_eq!((form["client_id"].as_str(), form["client_name"].as_str()), ("agentkeys-cli", "ada's laptop"));
    axum::Json(json!({
        "device_code": DEVICE_CODE, "user_code": "K7Q4-MF2X", "verification_uri": stand_in.0.verification_uri,
        "expires_in": 600, "interval": 0,
    }))
    .into_response()
}

pub(crate) async fn token(State(stand_in): State<StandIn>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let proof = headers.get("dpop").map(|proof| proof.to_str().unwrap().to_owned());
    stand_in.0.forms.lock().unwrap().push((read(&form), proof));
    stand_in.next()
}

pub(crate) async fn start_link(State(stand_in): State<StandIn>) -> Response {
    let started = json!({
        "request_id": "0a".repeat(32), "authorize_url": format!("{}/oauth/link?request=1", stand_in.0.issuer),
        "expires_in": 600, "interval": 0,
    });
    (StatusCode::CREATED, axum::Json(started)).into_response()
}

pub(crate) async fn verify_link(State(stand_in): State<StandIn>) -> Response {
    stand_in.next()
}

pub(crate) async fn start_email_link() -> Response {
    let started = json!({"request_id": "0b".repeat(32), "expires_in": 600, "resend_after": 30});
    (StatusCode::ACCEPTED, axum::Json(started)).into_response()
}

pub(crate) async fn unlink(State(stand_in): State<StandIn>, Path((kind, value)): Path<(String, String)>) -> StatusCode {
    stand_in.0.unlinked.lock().unwrap().push(format!("{kind} {value}"));
    StatusCode::NO_CONTENT
}

pub(crate) fn read(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

pub(crate) fn json_answer(status: StatusCode, document: &Value) -> Response {
    (status, axum::Json(document.clone())).into_response()
}

pub(crate) fn refusal(error: &str) -> Response {
    json_answer(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": "No."}))
}

/// What the network leaves of an answer when it fails.
pub(crate) fn cut() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Body::from_stream(broken).into_response()
}

pub(crate) fn problem(error: ErrorCode) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap();
    let body = serde_json::to_vec(&Problem::new(error, "no")).unwrap();
    (status, [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "0")], body).into_response()
}

pub(crate) fn signed_in(token_type: &str) -> Response {
    json_answer(
        StatusCode::OK,
        &json!({
            "access_token": "aks_very-secret", "session_token": "aks_very-secret", "token_type": token_type,
            "expires_in": 2_592_000, "session_id": "0".repeat(32), "expires_at": "2026-12-22T10:00:00Z",
            "omni_account": ACCOUNT, "identity": {"type": "oauth2_acme", "value": "g-1001"},
        }),
    )
}

pub(crate) fn ada(binding: Binding) -> OauthSignIn {
    OauthSignIn { provider: Some("acme".parse().unwrap()), client_name: Some("ada's laptop".to_owned()), binding }
}

/// A browser that is never opened.
pub(crate) struct Nobody;

#[async_trait]
impl BrowserScreen for Nobody {
    async fn show(&mut self, url: &str) {
        panic!("{url} was shown");
    }
}
