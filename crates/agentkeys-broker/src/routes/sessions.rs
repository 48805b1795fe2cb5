use std::{sync::Arc, time::Duration};

use agentkeys_api::{ErrorCode, Problem, SessionList, Standing, StandingRequest, paths};
use agentkeys_http::{Json, Source};
use agentkeys_types::SessionId;
use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
};

use super::session::view;
use crate::{Broker, SessionCaller, error::ApiError};

/// For how many seconds an answer about a session's standing may be kept.
const VALID_FOR: u64 = 5;
const LONGEST_WAIT: u64 = 30;

/// The 30-day sessions of the caller's account that stand.
#[utoipa::path(get, path = paths::SESSIONS, security(("session" = [])), responses(
    (status = 200, body = SessionList),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    caller: SessionCaller,
) -> Result<Json<SessionList>, ApiError> {
    let sessions = broker.sessions(&caller).await?;
    Ok(Json(SessionList { sessions: sessions.iter().map(view).collect() }))
}

/// Revokes one session of the caller's account.
#[utoipa::path(delete, path = paths::SESSION_BY_ID, security(("session" = [])), params(("session_id" = String, Path)), responses(
    (status = 204, description = "Revoked: from now on nothing accepts it"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 404, body = Problem, description = "`not_found`"),
))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Path(session_id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id: SessionId =
        session_id.parse().map_err(|_| Problem::new(ErrorCode::NotFound, "there is no such session"))?;
    broker.revoke_session(&caller, id, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes every session of the caller's account, the calling one with them.
#[utoipa::path(delete, path = paths::SESSIONS, security(("session" = [])), responses(
    (status = 204, description = "Revoked: from now on nothing accepts them"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn delete_all(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
) -> Result<StatusCode, ApiError> {
    broker.revoke_all_sessions(&caller, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a session still stands. With `?wait=30` the answer waits up to so many seconds for that to end.
#[utoipa::path(post, path = paths::SESSIONS_STANDING, request_body = StandingRequest,
    params(("wait" = Option<u64>, Query)), responses((status = 200, body = Standing)))]
pub(super) async fn standing(
    State(broker): State<Arc<Broker>>,
    RawQuery(query): RawQuery,
    Json(request): Json<StandingRequest>,
) -> Result<Json<Standing>, ApiError> {
    let wait = wait(query.as_deref().unwrap_or_default())?;
    let session = broker.standing_session_after(request.session_id, wait).await?;
    Ok(Json(match session {
        Some(session) => Standing { standing: true, valid_for: VALID_FOR, renewed_at: session.renewed_at },
        None => Standing { standing: false, valid_for: 0, renewed_at: None },
    }))
}

fn wait(query: &str) -> Result<Duration, Problem> {
    if query.is_empty() {
        return Ok(Duration::ZERO);
    }
    let seconds =
        query.strip_prefix("wait=").and_then(|seconds| seconds.parse().ok()).filter(|wait| *wait <= LONGEST_WAIT);
    let refusal = || Problem::new(ErrorCode::InvalidField, "wait must be a whole number of seconds, 30 at most");
    seconds.map(Duration::from_secs).ok_or_else(refusal)
}
