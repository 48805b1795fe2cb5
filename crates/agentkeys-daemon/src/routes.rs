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
    extract::{
        ConnectInfo, FromRequestParts, Path, Query, Request, State, connect_info::Connected, rejection::QueryRejection,
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use serde::Deserialize;
use tokio::net::UnixListener;

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

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(Peer::of(stream.io()).ok().map(Arc::new))
    }
}

/// The modes of folder and socket keep others out already; this holds where somebody loosened them.
async fn admitted_only(State(station): State<Station>, request: Request, next: Next) -> Result<Response, Refusal> {
    let caller = request.extensions().get::<ConnectInfo<Caller>>().and_then(|ConnectInfo(Caller(peer))| peer.clone());
    match caller {
        Some(peer) if station.desk.rules().admits(&station.consumer, &peer) => {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use agentkeys_client::{Agent, AgentBook, AgentPages, AwsSettings, DaemonSettings, Places, ProfileName, Role};
    use agentkeys_types::{Clock, SystemClock, Timestamp};
    use async_trait::async_trait;
    use axum::body::Body;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tempfile::TempDir;
    use tower::ServiceExt;

    use super::*;
    use crate::{CredentialSource, HandOutLog, Rules, read_last, socket::own_uid};

    /// Gives nothing, because nobody is signed in.
    #[derive(Debug)]
    struct Nothing;

    #[async_trait]
    impl CredentialSource for Nothing {
        async fn credentials(&self, _: &Role, _: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
            Err(ClientError::NotSignedIn)
        }

        async fn token(&self, _: &Audience, _: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
            Err(ClientError::NotSignedIn)
        }
    }

    struct Bench {
        home: TempDir,
        desk: Arc<Desk>,
    }

    impl Bench {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let places = Places::new(home.path(), None, None, None);
            let profile = ProfileName::default();
            let aws = AwsSettings {
                role_arn: Some("arn:aws:iam::000000000000:role/agentkeys-dev".parse().unwrap()),
                ..AwsSettings::default()
            };
            let claude = Agent {
                roles: BTreeSet::from([RoleName::default()]),
                audiences: BTreeSet::from([Audience::aws_sts()]),
                created_at: Timestamp::from_unix(0),
                expires_at: None,
                token_file: None,
            };
            let mut pages = AgentPages::default();
            pages.agents.insert("claude".parse().unwrap(), claude);
            let rules = Rules::new(aws, DaemonSettings::default(), pages);
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let log = HandOutLog::open(&places.hand_outs(&profile)).unwrap();
            let book = AgentBook::of(&places, &profile);
            let desk = Desk::new(profile, rules, Arc::new(Nothing), book, log, clock);
            Self { home, desk: Arc::new(desk) }
        }

        fn router(&self, consumer: Consumer) -> Router {
            let (controls, _) = Controls::new();
            router(Station { desk: Arc::clone(&self.desk), consumer, controls })
        }

        async fn ask(&self, consumer: Consumer, uid: Option<u32>, call: &str) -> (StatusCode, Value) {
            let (head, body) = call.split_once(" {").unwrap_or((call, ""));
            let (method, target) = head.split_once(' ').unwrap();
            let body = if body.is_empty() { String::new() } else { format!("{{{body}") };
            let request = Request::builder().method(method).uri(target).header("content-type", "application/json");
            let mut request = request.body(Body::from(body)).unwrap();
            if let Some(uid) = uid {
                let peer = Arc::new(Peer { uid, pid: Some(1), executable: None });
                request.extensions_mut().insert(ConnectInfo(Caller(Some(peer))));
            }
            let response = self.router(consumer).oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        }

        async fn person(&self, call: &str) -> (StatusCode, Value) {
            self.ask(Consumer::Person, Some(own_uid()), call).await
        }

        async fn claude(&self, call: &str) -> (StatusCode, Value) {
            self.ask(Consumer::Agent("claude".parse().unwrap()), Some(own_uid()), call).await
        }
    }

    #[tokio::test]
    async fn another_user_is_refused_everywhere() {
        let bench = Bench::new();
        for call in ["GET /v1/credentials?profile=default", "GET /v1/status", "POST /v1/stop", "GET /healthz", "GET /a"]
        {
            for uid in [Some(own_uid() + 1), None] {
                let (status, body) = bench.ask(Consumer::Person, uid, call).await;

                assert_eq!((status, &body["error"]), (StatusCode::FORBIDDEN, &"peer_not_allowed".into()), "{call}");
            }
        }
    }

    #[tokio::test]
    async fn each_mistake_has_its_answer() {
        let bench = Bench::new();
        for (call, status, code) in [
            ("GET /v1/credentials", 400, "invalid_field"),
            ("GET /v1/credentials?profile=default&token=a", 400, "invalid_field"),
            ("GET /v1/credentials?profile=default&role=a&role=b", 400, "invalid_field"),
            ("GET /v1/credentials?profile=default&role=../a", 400, "invalid_field"),
            ("GET /v1/credentials?profile=default&audience=a", 400, "invalid_field"),
            ("GET /v1/credentials?profile=default&agent=nobody", 400, "agent_unknown"),
            ("GET /v1/credentials?profile=default&role=other", 404, "not_found"),
            ("GET /v1/credentials?profile=other", 404, "not_found"),
            ("GET /v1/credentials?profile=default", 401, "token_expired"),
            ("GET /v1/container/default", 401, "token_expired"),
            ("GET /v1/container/..%2fa", 404, "not_found"),
            ("GET /v1/token?profile=default&audience=", 400, "invalid_field"),
            ("GET /v1/token?profile=default&role=a", 400, "invalid_field"),
            ("GET /v1/token?profile=default&audience=vault&agent=claude", 403, "agent_not_allowed"),
            ("GET /v1/allowed?profile=default&agent=nobody", 400, "agent_unknown"),
            ("POST /v1/credentials?profile=default", 405, "method_not_allowed"),
            ("POST /v1/requests {\"kind\":\"role\",\"name\":\"default\",\"reason\":\"r\"}", 400, "invalid_field"),
            (
                "POST /v1/requests {\"kind\":\"session_token\",\"name\":\"a\",\"reason\":\"r\"}",
                403,
                "secret_not_exportable",
            ),
            ("GET /v1/nothing", 404, "not_found"),
        ] {
            let (answered, body) = bench.person(call).await;

            assert_eq!((answered.as_u16(), &body["error"]), (status, &code.into()), "{call}: {body}");
        }
    }

    #[tokio::test]
    async fn an_agent_speaks_for_itself_and_steers_nothing() {
        let bench = Bench::new();
        for (call, status, code) in [
            ("GET /v1/credentials?agent=codex", 403, "agent_not_allowed"),
            ("GET /v1/credentials", 401, "token_expired"),
            ("GET /v1/token?audience=vault", 403, "agent_not_allowed"),
            ("GET /v1/status", 404, "not_found"),
            ("POST /v1/reload", 404, "not_found"),
            ("POST /v1/stop", 404, "not_found"),
        ] {
            let (answered, body) = bench.claude(call).await;

            assert_eq!((answered.as_u16(), &body["error"]), (status, &code.into()), "{call}: {body}");
        }
    }

    #[tokio::test]
    async fn an_agent_sees_what_it_was_given() {
        let bench = Bench::new();

        let (_, own) = bench.claude("GET /v1/allowed").await;
        let (_, persons) = bench.person("GET /v1/allowed?profile=default").await;

        assert_eq!(own["agent"], "claude");
        assert_eq!(own["roles"][0]["name"], "default");
        assert_eq!(own["audiences"][0], "sts.amazonaws.com");
        assert_eq!(persons["agent"], Value::Null);
    }

    #[tokio::test]
    async fn a_request_for_more_waits_in_the_book_once() {
        let bench = Bench::new();
        let wanted = "POST /v1/requests {\"kind\":\"audience\",\"name\":\"vault\",\"reason\":\"to read a key\"}";

        let (status, first) = bench.claude(wanted).await;
        let (_, again) = bench.claude(wanted).await;

        let places = Places::new(bench.home.path(), None, None, None);
        let pages = AgentBook::of(&places, &ProfileName::default()).read().unwrap();
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(first["id"], again["id"]);
        assert_eq!(pages.requests.len(), 1);
        assert_eq!((pages.requests[0].name.as_str(), pages.requests[0].reason.as_str()), ("vault", "to read a key"));
    }

    #[tokio::test]
    async fn who_asked_for_what_and_what_came_of_it_is_recorded() {
        let bench = Bench::new();

        bench.claude("GET /v1/credentials").await;
        bench.person("GET /v1/token?profile=default&audience=vault&agent=claude").await;

        let places = Places::new(bench.home.path(), None, None, None);
        let lines = read_last(&places.hand_outs(&ProfileName::default()), 10).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].outcome, crate::Outcome::Refused(ErrorCode::TokenExpired));
        assert_eq!((lines[0].door, lines[0].uid), (Door::AgentSocket, Some(own_uid())));
        assert_eq!(lines[1].outcome, crate::Outcome::Refused(ErrorCode::AgentNotAllowed));
        assert_eq!((lines[1].door, lines[1].agent.as_ref().map(AgentName::as_str)), (Door::Socket, Some("claude")));
    }
}
