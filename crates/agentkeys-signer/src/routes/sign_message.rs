use std::sync::Arc;

use agentkeys_api::{SignMessage, Signature};
use agentkeys_http::Json;
use axum::extract::State;

use crate::{SessionCaller, Signer, error::ApiError};

/// `POST /dev/sign-message`
pub(super) async fn create(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<SignMessage>,
) -> Result<Json<Signature>, ApiError> {
    let signature = signer.sign_message(&caller, &request.omni_account, &request.message).await?;
    Ok(Json(Signature { signature: signature.to_string() }))
}
