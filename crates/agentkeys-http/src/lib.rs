//! The HTTP manners that all AgentKeys servers share.
//!
//! [`Server`] serves a router: one place for time limits, allowed hosts, request ids, panics, log lines and
//! metrics; it speaks TLS where it has a [`TlsIdentity`]. [`Json`] reads a body strictly, and so does [`form`]. [`Refusal`] is the one shape in which anything is refused.
//! [`presentation`] finds the token of a request, and [`dpop_proof`] the proof that goes with it.

mod authorization;
mod body;
mod descriptors;
mod form;
mod json;
mod manners;
mod refusal;
mod server;
mod tls_channel;
mod tls_identity;
mod watched;
mod wiped;

pub use authorization::{dpop_proof, holder_code, presentation};
pub use form::{Parameters, form};
pub use json::Json;
pub use manners::{Hosts, Nonces, Source, Target, TrustedProxies};
pub use refusal::Refusal;
pub use server::{Running, Server, ServerError, router};
pub use tls_channel::TlsChannel;
pub use tls_identity::{TlsError, TlsIdentity};
