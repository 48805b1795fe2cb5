use std::sync::Arc;

use agentkeys_api::{OauthError, paths};
use agentkeys_http::{Parameters, Source};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use crate::{
    AuthorizationRequest, Broker,
    browser::Errand,
    routes::browser::{Browser, BrowserRefusal},
};

/// The page on which a person signs in for the command on the same machine (RFC 6749 section 4.1.1, with PKCE).
///
/// It writes nothing: what was asked for is in its form, and read again when that is posted.
#[utoipa::path(get, path = paths::OAUTH_AUTHORIZE, params(
    ("response_type" = String, Query, description = "`code`"),
    ("client_id" = String, Query, description = "`agentkeys-cli`"),
    ("redirect_uri" = String, Query, description = "on loopback, any port (RFC 8252)"),
    ("code_challenge" = String, Query), ("code_challenge_method" = String, Query, description = "`S256`"),
    ("state" = Option<String>, Query), ("dpop_jkt" = Option<String>, Query, description = "RFC 9449 section 10"),
    ("client_name" = Option<String>, Query, description = "which machine asks"),
    ("provider" = Option<String>, Query, description = "offers this way of signing in alone"),
), responses(
    (status = 200, description = "The page", content_type = "text/html"),
    (status = 303, description = "Back to the client, with `error`, `state` and `iss`"),
    (status = 400, description = "A page, where the client or its redirect URI is not known"),
))]
pub(in crate::routes) async fn show(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, BrowserRefusal> {
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let request = AuthorizationRequest::read(|name| parameters.find(name), broker.issuer().as_str())?;
    if request.key.is_none() && !broker.opens_unbound() {
        return Err(request.refused(OauthError::InvalidRequest, "a device key is needed: `dpop_jkt`", &broker).into());
    }
    let errand = Errand::Command(Box::new(request));
    browser.asked(&broker, &errand, source).await
}
