use std::sync::Arc;

use agentkeys_api::{Devices, ErrorCode, RecoveryWait};
use agentkeys_http::{Json, Refusal};
use agentkeys_types::KeyThumbprint;
use axum::extract::{FromRequestParts, Path, State};
use http::{StatusCode, request::Parts};

use crate::{SessionCaller, Signer, error::ApiError};

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

/// `GET /v1/devices`
pub(super) async fn list(State(signer): State<Arc<Signer>>, caller: SessionCaller) -> Result<Json<Devices>, ApiError> {
    Ok(Json(signer.list_devices(&caller)?))
}

/// `PUT /v1/devices/{key}`
pub(super) async fn update(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    DeviceKey(key): DeviceKey,
) -> Result<Json<Devices>, ApiError> {
    signer.approve_device(&caller, key).await?;
    Ok(Json(signer.list_devices(&caller)?))
}

/// `DELETE /v1/devices/{key}`
pub(super) async fn delete(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    DeviceKey(key): DeviceKey,
) -> Result<StatusCode, ApiError> {
    signer.remove_device(&caller, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/devices/recovery`
pub(super) async fn update_recovery(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<RecoveryWait>,
) -> Result<Json<Devices>, ApiError> {
    signer.set_recovery_wait(&caller, &request.omni_account, request.recovery_wait_seconds.0).await?;
    Ok(Json(signer.list_devices(&caller)?))
}
