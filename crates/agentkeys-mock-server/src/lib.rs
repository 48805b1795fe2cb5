//! Development parts: signer, mailbox and AWS stand-in. For development only.
//!
//! [`AwsStandIn`] is the AWS at the end of the chain: an STS that verifies the web-identity JWT as AWS
//! does, and an S3 that lets a session touch nothing but its own wallet's prefix. [`Mailbox`] keeps the
//! mails that [`SmtpListener`] takes, for people on a page and for programs in memory.

pub mod aws;
#[cfg(feature = "dev-key-service")]
pub mod dev_key_service;
pub mod mailbox;

pub use aws::{AwsConfig, AwsStandIn, StartError, Trust};
pub use mailbox::{Mail, Mailbox, SmtpListener};
