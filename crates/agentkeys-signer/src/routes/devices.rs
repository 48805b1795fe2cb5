use std::sync::Arc;

use agentkeys_api::{Devices, ErrorCode, Problem, RecoveryWait, paths};
use agentkeys_http::{Json, Refusal};
use agentkeys_types::KeyThumbprint;
use axum::extract::{FromRequestParts, Path, State};
use http::{StatusCode, request::Parts};

use super::reference::{AMBIGUOUS, FORBIDDEN, NO_PLACE, PROOF, TOO_OFTEN, UNAUTHORIZED, UNAVAILABLE};
use crate::{SessionCaller, Signer, error::ApiError};

/// Of the key in a URL.
const THUMBPRINT: &str = "Its RFC 7638 thumbprint: 43 characters of base64url";
/// Of 403, where the caller's own device must be a pinned one.
const OWN_DEVICE: &str =
    "`session_required`; the caller's own: `device_key_required`, `device_not_pinned`, `device_waiting`";

/// The device that a URL names.
pub(super) struct DeviceKey(KeyThumbprint);

impl<S: Send + Sync> FromRequestParts<S> for DeviceKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let invalid = || Refusal::new(ErrorCode::InvalidField, "a device is named by 43 characters of base64url");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| invalid())?;
        text.parse().map(Self).map_err(|_| invalid())
    }
}

/// The device keys of the caller's account, for any bound session of it: at the worker alone.
#[utoipa::path(get, path = paths::DEVICES, security(("session" = [])),
    params(("DPoP" = String, Header, description = PROOF)), responses(
    (status = 200, body = Devices),
    (status = 400, body = Problem, description = AMBIGUOUS),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = "`session_required`, `device_key_required`"),
    (status = 503, body = Problem, description = "`signer_disabled`, `broker_unreachable`"),
))]
pub(super) async fn list(State(signer): State<Arc<Signer>>, caller: SessionCaller) -> Result<Json<Devices>, ApiError> {
    Ok(Json(signer.list_devices(&caller)?))
}

/// Pins a device key of the caller's account at the word of a pinned one, also before it has come: at the worker alone.
#[utoipa::path(put, path = paths::DEVICE_BY_KEY, security(("session" = [])), params(
    ("DPoP" = String, Header, description = PROOF),
    ("key" = String, Path, description = THUMBPRINT),
), responses(
    (status = 200, body = Devices, description = "It is pinned, now or before"),
    (status = 400, body = Problem, description = "`invalid_field`: the key; `ambiguous_auth`"),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = OWN_DEVICE),
    (status = 409, body = Problem, description = "`device_limit_reached`"),
    (status = 429, body = Problem, description = TOO_OFTEN),
    (status = 503, body = Problem, description = UNAVAILABLE),
))]
pub(super) async fn update(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    DeviceKey(key): DeviceKey,
) -> Result<Json<Devices>, ApiError> {
    signer.approve_device(&caller, key).await?;
    Ok(Json(signer.list_devices(&caller)?))
}

/// Takes a device key of the caller's account away, or stops one that waits: at the worker alone.
#[utoipa::path(delete, path = paths::DEVICE_BY_KEY, security(("session" = [])), params(
    ("DPoP" = String, Header, description = PROOF),
    ("key" = String, Path, description = THUMBPRINT),
), responses(
    (status = 204, description = "It signs no more"),
    (status = 400, body = Problem, description = "`invalid_field`: the key; `ambiguous_auth`"),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = OWN_DEVICE),
    (status = 404, body = Problem, description = "`device_unknown`"),
    (status = 409, body = Problem, description = "`last_device`; `device_limit_reached`, for the caller's own that is to be \
        pinned"),
    (status = 429, body = Problem, description = "`rate_limited`, likewise"),
    (status = 503, body = Problem, description = UNAVAILABLE),
))]
pub(super) async fn delete(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    DeviceKey(key): DeviceKey,
) -> Result<StatusCode, ApiError> {
    signer.remove_device(&caller, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets how long a device key of the caller's account waits that no other one approves: at the worker alone.
#[utoipa::path(put, path = paths::DEVICES_RECOVERY, security(("session" = [])), request_body = RecoveryWait,
    params(("DPoP" = String, Header, description = PROOF)), responses(
    (status = 200, body = Devices),
    (status = 400, body = Problem, description = "`invalid_omni_account`, `ambiguous_auth`"),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = FORBIDDEN),
    (status = 409, body = Problem, description = NO_PLACE),
    (status = 429, body = Problem, description = TOO_OFTEN),
    (status = 503, body = Problem, description = UNAVAILABLE),
))]
pub(super) async fn update_recovery(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<RecoveryWait>,
) -> Result<Json<Devices>, ApiError> {
    signer.set_recovery_wait(&caller, &request.omni_account, request.recovery_wait_seconds.0).await?;
    Ok(Json(signer.list_devices(&caller)?))
}
