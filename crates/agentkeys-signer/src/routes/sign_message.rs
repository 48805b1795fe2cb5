use std::sync::Arc;

use agentkeys_api::{Problem, SignMessage, Signature, headers, paths};
use agentkeys_http::Json;
use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    device_revision,
    reference::{NO_PLACE, PROOF, UNAUTHORIZED, UNAVAILABLE},
};
use crate::{Receipt, SessionCaller, Signed, Signer, error::ApiError};

/// Signs a message with the caller's wallet, as EIP-191, once the signing is recorded.
///
/// The worker signs nothing but its broker's challenge that proves the caller's own wallet, while it is good, unless it
/// was started to sign any message, which its evidence shows. The development signer signs any message.
#[utoipa::path(post, path = paths::SIGN_MESSAGE, security(("session" = [])), request_body = SignMessage,
    params(("DPoP" = String, Header, description = PROOF)), responses(
    (status = 200, body = Signature, headers(
        ("AgentKeys-Log-Checkpoint" = String, description = "At the worker: a signed checkpoint of its log that has the \
            signing in it (C2SP tlog-checkpoint), base64"),
        ("AgentKeys-Log-Entry" = String, description = "At the worker: the index of the signing's entry in the log, a \
            space, and the entry, base64"),
        ("AgentKeys-Device-Revision" = u64, description = "At the worker: how many changes the account's devices have seen"),
    )),
    (status = 400, body = Problem, description = "`invalid_omni_account`, `invalid_message_hex`, `ambiguous_auth`"),
    (status = 401, body = Problem, description = UNAUTHORIZED),
    (status = 403, body = Problem, description = "`session_required`, `account_mismatch`; at the worker `message_refused`, \
        `device_key_required`, `device_not_pinned`, `device_waiting`"),
    (status = 409, body = Problem, description = NO_PLACE),
    (status = 429, body = Problem, description = "`rate_limited`: at the worker, the account has had too many messages \
        signed, or its devices have changed too often"),
    (status = 503, body = Problem, description = UNAVAILABLE),
))]
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
