use std::sync::Arc;

use agentkeys_api::{Address, DeriveAddress};
use agentkeys_http::Json;
use axum::extract::State;
use http::HeaderMap;

use super::device_revision;
use crate::{SessionCaller, Signer, error::ApiError};

/// `POST /dev/derive-address`
pub(super) async fn create(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<DeriveAddress>,
) -> Result<(HeaderMap, Json<Address>), ApiError> {
    let address = signer.derive_address(&caller, &request.omni_account).await?;
    Ok((device_revision(&signer, &caller), Json(Address { address })))
}
