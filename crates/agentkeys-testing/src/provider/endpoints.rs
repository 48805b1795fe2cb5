use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, LOCATION},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Endpoint, Grant, Part, Shared, TestProvider, misbehaviour::Misbehaviour};

type Parameters = HashMap<String, String>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/authorize", get(authorize))
        .route("/elsewhere", get(elsewhere).post(elsewhere))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(shared)
}

impl Shared {
    /// Counts the question; says how to answer it, if not truly.
    fn asked(&self, endpoint: Endpoint) -> (Misbehaviour, Option<Response>) {
        let mut state = self.state();
        *state.asked.entry(endpoint).or_default() += 1;
        let misbehaviour = state.misbehaviour.clone();
        let canned = misbehaviour.canned.get(&endpoint).cloned();
        (misbehaviour, canned.map(IntoResponse::into_response))
    }
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let (misbehaviour, canned) = shared.asked(Endpoint::Metadata);
    if let Some(canned) = canned {
        return canned;
    }
    let issuer = &shared.issuer;
    let truth = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    Json(misbehaviour.said(Part::Metadata, truth)).into_response()
}

async fn authorize(State(shared): State<Arc<Shared>>, Query(mut query): Query<Parameters>) -> Response {
    let (_, canned) = shared.asked(Endpoint::Authorization);
    if let Some(canned) = canned {
        return canned;
    }
    let says = |name: &str, value: &str| query.get(name).is_some_and(|text| text == value);
    let is_openid = query.get("scope").is_some_and(|scope| scope.split(' ').any(|word| word == "openid"));
    let is_complete = says("client_id", TestProvider::CLIENT_ID)
        && says("response_type", "code")
        && says("code_challenge_method", "S256")
        && is_openid;
    let (Some(redirect_uri), Some(challenge)) = (query.remove("redirect_uri"), query.remove("code_challenge")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if !is_complete {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut answer = vec![("iss", shared.issuer.clone())];
    answer.extend(query.remove("state").map(|state| ("state", state)));
    let mut state = shared.state();
    if let Some(error) = &state.refusal {
        answer.push(("error", error.clone()));
    } else {
        let code = hex::encode(agentkeys_crypto::random::<16>());
        answer.push(("code", code.clone()));
        let grant = Grant { redirect_uri: redirect_uri.clone(), challenge, nonce: query.remove("nonce") };
        state.grants.insert(code, grant);
    }
    let answer = serde_urlencoded::to_string(answer).expect("pairs make a query");
    (StatusCode::FOUND, [(LOCATION, format!("{redirect_uri}?{answer}"))]).into_response()
}

async fn elsewhere(State(shared): State<Arc<Shared>>) -> StatusCode {
    let _ = shared.asked(Endpoint::Elsewhere);
    StatusCode::NOT_FOUND
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    let (misbehaviour, canned) = shared.asked(Endpoint::Keys);
    if let Some(canned) = canned {
        return canned;
    }
    let keys: Vec<Value> = shared.state().keys.iter().map(super::SigningKey::jwk).collect();
    Json(misbehaviour.said(Part::Keys, json!({ "keys": keys }))).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let (misbehaviour, canned) = shared.asked(Endpoint::Token);
    if let Some(canned) = canned {
        return canned;
    }
    let form: Parameters = serde_urlencoded::from_str(&body).unwrap_or_default();
    let (client, method) = client(&headers, &form);
    let mut state = shared.state();
    state.authentication = Some(method);
    if client != (Some(TestProvider::CLIENT_ID.to_owned()), state.client_secret.clone()) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let grant = form.get("code").and_then(|code| state.grants.get_mut(code));
    // A code is good for once.
    let challenge = grant.as_deref().map(|grant| grant.challenge.clone());
    let Some(grant) = grant.filter(|grant| form.get("redirect_uri") == Some(&grant.redirect_uri)) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let verifier = form.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    if verifier.is_none() || verifier != challenge {
        return refusal(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    grant.challenge.clear();
    let nonce = grant.nonce.clone();
    let mut claims = json!({
        "iss": shared.issuer,
        "aud": TestProvider::CLIENT_ID,
        "sub": state.subject,
        "iat": shared.clock.now().as_unix(),
        "exp": shared.clock.now().after(Duration::from_mins(5)).as_unix(),
        "nonce": nonce,
    });
    if let Some((address, verified)) = &state.email {
        claims["email"] = json!(address);
        claims["email_verified"] = json!(verified);
    }
    let key = misbehaviour.forger.as_ref().unwrap_or(&state.keys[0]);
    let header = json!({"alg": key.algorithm(), "kid": key.kid, "typ": "JWT"});
    let signed = key.sign(&misbehaviour.said(Part::Header, header), &misbehaviour.said(Part::Claims, claims));
    let signed = misbehaviour.token.as_ref().map_or(signed.clone(), |change| change(&signed));
    let reply = json!({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": signed});
    Json(misbehaviour.said(Part::Reply, reply)).into_response()
}

/// Who asks for a token, and how they show it.
fn client(headers: &HeaderMap, form: &Parameters) -> ((Option<String>, Option<String>), &'static str) {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let client = (form.get("client_id").cloned(), form.get("client_secret").cloned());
        let method = if client.1.is_some() { "client_secret_post" } else { "none" };
        return (client, method);
    };
    let basic = header.to_str().ok().and_then(|text| STANDARD.decode(text.strip_prefix("Basic ")?).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (id, secret) = basic.split_once(':').unwrap_or_default();
    // RFC 6749 section 2.3.1: both are form-encoded first.
    let decoded = |text: &str| {
        serde_urlencoded::from_str::<Vec<(String, String)>>(&format!("v={text}")).ok()?.pop().map(|(_, value)| value)
    };
    ((decoded(id), decoded(secret)), "client_secret_basic")
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}
