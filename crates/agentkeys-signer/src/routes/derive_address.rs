use std::sync::Arc;

use agentkeys_api::{Address, DeriveAddress};
use agentkeys_http::Json;
use axum::extract::State;

use crate::{SessionCaller, Signer, error::ApiError};

/// `POST /dev/derive-address`
pub(super) async fn create(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<DeriveAddress>,
) -> Result<Json<Address>, ApiError> {
    let address = signer.derive_address(&caller, &request.omni_account).await?;
    Ok(Json(Address { address }))
}
