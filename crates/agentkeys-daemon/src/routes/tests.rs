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
    for call in ["GET /v1/credentials?profile=default", "GET /v1/status", "POST /v1/stop", "GET /healthz", "GET /a"] {
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
