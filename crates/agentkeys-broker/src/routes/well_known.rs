use std::sync::Arc;

use agentkeys_api::{AUTHORIZATION_CODE_GRANT, AuthorizationServer, DEVICE_CODE_GRANT, paths};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::Broker;

/// OpenID Connect Discovery 1.0 section 3, with what an issuer of web identities has to say.
#[derive(Debug, Serialize)]
struct OpenidConfiguration<'a> {
    issuer: &'a str,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    claims_supported: [&'static str; 8],
}

/// Where clouds find the signing keys.
#[utoipa::path(get, path = paths::OPENID_CONFIGURATION, responses((status = 200, description = "OpenID Provider metadata")))]
pub(super) async fn openid_configuration(State(broker): State<Arc<Broker>>) -> Response {
    let issuer = broker.issuer().as_str();
    cacheable(&OpenidConfiguration {
        issuer,
        jwks_uri: format!("{issuer}{}", paths::JWKS),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [broker.oidc_issuer.algorithm().as_str()],
        claims_supported: ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "act"],
    })
}

/// What the authorization server says of itself (RFC 8414).
#[utoipa::path(get, path = paths::OAUTH_METADATA, responses((status = 200, body = AuthorizationServer)))]
pub(super) async fn authorization_server(State(broker): State<Arc<Broker>>) -> Response {
    let url = |path: &str| broker.issuer().join(path).into();
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let providers = broker.providers.iter().map(|(name, _)| name.to_string());
    cacheable(&AuthorizationServer {
        issuer: broker.issuer().as_str().to_owned(),
        authorization_endpoint: url(paths::OAUTH_AUTHORIZE),
        token_endpoint: url(paths::OAUTH_TOKEN),
        device_authorization_endpoint: url(paths::OAUTH_DEVICE_AUTHORIZATION),
        revocation_endpoint: url(paths::OAUTH_REVOKE),
        response_types_supported: list(&["code"]),
        grant_types_supported: list(&[AUTHORIZATION_CODE_GRANT, DEVICE_CODE_GRANT]),
        code_challenge_methods_supported: list(&["S256"]),
        token_endpoint_auth_methods_supported: list(&["none"]),
        revocation_endpoint_auth_methods_supported: list(&["none"]),
        authorization_response_iss_parameter_supported: true,
        dpop_signing_alg_values_supported: list(&["ES256"]),
        agentkeys_identity_providers: std::iter::once("email".to_owned()).chain(providers).collect(),
    })
}

/// The keys that verify web-identity JWTs: the current one, the next one, then previous ones.
#[utoipa::path(get, path = paths::JWKS, responses((status = 200, description = "A JWK Set (RFC 7517)")))]
pub(super) async fn jwks(State(broker): State<Arc<Broker>>) -> Response {
    cacheable(&broker.oidc_keys())
}

/// A public document that may be kept for five minutes.
pub(super) fn cacheable(document: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    (headers, axum::Json(document)).into_response()
}
