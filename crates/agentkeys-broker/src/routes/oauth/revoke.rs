use std::sync::Arc;

use agentkeys_api::{OAUTH_CLIENT, OauthError, OauthProblem, paths};
use agentkeys_http::{Source, form};
use axum::extract::{FromRequestParts, Request, State};
use http::StatusCode;

use super::OauthRefusal;
use crate::Broker;

/// Ends the session of a token (RFC 7009): whoever has a token may end it, also without the device key.
///
/// A token that is none, or is over, is answered like one that was revoked.
#[utoipa::path(post, path = paths::OAUTH_REVOKE, responses(
    (status = 200, description = "From now on nothing accepts it"),
    (status = 400, body = OauthProblem, description = "`invalid_client`, `invalid_request`, `unsupported_token_type`"),
    (status = 503, body = OauthProblem, description = "`temporarily_unavailable`"),
))]
pub(in crate::routes) async fn create(
    State(broker): State<Arc<Broker>>,
    request: Request,
) -> Result<StatusCode, OauthRefusal> {
    let (mut parts, body) = request.into_parts();
    let Source(source) = Source::from_request_parts(&mut parts, &broker).await?;
    let parameters = form(Request::from_parts(parts, body)).await?;
    if parameters.find("client_id") != Some(OAUTH_CLIENT) {
        return Err(OauthRefusal::new(OauthError::InvalidClient, "the client is not known here"));
    }
    broker.revoke_token(parameters.required("token")?, source).await?;
    Ok(StatusCode::OK)
}
