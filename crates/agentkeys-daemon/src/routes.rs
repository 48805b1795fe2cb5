#[cfg(test)]
mod tests;

use std::sync::Arc;

use agentkeys_api::{
    AccessRequest, AccessRequested, Allowed, Audience, ContainerCredentials, DaemonCredentials, DaemonStatus,
    DaemonToken, ErrorCode, Health, Problem, daemon, paths,
};
use agentkeys_client::ClientError;
use agentkeys_http::{Json as StrictJson, Refusal};
use agentkeys_types::{AgentName, RoleName};
use axum::{
    Json, Router,
    extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::{Consumer, Desk, Door, Peer, Visitor, control::Controls, problem};

/// One socket: whose it is, and the desk behind it.
#[derive(Clone)]
pub(crate) struct Station {
    pub(crate) desk: Arc<Desk>,
    pub(crate) consumer: Consumer,
    pub(crate) controls: Controls,
}

/// The routes of one socket. What steers the daemon is on the person's alone.
pub(crate) fn router(station: Station) -> Router {
    let router = Router::new()
        .route(daemon::ALLOWED, get(allowed))
        .route(daemon::CONTAINER, get(container))
        .route(daemon::CREDENTIALS, get(credentials))
        .route(daemon::REQUESTS, post(request_access))
        .route(daemon::TOKEN, get(token))
        .route(paths::HEALTHZ, get(health));
    let router = match station.consumer {
        Consumer::Agent(_) => router,
        Consumer::Person => router
            .route(daemon::RELOAD, post(reload))
            .route(daemon::STATUS, get(status))
            .route(daemon::STOP, post(stop)),
    };
    router
        .fallback(async || Refusal::new(ErrorCode::NotFound, "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Refusal::new(ErrorCode::MethodNotAllowed, "this path takes other methods")
        })
        .layer(middleware::from_fn_with_state(station.clone(), admitted_only))
        .with_state(station)
}

/// The process at the other end of a connection, as the kernel knows it.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Arc<Peer>>);

impl Caller {
    /// Whoever has just connected.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        Self(Peer::of(stream).ok().map(Arc::new))
    }
}

/// The modes of folder and socket keep others out already; this holds where somebody loosened them.
async fn admitted_only(State(station): State<Station>, request: Request, next: Next) -> Result<Response, Refusal> {
    let caller = request.extensions().get::<ConnectInfo<Caller>>().and_then(|ConnectInfo(Caller(peer))| peer.clone());
    match caller {
        Some(peer) if station.desk.rules().admits(&station.consumer, &peer, is_hand_out(request.uri().path())) => {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        caller => {
            station.desk.turn_away(station.door(), caller.as_deref(), ErrorCode::PeerNotAllowed);
            Err(Refusal::new(ErrorCode::PeerNotAllowed, "this daemon answers neither this user nor this program"))
        }
    }
}

/// Whether something is handed out there, so that it matters which program asks.
fn is_hand_out(path: &str) -> bool {
    let container = daemon::CONTAINER.trim_end_matches("{role}");
    [daemon::CREDENTIALS, daemon::TOKEN].contains(&path) || path.starts_with(container)
}

impl FromRequestParts<Station> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, station: &Station) -> Result<Self, Refusal> {
        let peer = parts.extensions.get::<ConnectInfo<Caller>>().and_then(|ConnectInfo(Caller(peer))| peer.clone());
        Ok(Self { consumer: station.consumer.clone(), door: station.door(), peer: peer.map(|peer| (*peer).clone()) })
    }
}

/// What stands in a query. The person's socket wants to hear the profile, because another daemon may serve another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    profile: Option<String>,
    role: Option<RoleName>,
    audience: Option<Audience>,
    agent: Option<AgentName>,
}

impl Asked {
    fn read(query: Result<Query<Self>, QueryRejection>, station: &Station) -> Result<Self, Refusal> {
        let invalid = |detail| Refusal::new(ErrorCode::InvalidField, detail);
        let Ok(Query(asked)) = query else {
            return Err(invalid("the query is ?profile= with the name of a profile, and what is asked for"));
        };
        match &asked.profile {
            Some(profile) if profile != station.desk.profile().as_str() => {
                Err(Refusal::new(ErrorCode::NotFound, "this daemon serves another profile"))
            }
            None if station.consumer == Consumer::Person => {
                Err(invalid("the query is ?profile= with the name of a profile"))
            }
            _ => Ok(asked),
        }
    }
}

/// `GET /v1/credentials?profile=&role=&agent=`
async fn credentials(
    State(station): State<Station>,
    visitor: Visitor,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<DaemonCredentials>, Refusal> {
    let Asked { role, audience: None, agent, .. } = Asked::read(query, &station)? else {
        return Err(Refusal::new(ErrorCode::InvalidField, "credentials are for AWS, and take no audience"));
    };
    let answer = station.desk.hand_out_credentials(&visitor, &role.unwrap_or_default(), agent.as_ref()).await;
    Ok(Json(answer.map_err(told)?))
}

/// `GET /v1/container/{role}`
async fn container(
    State(station): State<Station>,
    visitor: Visitor,
    Path(role): Path<String>,
) -> Result<Json<ContainerCredentials>, Refusal> {
    let role: RoleName =
        role.parse().map_err(|_| Refusal::new(ErrorCode::NotFound, "no role of the settings has such a name"))?;
    let answer = station.desk.hand_out_credentials(&visitor, &role, None).await;
    Ok(Json(answer.map_err(told)?.into()))
}

/// `GET /v1/token?profile=&audience=&agent=`
async fn token(
    State(station): State<Station>,
    visitor: Visitor,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<DaemonToken>, Refusal> {
    let Asked { role: None, audience, agent, .. } = Asked::read(query, &station)? else {
        return Err(Refusal::new(ErrorCode::InvalidField, "a JWT has an audience, and no role"));
    };
    let audience = audience.unwrap_or_else(Audience::aws_sts);
    let answer = station.desk.hand_out_token(&visitor, &audience, agent.as_ref()).await;
    Ok(Json(answer.map_err(told)?))
}

/// `GET /v1/allowed?profile=&agent=`
async fn allowed(
    State(station): State<Station>,
    visitor: Visitor,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Allowed>, Refusal> {
    let Asked { role: None, audience: None, agent, .. } = Asked::read(query, &station)? else {
        return Err(Refusal::new(ErrorCode::InvalidField, "everything that is allowed is listed at once"));
    };
    Ok(Json(station.desk.allowed(&visitor, agent.as_ref())?))
}

/// `POST /v1/requests`
async fn request_access(
    State(station): State<Station>,
    visitor: Visitor,
    StrictJson(request): StrictJson<AccessRequest>,
) -> Result<(StatusCode, Json<AccessRequested>), Refusal> {
    Ok((StatusCode::ACCEPTED, Json(station.desk.request_access(&visitor, request).await?)))
}

/// `POST /v1/reload`
async fn reload(State(station): State<Station>) -> Result<Json<DaemonStatus>, Refusal> {
    station.controls.reload().await.map_err(|error| {
        tracing::warn!(%error, "the settings cannot be used, so the ones before stay");
        Refusal::new(ErrorCode::InvalidField, format!("the settings cannot be used: {error}"))
    })?;
    Ok(Json(station.status()))
}

/// `GET /v1/status`
async fn status(State(station): State<Station>) -> Json<DaemonStatus> {
    Json(station.status())
}

/// `POST /v1/stop`
async fn stop(State(station): State<Station>) -> impl IntoResponse {
    station.controls.ask_to_stop();
    Json(station.status())
}

/// `GET /healthz`
async fn health() -> Json<Health> {
    Json(Health::ok())
}

impl Station {
    fn door(&self) -> Door {
        match self.consumer {
            Consumer::Agent(_) => Door::AgentSocket,
            Consumer::Person => Door::Socket,
        }
    }

    fn status(&self) -> DaemonStatus {
        DaemonStatus { endpoint: self.controls.endpoint(), ..self.desk.status() }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands for a closure")]
fn told(error: ClientError) -> Problem {
    problem::of(&error)
}
