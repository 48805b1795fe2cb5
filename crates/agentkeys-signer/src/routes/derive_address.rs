use std::sync::Arc;

use agentkeys_api::{Address, DeriveAddress, Problem, paths};
use agentkeys_http::Json;
use axum::extract::State;
use http::HeaderMap;

use super::{
    device_revision,
    reference::{FORBIDDEN, NO_PLACE, PROOF, TOO_OFTEN, UNAUTHORIZED, UNAVAILABLE},
};
use crate::{SessionCaller, Signer, error::ApiError};

/// The address of the caller's wallet.
#[utoipa::path(post, path = paths::DERIVE_ADDRESS, security(("session" = [])), request_body = DeriveAddress,
    params(("DPoP" = String, Header, description = PROOF)), responses(
    (status = 200, body = Address, headers(
        ("AgentKeys-Device-Revision" = u64, description = "At the worker: how many changes the account's devices have seen"),
    )),
    (status = 400, body = Problem, description = "`invalid_omni_account`, `ambiguous_auth`"),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = FORBIDDEN),
    (status = 409, body = Problem, description = NO_PLACE),
    (status = 429, body = Problem, description = TOO_OFTEN),
    (status = 503, body = Problem, description = UNAVAILABLE),
))]
pub(super) async fn create(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<DeriveAddress>,
) -> Result<(HeaderMap, Json<Address>), ApiError> {
    let address = signer.derive_address(&caller, &request.omni_account).await?;
    Ok((device_revision(&signer, &caller), Json(Address { address })))
}
