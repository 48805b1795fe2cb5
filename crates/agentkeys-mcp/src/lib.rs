//! What an agent may do, as tools of the Model Context Protocol.
//!
//! [`AgentTools`] are the tools, over an [`AgentDaemon`], which decides what the agent may have; [`serve`] answers one
//! client, [`serve_stdio`] the one on standard input and output. A tool tells what there is, signs one URL, or asks a
//! person for more. None returns a secret that outlives what it is for: no key, no session token, no JWT leaves this
//! process, whatever the arguments ask for.
//!
//! A question to the person through the client (elicitation) has no place here: the client is the agent's host, and
//! whoever controls the agent may control its answer. A person approves with the command, outside of the client.

mod agent_daemon;
mod agent_tools;
mod answer;
mod arguments;
mod commands;
mod object;
mod refusal;
mod serve;
#[cfg(unix)]
mod stdio;
mod tools;

pub use agent_daemon::AgentDaemon;
pub use agent_tools::AgentTools;
pub use commands::Commands;
pub use serve::{ServeError, serve};
#[cfg(unix)]
pub use stdio::serve_stdio;
