//! What travels between AgentKeys processes: paths, bodies and problem codes.
//!
//! [`paths`] names the routes. Each request is a struct whose fields are parsed types: [`read_body`] refuses
//! everything else with the [`Problem`] that belongs to it. Replies are plain `serde` structs. The OpenAPI
//! description is made from these types.

mod agent;
pub mod attestation;
mod backup;
mod body;
pub mod daemon;
mod device;
pub mod headers;
mod identity;
mod log;
mod oauth;
pub mod paths;
mod problem;
mod session;
mod sign_in;
mod signer;
mod wallet;
mod web_identity;

pub use agent::{AgentGrant, AgentView, Agents, Audiences};
pub use backup::{RestoreProgress, SealedShare, ShareRecipient};
pub use body::{Body, Field, Fields, Text, Value, read_body};
pub use daemon::{
    AccessKind, AccessRequest, AccessRequested, Allowed, AllowedRole, ContainerCredentials, ContainerProblem,
    DaemonCredentials, DaemonState, DaemonStatus, DaemonToken, RoleStatus,
};
pub use device::{DeviceState, DeviceView, Devices, PinnedBy, RecoveryWait, WaitSeconds};
pub use identity::{
    Identities, LinkEmail, LinkOauth, LinkOauthStarted, LinkOauthVerify, LinkPending, LinkedIdentity, Pending,
};
pub use log::{
    BackupEntry, BackupShares, CounterEntry, DeviceChange, DeviceEntry, LogEntry, SigningEntry, SigningOutcome,
};
pub use oauth::{
    AUTHORIZATION_CODE_GRANT, AuthorizationServer, DEVICE_CODE_GRANT, DeviceAuthorization, OAUTH_CLIENT, OauthError,
    OauthProblem, TokenReply,
};
pub use problem::{ErrorCode, Problem};
pub use session::{IdentityView, SessionKind, SessionList, SessionView, Standing, StandingRequest};
pub use sign_in::{EmailStart, EmailStarted, EmailVerify, SignedIn, TokenType};
pub use signer::{Address, DeriveAddress, Health, Message, SignMessage, Signature};
pub use wallet::{
    ChainId, LinkStatus, WalletChallenge, WalletLink, WalletLinkView, WalletLinked, WalletLinks, WalletProved,
    WalletStart, WalletVerify,
};
pub use web_identity::{Audience, MintOidcJwt, MintedOidcJwt};
