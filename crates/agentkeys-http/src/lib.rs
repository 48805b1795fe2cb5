//! The HTTP manners that all AgentKeys servers share.
//!
//! [`Server`] serves a router: one place for time limits, allowed hosts, request ids, panics, log lines and
//! metrics. [`Json`] reads a body strictly. [`Refusal`] is the one shape in which anything is refused.
//! [`bearer_token`] finds the token of a request.

mod bearer;
mod json;
mod manners;
mod refusal;
mod server;
mod watched;
mod wiped;

pub use bearer::bearer_token;
pub use json::Json;
pub use manners::{Hosts, Source, TrustedProxies};
pub use refusal::Refusal;
pub use server::{Running, Server, ServerError, router};
