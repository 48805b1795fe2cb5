//! What the daemon answers on its sockets and its endpoint.

use agentkeys_types::{AgentName, EvmAddress, OidcJwt, OmniAccount, RoleName, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Audience, Body, Field, Fields, Problem, Text, body::Value, problem::ErrorCode};

/// Credentials of a role, fresh: takes `?profile=`, and `&role=` and `&agent=` where they are not the default ones.
pub const CREDENTIALS: &str = "/v1/credentials";
/// A web-identity JWT, fresh: takes `?audience=`, and `&profile=` and `&agent=` as credentials do.
pub const TOKEN: &str = "/v1/token";
/// Credentials of a role as the container credentials provider of AWS SDKs takes them.
pub const CONTAINER: &str = "/v1/container/{role}";
/// What the caller may have: takes `?agent=`.
pub const ALLOWED: &str = "/v1/allowed";
/// Asks a person for more.
pub const REQUESTS: &str = "/v1/requests";
/// Reads the settings and the agents anew.
pub const RELOAD: &str = "/v1/reload";
/// Ends the daemon.
pub const STOP: &str = "/v1/stop";
/// How the daemon is doing.
pub const STATUS: &str = "/v1/status";

/// Credentials for an agent. The only reply of the daemon that carries them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonCredentials {
    /// Names the credentials; not a secret.
    pub access_key_id: String,
    /// Signs requests.
    #[serde(serialize_with = "expose")]
    pub secret_access_key: SecretString,
    /// Goes with every request.
    #[serde(serialize_with = "expose")]
    pub session_token: SecretString,
    /// When AWS stops accepting them.
    pub expires_at: Timestamp,
    /// The region to use them in.
    pub region: String,
    /// An S3 and STS other than Amazon's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The role that they are of.
    pub role_arn: String,
    /// What the settings call it.
    #[serde(default)]
    pub role: RoleName,
    /// The agent that they are for, if it is not the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The wallet that assumed it.
    pub wallet: EvmAddress,
    /// The account that the wallet is proved for.
    pub account: OmniAccount,
}

/// A web-identity JWT for an agent. The only reply of the daemon that carries one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonToken {
    /// The JWT, for the relying party.
    #[serde(serialize_with = "expose_jwt")]
    pub jwt: OidcJwt,
    /// Whom it is for.
    pub audience: Audience,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The agent that it names, if it is not the person's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The wallet that it speaks for.
    pub wallet: EvmAddress,
}

/// Credentials in the words of the container credentials provider of AWS SDKs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerCredentials {
    /// Names the credentials; not a secret.
    pub access_key_id: String,
    /// Signs requests.
    #[serde(serialize_with = "expose")]
    pub secret_access_key: SecretString,
    /// Goes with every request.
    #[serde(serialize_with = "expose")]
    pub token: SecretString,
    /// When AWS stops accepting them, with `Z`: the SDK for JavaScript takes no other form.
    pub expiration: Timestamp,
}

impl From<DaemonCredentials> for ContainerCredentials {
    fn from(credentials: DaemonCredentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            token: credentials.session_token,
            expiration: credentials.expires_at,
        }
    }
}

/// A refusal in the words that AWS SDKs show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerProblem {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl From<&Problem> for ContainerProblem {
    fn from(problem: &Problem) -> Self {
        Self { code: problem.error, message: problem.detail.to_string() }
    }
}

/// What an agent, or the person, may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// The agent; none where it is the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// When that ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The roles.
    pub roles: Vec<AllowedRole>,
    /// The audiences of JWTs; empty where the broker alone decides.
    pub audiences: Vec<Audience>,
}

/// A role that somebody may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedRole {
    /// What the settings call it.
    pub name: RoleName,
    /// The role in AWS.
    pub role_arn: String,
    /// The region to use it in.
    pub region: String,
}

/// What an agent can ask a person for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessKind {
    /// The audience of a JWT.
    Audience,
    /// A role of the settings.
    Role,
}

impl Field for AccessKind {
    const CODE: ErrorCode = ErrorCode::SecretNotExportable;
    const EXPECTED: &'static str = "must be role or audience: nothing else can be given";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        match text.as_str() {
            "audience" => Some(Self::Audience),
            "role" => Some(Self::Role),
            _ => None,
        }
    }
}

/// Asks a person for something more.
#[derive(Clone, Debug, Serialize)]
pub struct AccessRequest {
    /// What kind of thing.
    pub kind: AccessKind,
    /// Which one: the name of a role, or an audience.
    pub name: String,
    /// What for, in the agent's words.
    pub reason: String,
    /// The agent, where the socket is not its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
}

impl Body for AccessRequest {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let Text(name) = fields.required("name")?;
        let Text(reason) = fields.required("reason")?;
        Ok(Self { kind: fields.required("kind")?, name, reason, agent: fields.optional("agent")? })
    }
}

/// The request is kept until a person answers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessRequested {
    /// Names the request, for the person.
    pub id: String,
}

/// Whether credentials are to be had from a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    /// Nobody has asked for some time: credentials are fetched when somebody does.
    Idle,
    /// Credentials are at hand.
    Ready,
    /// None are at hand, and the last attempt to get some failed; another follows.
    Retrying,
    /// A person must sign in again.
    SignInNeeded,
    /// The first ones are on their way.
    Starting,
}

/// How a daemon is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// The profile that it serves.
    pub profile: String,
    /// Whether credentials are to be had.
    pub state: DaemonState,
    /// The account that it acts for, once it is known.
    pub account: Option<OmniAccount>,
    /// The wallet, once it is known.
    pub wallet: Option<EvmAddress>,
    /// When the credentials at hand end.
    pub credentials_expire_at: Option<Timestamp>,
    /// Why the last attempt to get credentials failed, if it did.
    pub last_error: Option<String>,
    /// What the person should know of: that a device was added, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// The process.
    #[serde(default)]
    pub pid: u32,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// Where AWS SDKs find credentials over HTTP, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What is kept fresh, by role and agent.
    #[serde(default)]
    pub roles: Vec<RoleStatus>,
    /// The agents that have a socket here.
    #[serde(default)]
    pub agents: Vec<AgentName>,
}

/// How it is with the credentials of one role for one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// The role.
    pub role: RoleName,
    /// The agent; none where it is the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// When the credentials at hand end.
    pub expires_at: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
}

fn expose_jwt<S: Serializer>(jwt: &OidcJwt, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(jwt.expose())
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
