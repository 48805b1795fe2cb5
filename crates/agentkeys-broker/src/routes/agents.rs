use std::sync::Arc;

use agentkeys_api::{AgentGrant, AgentView, Agents, Audiences, ErrorCode, Problem, paths};
use agentkeys_http::{Json, Source};
use agentkeys_store::Agent;
use agentkeys_types::AgentName;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};

use crate::{Broker, SessionCaller, error::ApiError};

/// Creates an agent of the caller's account, or changes what the one of that name may have.
#[utoipa::path(put, path = paths::AGENT, request_body = AgentGrant, security(("session" = [])), params(("name" = String, Path)), responses(
    (status = 200, body = AgentView, description = "It existed, and may have this from now on"),
    (status = 201, body = AgentView),
    (status = 400, body = Problem, description = "`invalid_field`, `audience_not_allowed`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 409, body = Problem, description = "`too_many_agents`"),
))]
pub(super) async fn update(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    name: Result<Path<AgentName>, PathRejection>,
    Json(request): Json<AgentGrant>,
) -> Result<(StatusCode, Json<AgentView>), ApiError> {
    let (agent, is_new) = broker.grant_agent(&caller, read(name)?, request, source).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(agent))))
}

/// The agents of the caller's account.
#[utoipa::path(get, path = paths::AGENTS, security(("session" = [])), responses(
    (status = 200, body = Agents),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn list(State(broker): State<Arc<Broker>>, caller: SessionCaller) -> Result<Json<Agents>, ApiError> {
    let agents = broker.agents(&caller).await?;
    Ok(Json(Agents { agents: agents.into_iter().map(view).collect() }))
}

/// Revokes an agent: nothing is minted for it any more.
#[utoipa::path(delete, path = paths::AGENT, security(("session" = [])), params(("name" = String, Path)), responses(
    (status = 204, description = "Revoked"),
    (status = 400, body = Problem, description = "`invalid_field`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 404, body = Problem, description = "`not_found`"),
))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    name: Result<Path<AgentName>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    broker.revoke_agent(&caller, read(name)?, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read(name: Result<Path<AgentName>, PathRejection>) -> Result<AgentName, Problem> {
    let refusal = |_| Problem::new(ErrorCode::InvalidField, "name must be 1 to 32 of a-z, 0-9 and hyphen");
    name.map(|Path(name)| name).map_err(refusal)
}

fn view(agent: Agent) -> AgentView {
    // Each was an audience when it was granted.
    let audiences = agent.audiences.iter().filter_map(|audience| audience.parse().ok()).collect();
    AgentView {
        name: agent.name,
        audiences: Audiences(audiences),
        created_at: agent.created_at,
        expires_at: agent.expires_at,
    }
}
