//! A client of rmcp's own at the tools, over a daemon that answers what a test says.

use std::sync::{Arc, Mutex};

use agentkeys_api::{
    AccessKind, AccessRequest, AccessRequested, Allowed, AllowedRole, Audience, DaemonCredentials, DaemonToken,
    ErrorCode, Problem,
};
use agentkeys_client::{ClientError, Dispenser};
use agentkeys_mcp::{AgentDaemon, AgentTools, ServeError, serve};
use agentkeys_types::{AgentName, Clock, RoleName, Timestamp};
use async_trait::async_trait;
use rmcp::{
    RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, JsonObject, Tool},
    service::RunningService,
};
use serde_json::Value;
use tokio::task::JoinHandle;

pub(crate) const ACCESS_KEY_ID: &str = "ASIAPLANTEDACCESSKEY";
pub(crate) const SECRET_ACCESS_KEY: &str = "pl4ntedS3cretAcc/ssKey+Needle";
pub(crate) const SESSION_TOKEN: &str = "pl4ntedSess/onT0ken+Needle==";
pub(crate) const SESSION_TOKEN_IN_A_URL: &str = "pl4ntedSess%2FonT0ken%2BNeedle%3D%3D";
pub(crate) const NOW: &str = "2026-11-26T12:00:00Z";

/// The tools, and who calls them.
pub(crate) struct Bench {
    pub(crate) daemon: Arc<FakeDaemon>,
    pub(crate) client: RunningService<RoleClient, ()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Bench {
    /// The tools of the agent `claude`.
    pub(crate) async fn start() -> Self {
        Self::over(FakeDaemon::default()).await
    }

    pub(crate) async fn over(daemon: FakeDaemon) -> Self {
        let daemon = Arc::new(daemon);
        let shared: Arc<dyn AgentDaemon> = Arc::<FakeDaemon>::clone(&daemon);
        let tools = AgentTools::new(shared, Arc::new(Stopped)).for_agent("claude".parse().unwrap());
        let (here, there) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(there);
        let served = tokio::spawn(serve(tools, reader, writer));
        Self { daemon, client: ().serve(here).await.unwrap(), served }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        self.call_with(tool, arguments).await
    }

    pub(crate) async fn call_with(&self, tool: &str, arguments: JsonObject) -> CallToolResult {
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.client.call_tool(request).await.unwrap()
    }

    pub(crate) async fn tools(&self) -> Vec<Tool> {
        self.client.list_all_tools().await.unwrap()
    }

    /// Closes the client's end; how serving ended.
    pub(crate) async fn close(self) -> Result<(), ServeError> {
        self.client.cancel().await.unwrap();
        self.served.await.unwrap()
    }
}

/// A daemon with one answer for each question, which remembers what it was asked.
#[derive(Debug)]
pub(crate) struct FakeDaemon {
    pub(crate) failure: Mutex<Option<ClientError>>,
    pub(crate) credentials: Mutex<DaemonCredentials>,
    pub(crate) allowed: Allowed,
    pub(crate) request_id: String,
    calls: Mutex<Vec<String>>,
}

impl FakeDaemon {
    /// One that refuses everything with this code.
    pub(crate) fn refusing(error: ErrorCode, detail: &'static str) -> Self {
        Self::failing(ClientError::Problem { problem: Problem::new(error, detail), retry_after: None })
    }

    pub(crate) fn failing(error: ClientError) -> Self {
        Self { failure: Mutex::new(Some(error)), ..Self::default() }
    }

    /// One whose credentials differ in this.
    pub(crate) fn with(change: impl FnOnce(&mut DaemonCredentials)) -> Self {
        let daemon = Self::default();
        change(&mut daemon.credentials.lock().unwrap());
        daemon
    }

    /// What was asked so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn answer<T>(&self, call: String, answer: T) -> Result<T, ClientError> {
        self.calls.lock().unwrap().push(call);
        self.failure.lock().unwrap().clone().map_or(Ok(answer), Err)
    }
}

impl Default for FakeDaemon {
    fn default() -> Self {
        let credentials = DaemonCredentials {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.into(),
            session_token: SESSION_TOKEN.into(),
            expires_at: "2026-11-26T12:15:00Z".parse().unwrap(),
            region: "eu-west-1".to_owned(),
            endpoint_url: None,
            role_arn: "arn:aws:iam::123456789012:role/agents".to_owned(),
            role: RoleName::default(),
            agent: Some("claude".parse().unwrap()),
            wallet: "0x74144a5f826537a8610B136552c6fFEc9D37A6dE".parse().unwrap(),
            account: "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6".parse().unwrap(),
        };
        let role = AllowedRole {
            name: RoleName::default(),
            role_arn: "arn:aws:iam::123456789012:role/agents".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        Self {
            failure: Mutex::new(None),
            credentials: Mutex::new(credentials),
            allowed: Allowed {
                agent: Some("claude".parse().unwrap()),
                expires_at: Some("2026-12-24T00:00:00Z".parse().unwrap()),
                roles: vec![role],
                audiences: vec![Audience::aws_sts()],
            },
            request_id: "r7".to_owned(),
            calls: Mutex::default(),
        }
    }
}

#[async_trait]
impl Dispenser for FakeDaemon {
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        let credentials = self.credentials.lock().unwrap().clone();
        self.answer(format!("credentials {role} {}", of(agent)), credentials)
    }

    async fn token(&self, _audience: &Audience, _agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        panic!("no tool has a use for a JWT")
    }
}

#[async_trait]
impl AgentDaemon for FakeDaemon {
    async fn allowed(&self, agent: Option<&AgentName>) -> Result<Allowed, ClientError> {
        self.answer(format!("allowed {}", of(agent)), self.allowed.clone())
    }

    async fn request_access(&self, request: &AccessRequest) -> Result<AccessRequested, ClientError> {
        let kind = match request.kind {
            AccessKind::Audience => "audience",
            AccessKind::Role => "role",
        };
        let AccessRequest { name, reason, agent, .. } = request;
        let call = format!("request {kind} {name} {} {reason}", of(agent.as_ref()));
        self.answer(call, AccessRequested { id: self.request_id.clone() })
    }
}

fn of(agent: Option<&AgentName>) -> &str {
    agent.map_or("-", AgentName::as_str)
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
}

/// The text of an answer.
pub(crate) fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

/// What an answer has for programs, where the tool did what was asked.
pub(crate) fn done(result: &CallToolResult) -> &Value {
    assert_eq!(result.is_error, Some(false), "{result:?}");
    result.structured_content.as_ref().unwrap()
}

/// The code of a refusal.
pub(crate) fn code(result: &CallToolResult) -> &str {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    result.structured_content.as_ref().unwrap()["error"].as_str().unwrap()
}
