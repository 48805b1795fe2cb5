//! Keeps one person's session and credentials fresh on one machine and hands them to agents.
//!
//! [`Daemon`] derives and links the wallet once; for each mint it walks challenge, sign, verify, mint, assume.
//! [`Cached`] keeps what a [`CredentialSource`] gave and renews it in time; [`Socket`] is where agents ask, and only
//! those of the same user are answered. [`run`] is the whole process around it.

mod alarm;
mod args;
mod cached;
mod consumer_token;
mod daemon;
mod endpoint;
mod hand_outs;
mod peer;
mod private_file;
mod problem;
mod routes;
mod run;
mod service_manager;
mod socket;
mod source;
mod standing;
mod token_file;

pub use alarm::Alarm;
pub use args::DaemonArgs;
pub use cached::Cached;
pub use consumer_token::ConsumerToken;
pub use daemon::{Daemon, DaemonConfig, Running};
pub use endpoint::{Endpoint, EndpointDesk, EndpointError, RunningEndpoint};
pub use hand_outs::{Door, HandOut, HandOutLog, Outcome, read_last};
pub use peer::{Peer, PeerPolicy};
pub use private_file::PrivateFileError;
pub use run::{RunError, run};
pub use service_manager::ServiceManager;
pub use socket::{Socket, SocketError};
pub use source::{CredentialSource, Issued, WalletSource};
pub use token_file::TokenFile;
