use std::sync::Arc;

use agentkeys_api::{DeviceAuthorization, OAUTH_CLIENT, OauthError, OauthProblem, paths};
use agentkeys_http::{Json, Source, form};
use axum::extract::{FromRequestParts, Request, State};

use super::{OauthRefusal, holder};
use crate::{Broker, authorization::read_name};

/// Lets a machine wait until a person has approved it in a browser elsewhere (RFC 8628 section 3.1).
///
/// With a proof in the header `DPoP` the session will be bound to its key (RFC 9449). There is no
/// `verification_uri_complete`, on purpose: a person who was sent a link would approve what somebody else started.
#[utoipa::path(post, path = paths::OAUTH_DEVICE_AUTHORIZATION, responses(
    (status = 200, body = DeviceAuthorization),
    (status = 400, body = OauthProblem, description = "`invalid_client`, `invalid_request`, `invalid_dpop_proof`, `use_dpop_nonce`"),
    (status = 429, body = OauthProblem, description = "`temporarily_unavailable`"),
))]
pub(in crate::routes) async fn create(
    State(broker): State<Arc<Broker>>,
    request: Request,
) -> Result<Json<DeviceAuthorization>, OauthRefusal> {
    let (mut parts, body) = request.into_parts();
    let Source(source) = Source::from_request_parts(&mut parts, &broker).await?;
    let key = holder(&mut parts, &broker).await?;
    let parameters = form(Request::from_parts(parts, body)).await?;
    if parameters.find("client_id") != Some(OAUTH_CLIENT) {
        return Err(OauthRefusal::new(OauthError::InvalidClient, "the client is not known here"));
    }
    let client_name =
        read_name(parameters.find("client_name")).map_err(|why| OauthRefusal::new(OauthError::InvalidRequest, why))?;
    let started = broker.start_device(client_name, key, source).await?;
    Ok(Json(DeviceAuthorization {
        device_code: started.device_code.expose(),
        user_code: started.user_code,
        verification_uri: broker.issuer().join(paths::DEVICE).into(),
        expires_in: started.expires_in.as_secs(),
        interval: started.interval.as_secs(),
    }))
}
