use std::sync::Arc;

use agentkeys_api::{SignMessage, Signature, headers};
use agentkeys_http::Json;
use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::device_revision;
use crate::{Receipt, SessionCaller, Signed, Signer, error::ApiError};

/// `POST /dev/sign-message`
pub(super) async fn create(
    State(signer): State<Arc<Signer>>,
    caller: SessionCaller,
    Json(request): Json<SignMessage>,
) -> Result<(HeaderMap, Json<Signature>), ApiError> {
    let Signed { signature, receipt } = signer.sign_message(&caller, &request.omni_account, &request.message).await?;
    let mut headers = device_revision(&signer, &caller);
    show(&receipt, &mut headers);
    Ok((headers, Json(Signature { signature: signature.to_string() })))
}

fn show(receipt: &Receipt, headers: &mut HeaderMap) {
    let mut insert = |name, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(checkpoint) = &receipt.checkpoint {
        insert(headers::LOG_CHECKPOINT, STANDARD.encode(checkpoint.as_bytes()));
    }
    if let Some((index, leaf)) = &receipt.leaf {
        insert(headers::LOG_ENTRY, format!("{index} {}", STANDARD.encode(leaf)));
    }
}
