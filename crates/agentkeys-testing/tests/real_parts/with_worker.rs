//! All of the system with the TEE worker as its signer, in use and under attack.

mod restarts;
mod same_device;
mod same_settings;
mod secrets;
mod taken_over_broker;

use agentkeys_api::ErrorCode;
use agentkeys_client::ClientError;

/// The code with which a server refused.
fn refusal<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> ErrorCode {
    match answer {
        Err(ClientError::Problem { problem, .. }) => problem.error,
        other => panic!("it was not refused by a server: {other:?}"),
    }
}
