use std::sync::Arc;

use agentkeys_api::{EmailStart, EmailStarted, EmailVerify, IdentityView, Problem, SignedIn, TokenType, paths};
use agentkeys_http::{Json, Source};
use axum::{extract::State, http::StatusCode};

use crate::{Broker, error::ApiError, sign_in::CODE_LIFE};

/// After how many seconds a terminal offers to send another mail.
const RESEND_AFTER: u64 = 30;

/// Starts a sign-in by e-mail: a code goes to the address, whoever it belongs to.
#[utoipa::path(post, path = paths::EMAIL_START, request_body = EmailStart, responses(
    (status = 202, body = EmailStarted),
    (status = 400, body = Problem, description = "`invalid_email` and the other refusals of a body"),
    (status = 429, body = Problem, description = "`rate_limited`"),
    (status = 503, body = Problem, description = "`mail_unavailable`, `storage_unavailable`"),
))]
pub(super) async fn start(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    Json(request): Json<EmailStart>,
) -> Result<(StatusCode, Json<EmailStarted>), ApiError> {
    let request_id = broker.start_email_sign_in(request.email, request.client_name, source).await?;
    let started = EmailStarted { request_id, expires_in: CODE_LIFE.as_secs(), resend_after: RESEND_AFTER };
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// Ends it with the code from the mail, and opens a session.
#[utoipa::path(post, path = paths::EMAIL_VERIFY, request_body = EmailVerify, responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "`invalid_code`"),
    (status = 403, body = Problem, description = "`sign_in_not_allowed`"),
    (status = 410, body = Problem, description = "`code_expired`"),
    (status = 503, body = Problem, description = "`storage_unavailable`"),
))]
pub(super) async fn verify(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    Json(request): Json<EmailVerify>,
) -> Result<Json<SignedIn>, ApiError> {
    let opened = broker.verify_email_sign_in(&request.request_id, &request.code, source).await?;
    Ok(Json(SignedIn {
        identity: IdentityView::from(&opened.identity),
        session_token: opened.token,
        token_type: TokenType::Bearer,
        session_id: opened.id,
        expires_at: opened.expires_at,
        omni_account: opened.account,
    }))
}
