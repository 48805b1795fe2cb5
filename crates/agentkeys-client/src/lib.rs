//! Typed clients for broker, signer and STS, the eight-step flow, and session storage.
//!
//! [`Flow`] walks from a sign-in to AWS credentials over a [`BrokerClient`], a [`SignerClient`] and an
//! [`StsClient`], which share one [`Http`]. A person signs in by [`request_session_token`] with a code from a mail, by
//! [`sign_in_by_browser`] on the same machine, or by [`sign_in_by_device`] on any other. [`SessionTokenKeyStore`] keeps
//! the [`Session`] between runs ([`SessionStorage`] says which one), [`Config`] holds the settings, [`Places`] says
//! where things lie, and [`DaemonClient`] asks the daemon of this machine instead: it is a [`Dispenser`], and
//! [`AgentBook`] says what it gives to which agent. Whatever fails is a [`ClientError`],
//! which knows its [`Exit`] code. [`Conformance`] holds a signer against the wire contract.

mod agent_book;
mod agent_folder;
mod attested;
mod aws_names;
mod broker;
mod config;
mod conformance;
#[cfg(unix)]
mod daemon_client;
mod devices;
mod dispenser;
mod error;
mod exit;
mod flow;
mod http;
mod linking;
mod patience;
mod places;
mod plain_answer;
mod profile;
mod renewal;
mod role;
mod server_url;
mod session;
mod session_token_key_store;
mod sign_in;
mod signer;
mod siwe;
mod sts;

pub use agent_book::{Agent, AgentBook, AgentPages, AgentRequest};
pub use agent_folder::AgentFolder;
pub use attested::{
    AttestationPolicy, Examined, KeptAttestations, KeptDevices, KeptSigner, RestoringWorker, SignerTrust, read_policy,
    read_release_key, signature_of,
};
pub use aws_names::{Region, RoleArn, SessionDuration};
pub use broker::BrokerClient;
pub use config::{AwsSettings, Config, ConfigError, DaemonSettings, RoleSettings, Settings, TokenFileSettings};
pub use conformance::{Checked, Conformance, Outcome, SpareSessions};
#[cfg(unix)]
pub use daemon_client::DaemonClient;
pub use dispenser::Dispenser;
pub use error::ClientError;
pub use exit::Exit;
pub use flow::{Flow, Observer, Step, Walked, WalletProof};
pub use http::Http;
pub use linking::{Linked, link_email, link_oauth};
pub use places::Places;
pub use plain_answer::PlainAnswer;
pub use profile::ProfileName;
pub use renewal::Renewal;
pub use role::{Role, SessionNamePattern, SessionPolicy};
pub use server_url::ServerUrl;
pub use session::Session;
pub use session_token_key_store::{
    AskedStorage, FileStore, KeychainStore, MemoryStore, PassphrasePrompt, SessionStorage, SessionTokenKeyStore,
    StorageError, StoreChoice, StoreKey, TerminalPrompt,
};
pub use sign_in::{
    Binding, BrowserScreen, CodePrompt, DevicePage, DeviceScreen, EmailSignIn, OauthSignIn, request_session_token,
    sign_in_by_browser, sign_in_by_device,
};
pub use signer::{Attestation, DeviceNews, SignerClient};
pub use siwe::ChallengeFault;
pub use sts::{StsClient, StsError};
