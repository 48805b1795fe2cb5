//! Keeps one person's session and credentials fresh on one machine and hands them to agents.
//!
//! The [`Desk`] is the middle: it decides by the [`Rules`] who may have what, keeps what a [`CredentialSource`] gave
//! ([`Cached`], renewed in time), records each hand-out in a [`HandOutLog`], and only then gives. It knows nothing of
//! sockets. The doors know nothing else: the person's [`Socket`] and each agent's, the [`Endpoint`] for AWS SDKs, and
//! the [`TokenFile`]s; each asks in the name of a [`Visitor`]. [`WalletSource`] walks from the session to credentials.
//! [`Daemon`] puts them together, and [`run`] is the whole process around it.

mod alarm;
mod args;
mod cached;
mod connections;
mod consumer_token;
mod control;
mod daemon;
mod desk;
mod doors;
mod endpoint;
mod hand_outs;
mod keeper;
mod peer;
mod private_file;
mod problem;
mod routes;
mod rules;
mod run;
mod service_manager;
mod shelf;
mod socket;
mod source;
mod standing;
mod token_file;
mod visitor;
mod wallet_source;

pub use alarm::Alarm;
pub use args::{DaemonArgs, rules_of};
pub use cached::{Cached, Condition};
pub use consumer_token::ConsumerToken;
pub use daemon::{Daemon, DaemonConfig, Running};
pub use desk::Desk;
pub use endpoint::{Endpoint, EndpointDesk, EndpointError, RunningEndpoint};
pub use hand_outs::{Door, HandOut, HandOutLog, Outcome, read_last};
pub use peer::{Peer, PeerPolicy};
pub use private_file::PrivateFileError;
pub use problem::of as problem_of;
pub use rules::{ReadRules, Rules};
pub use run::{RunError, run};
pub use service_manager::ServiceManager;
pub use socket::{Socket, SocketError};
pub use source::{CredentialSource, Ending, Fetch};
pub use token_file::TokenFile;
pub use visitor::{Consumer, Visitor};
pub use wallet_source::WalletSource;
