//! What the daemon answers on its socket.

use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// The profile's credentials, fresh: takes `?profile=`.
pub const CREDENTIALS: &str = "/v1/credentials";
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
    /// The wallet that assumed it.
    pub wallet: EvmAddress,
    /// The account that the wallet is proved for.
    pub account: OmniAccount,
}

/// Whether credentials are to be had from a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
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
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}
