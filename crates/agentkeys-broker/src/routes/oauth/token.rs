use std::sync::Arc;

use agentkeys_api::{
    AUTHORIZATION_CODE_GRANT, DEVICE_CODE_GRANT, OAUTH_CLIENT, OauthError, OauthProblem, TokenReply, paths,
};
use agentkeys_http::{Json, Source, form};
use axum::extract::{FromRequestParts, Request, State};

use super::{OauthRefusal, holder};
use crate::{Broker, GrantError, routes::email::signed_in};

/// Exchanges what a person has approved for a session token (RFC 6749 section 4.1.3, RFC 8628 section 3.4).
#[utoipa::path(post, path = paths::OAUTH_TOKEN, responses(
    (status = 200, body = TokenReply),
    (status = 400, body = OauthProblem, description = "`access_denied`, `authorization_pending`, `expired_token`, \
        `invalid_client`, `invalid_dpop_proof`, `invalid_grant`, `invalid_request`, `slow_down`, \
        `unsupported_grant_type`, `use_dpop_nonce`"),
    (status = 503, body = OauthProblem, description = "`temporarily_unavailable`"),
))]
pub(in crate::routes) async fn create(
    State(broker): State<Arc<Broker>>,
    request: Request,
) -> Result<Json<TokenReply>, OauthRefusal> {
    let (mut parts, body) = request.into_parts();
    let Source(source) = Source::from_request_parts(&mut parts, &broker).await?;
    let key = holder(&mut parts, &broker).await?;
    let parameters = form(Request::from_parts(parts, body)).await?;
    let grant_type = parameters.required("grant_type")?;
    if !matches!(grant_type, AUTHORIZATION_CODE_GRANT | DEVICE_CODE_GRANT) {
        return Err(OauthRefusal::new(OauthError::UnsupportedGrantType, "there are codes and device codes only"));
    }
    if parameters.find("client_id") != Some(OAUTH_CLIENT) {
        return Err(OauthRefusal::new(OauthError::InvalidClient, "the client is not known here"));
    }
    let opened = if grant_type == DEVICE_CODE_GRANT {
        let code = parameters.required("device_code")?.parse().map_err(|_| GrantError::Invalid)?;
        broker.redeem_device_code(&code, key, source).await?
    } else {
        let (code, redirect_uri) = (parameters.required("code")?, parameters.required("redirect_uri")?);
        let verifier = parameters.required("code_verifier")?;
        let code = code.parse().map_err(|_| GrantError::Invalid)?;
        broker.redeem_code(&code, redirect_uri, verifier, key, source).await?
    };
    let (access_token, expires_in) = (opened.token.clone(), opened.expires_at.since(broker.clock.now()).as_secs());
    Ok(Json(TokenReply { access_token, expires_in, signed_in: signed_in(opened) }))
}
