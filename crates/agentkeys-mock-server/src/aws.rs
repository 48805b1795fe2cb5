//! A stand-in for the two AWS services at the end of the chain. It exists for development.
//!
//! One address answers for both, as `AWS_ENDPOINT_URL` names only one. STS `AssumeRoleWithWebIdentity`
//! fetches the issuer's keys and verifies the JWT as AWS does, with AWS's own error codes; S3 checks
//! SigV4 and the session token, and allows a session nothing but `bots/<its wallet tag>/`.
//!
//! What it is not: it takes no session policies and no flattened tags, knows one role and one bucket,
//! keeps credentials in memory and speaks HTTP without TLS. Objects are files in a folder, so a key is at
//! most some 120 bytes long, and `a` and `a/b` cannot both be objects.

mod front_door;
mod role;
mod role_session;
mod s3;
mod session_token;
mod sts;
mod web_identity;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use agentkeys_crypto::private_file;
use agentkeys_http::{Running, Server, ServerError};
use agentkeys_types::Clock;

use self::{
    front_door::FrontDoor,
    role::Role,
    role_session::RoleSessions,
    s3::SimpleStorage,
    sts::{SessionLengths, Sts},
    web_identity::Verifier,
};

/// What the stand-in needs to know.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the objects, made at start.
    pub data: PathBuf,
    /// The one role that can be assumed.
    pub role_arn: String,
    /// The one bucket, made at start.
    pub bucket: String,
    /// The issuers whose web identities may assume the role.
    pub trusted: Vec<Trust>,
    /// The shortest session that can be asked for.
    pub shortest_session: Duration,
    /// The length of a session where none is asked for.
    pub default_session: Duration,
}

impl AwsConfig {
    /// The role that development uses when nothing else is said.
    pub const DEFAULT_ROLE_ARN: &str = "arn:aws:iam::000000000000:role/agentkeys-dev";
    /// The bucket that development uses when nothing else is said.
    pub const DEFAULT_BUCKET: &str = "agentkeys-dev";
    /// The shortest session that AWS gives.
    pub const SHORTEST_SESSION: Duration = Duration::from_mins(15);
    /// The session that AWS gives where no length is asked for.
    pub const DEFAULT_SESSION: Duration = Duration::from_hours(1);
}

/// An OpenID Connect provider as an AWS account would register it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The exact `iss` of its tokens; keys are fetched from there.
    pub issuer: String,
    /// The audiences that its tokens may be for.
    pub audiences: Vec<String>,
}

/// Why the stand-in did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name is not one that S3 would take for a bucket.
    #[error("`{0}` is not a bucket name: 3 to 63 lowercase letters, digits, dots and hyphens")]
    Bucket(String),
    /// The folder of the objects could not be made or used.
    #[error("the folder {0} could not be used: {1}")]
    Folder(PathBuf, #[source] io::Error),
    /// The client that fetches issuers' keys could not be made.
    #[error("no HTTP client could be made")]
    HttpClient(#[from] reqwest::Error),
    /// The role is not named as AWS names roles.
    #[error("`{0}` is not a role ARN, such as arn:aws:iam::000000000000:role/agentkeys-dev")]
    RoleArn(String),
    /// Nothing can listen there.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// STS and S3 at one address. For development only.
#[derive(Debug)]
pub struct AwsStandIn;

impl AwsStandIn {
    /// Starts answering. DEV ONLY: nothing here holds anything worth protecting.
    pub async fn start(config: AwsConfig, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        let role = Role::new(&config.role_arn).ok_or_else(|| StartError::RoleArn(config.role_arn.clone()))?;
        if !s3s::path::check_bucket_name(&config.bucket) {
            return Err(StartError::Bucket(config.bucket));
        }
        let folder = config.data.join(&config.bucket);
        private_file::create_folder(&folder).map_err(|error| StartError::Folder(folder.clone(), error))?;

        let sessions = Arc::new(RoleSessions::default());
        let verifier = Verifier::new(config.trusted, clock.clone())?;
        let s3 = SimpleStorage::new(&config.data, &config.bucket, &sessions, &clock)?;
        let lengths = SessionLengths { shortest: config.shortest_session, unless_asked: config.default_session };
        let front_door = FrontDoor::new(Sts::new(role, lengths, verifier, sessions, clock), s3);

        let server = Server::bind("aws", config.listen).await?;
        tracing::warn!(address = %server.address(), "DEV ONLY: a stand-in for AWS listens");
        Ok(server.serve(front_door.into_router()))
    }
}
