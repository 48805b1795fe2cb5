use std::{io, path::PathBuf, sync::Arc, time::Duration};

use agentkeys_api::{
    AccessRequest, AccessRequested, Allowed, Audience, DaemonCredentials, DaemonStatus, DaemonToken, Problem, daemon,
};
use agentkeys_types::{AgentName, RoleName};
use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::{ClientError, Dispenser, ProfileName};

const LARGEST_ANSWER: usize = 64 * 1024;
/// All that a hand-out can need: each of the eight steps has a limit of its own.
const LONGEST_FETCH: Duration = Duration::from_mins(2);
/// All that a change can need: the answers under way may take five seconds.
const LONGEST_CHANGE: Duration = Duration::from_secs(15);

/// Asks the daemon of this machine.
#[derive(Clone, Debug)]
pub struct DaemonClient {
    socket: PathBuf,
    /// The profile that the daemon must serve; an agent's own socket serves only one.
    profile: Option<ProfileName>,
}

impl DaemonClient {
    /// A client of the daemon that listens on `socket` and serves `profile`.
    pub fn new(socket: PathBuf, profile: ProfileName) -> Self {
        Self { socket, profile: Some(profile) }
    }

    /// A client of the socket that the daemon keeps for one agent.
    pub fn of_agent(socket: PathBuf) -> Self {
        Self { socket, profile: None }
    }

    /// What the caller, or this agent of theirs, may have.
    pub async fn allowed(&self, agent: Option<&AgentName>) -> Result<Allowed, ClientError> {
        self.show(&self.target(daemon::ALLOWED, &[("agent", agent.map(AgentName::as_str))])).await
    }

    /// Asks a person for more.
    pub async fn request_access(&self, request: &AccessRequest) -> Result<AccessRequested, ClientError> {
        let body = serde_json::to_vec(request).map_err(|_| self.unexpected("it was not asked properly"))?;
        self.call(Method::POST, daemon::REQUESTS, body).await
    }

    /// Has the daemon read its settings and the agents anew.
    pub async fn reload(&self) -> Result<DaemonStatus, ClientError> {
        self.call(Method::POST, daemon::RELOAD, Vec::new()).await
    }

    /// Ends the daemon; how it was doing until then.
    pub async fn stop(&self) -> Result<DaemonStatus, ClientError> {
        self.call(Method::POST, daemon::STOP, Vec::new()).await
    }

    /// How the daemon is doing.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.show(daemon::STATUS).await
    }

    /// The path with its query: what is none stays out of it.
    fn target(&self, path: &str, parameters: &[(&str, Option<&str>)]) -> String {
        let profile = self.profile.as_ref().map(ProfileName::as_str);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("profile", profile)].iter().chain(parameters) {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    async fn show<A: DeserializeOwned>(&self, target: &str) -> Result<A, ClientError> {
        self.call(Method::GET, target, Vec::new()).await
    }

    /// A daemon may have to fetch first what it is asked for; one that says nothing for longer than that is not there.
    async fn call<A: DeserializeOwned>(&self, method: Method, target: &str, body: Vec<u8>) -> Result<A, ClientError> {
        let patience = if method == Method::GET { LONGEST_FETCH } else { LONGEST_CHANGE };
        let answer = tokio::time::timeout(patience, self.exchange(method, target, body)).await;
        answer.unwrap_or_else(|_| Err(self.unreachable(io::ErrorKind::TimedOut.into())))
    }

    async fn exchange<A: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Vec<u8>,
    ) -> Result<A, ClientError> {
        let no_daemon = || ClientError::NoDaemon { socket: self.socket.clone() };
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => no_daemon(),
            _ => self.unreachable(error),
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| no_daemon())?;
        let exchange = async {
            let request = Request::builder().method(method).uri(target).header(HOST, "localhost");
            let request = if body.is_empty() { request } else { request.header(CONTENT_TYPE, "application/json") };
            let request = request.body(Full::new(Bytes::from(body)));
            let request = request.map_err(|_| self.unexpected("it was not asked properly"))?;
            let response = sender.send_request(request).await.map_err(|_| no_daemon())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|_| self.unexpected("it is broken off or too large"))?.to_bytes();
            Ok::<_, ClientError>((status, body))
        };
        // The connection does the work. It may end with the answer, as it does when the daemon stops: then all of it
        // is here.
        tokio::pin!(connection, exchange);
        let (status, body) = tokio::select! {
            exchanged = &mut exchange => exchanged?,
            _ = &mut connection => exchange.await?,
        };
        let body = Zeroizing::new(Vec::from(body));
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.unexpected("its body is not the one of this route"));
        }
        let problem: Problem =
            serde_json::from_slice(&body).map_err(|_| self.unexpected("it is an error without our error shape"))?;
        Err(ClientError::Problem { problem, retry_after: None })
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        ClientError::Unreachable { url: self.socket.display().to_string(), source: Arc::new(error) }
    }

    fn unexpected(&self, reason: &'static str) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.socket.display().to_string(), reason }
    }
}

/// # Errors
///
/// [`ClientError::NoDaemon`] when nobody listens.
#[async_trait]
impl Dispenser for DaemonClient {
    async fn credentials(&self, role: &RoleName, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        let role = (!role.is_default()).then_some(role.as_str());
        self.show(&self.target(daemon::CREDENTIALS, &[("role", role), ("agent", agent.map(AgentName::as_str))])).await
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        let parameters = [("audience", Some(audience.as_str())), ("agent", agent.map(AgentName::as_str))];
        self.show(&self.target(daemon::TOKEN, &parameters)).await
    }
}
