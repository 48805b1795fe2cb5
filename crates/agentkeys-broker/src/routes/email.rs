use std::sync::Arc;

use agentkeys_api::{EmailStart, EmailStarted, EmailVerify, IdentityView, Problem, SignedIn, TokenType, paths};
use agentkeys_http::{Json, Source};
use axum::{extract::State, http::StatusCode};

use super::callers::DeviceProof;
use crate::{
    Broker,
    error::ApiError,
    sign_in::{CODE_LIFE, OpenedSession},
};

/// After how many seconds a terminal offers to send another mail.
pub(super) const RESEND_AFTER: u64 = 30;

/// Starts a sign-in by e-mail: a code goes to the address, whoever it belongs to.
///
/// With a proof in the header `DPoP` the session will be bound to its key (RFC 9449).
#[utoipa::path(post, path = paths::EMAIL_START, request_body = EmailStart, responses(
    (status = 202, body = EmailStarted),
    (status = 400, body = Problem, description = "`invalid_email` and the other refusals of a body"),
    (status = 401, body = Problem, description = "`dpop_required`, `dpop_invalid`, `dpop_replayed`, `use_dpop_nonce`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
    (status = 503, body = Problem, description = "`mail_unavailable`, `storage_unavailable`"),
))]
pub(super) async fn start(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    DeviceProof(key): DeviceProof,
    Json(request): Json<EmailStart>,
) -> Result<(StatusCode, Json<EmailStarted>), ApiError> {
    let request_id = broker.start_email_sign_in(request.email, request.client_name, key, source).await?;
    let started = EmailStarted { request_id, expires_in: CODE_LIFE.as_secs(), resend_after: RESEND_AFTER };
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// Ends it with the code from the mail, and opens a session: with a proof by the key that started it, if there was one.
#[utoipa::path(post, path = paths::EMAIL_VERIFY, request_body = EmailVerify, responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "`invalid_code`, `dpop_invalid`, `dpop_replayed`, `use_dpop_nonce`"),
    (status = 403, body = Problem, description = "`sign_in_not_allowed`, `identity_retired`"),
    (status = 410, body = Problem, description = "`code_expired`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
    (status = 503, body = Problem, description = "`storage_unavailable`"),
))]
pub(super) async fn verify(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    DeviceProof(key): DeviceProof,
    Json(request): Json<EmailVerify>,
) -> Result<Json<SignedIn>, ApiError> {
    let opened = broker.verify_email_sign_in(&request.request_id, &request.code, key, source).await?;
    Ok(Json(signed_in(opened)))
}

/// The reply that carries a session token.
pub(super) fn signed_in(opened: OpenedSession) -> SignedIn {
    SignedIn {
        identity: IdentityView::from(&opened.identity),
        session_token: opened.token,
        token_type: TokenType::of(opened.is_bound),
        session_id: opened.id,
        expires_at: opened.expires_at,
        omni_account: opened.account,
    }
}
