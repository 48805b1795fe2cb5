//! The development parts, through their real listeners.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "mock_server/bench.rs"]
mod bench;
#[path = "mock_server/logs.rs"]
mod logs;
#[path = "mock_server/mailbox.rs"]
mod mailbox;
#[path = "mock_server/s3.rs"]
mod s3;
#[path = "mock_server/sigv4.rs"]
mod sigv4;
#[path = "mock_server/sts.rs"]
mod sts;
