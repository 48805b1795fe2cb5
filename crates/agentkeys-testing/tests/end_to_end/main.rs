//! The main job, from a sign-in to AWS credentials, by the real binaries on free ports.
//!
//! They must have been built: `cargo build --workspace --bins`.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod agents;
mod another_signer;
mod browser_sign_in;
mod dev;
mod device_key;
mod linking;
mod machine;
mod recovery;
mod revocation;
mod run;
mod servers;
mod stores;
mod terminal;
mod visitor;
mod waiting;

use std::sync::Arc;

use agentkeys_testing::{System, TestProvider};
use agentkeys_types::SystemClock;

/// The servers, and a provider `acme` that signs `g-1001` in, whom it knows as `ada@acme.example`.
async fn acme() -> (System, TestProvider) {
    let provider = TestProvider::start(Arc::new(SystemClock)).await;
    provider.sign_in_as("g-1001", Some(("ada@acme.example", true)));
    (System::start_with_provider(&provider).await, provider)
}
