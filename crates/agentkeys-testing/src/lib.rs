//! The whole of AgentKeys on a bench, for tests.
//!
//! [`TestBroker`] is a real broker on a free port, with a real mailbox behind real SMTP and a [`ManualClock`].
//! A [`Person`] is signed in there with a [`Device`]; everything they do goes over HTTP and comes back as an [`Answer`].
//! A [`TestBrowser`] shows a [`Page`] after the other, for a [`CommandSignIn`] or a device.
//! A [`Process`] is one of the real binaries, a [`System`] the servers among them; the command runs in a
//! [`Home`]. A [`TestProvider`] is an OpenID Provider, which misbehaves as it is told. A [`Swtpm`] is a TPM, and a
//! [`Worker`] the TEE worker on a [`WorkerMachine`] with one. A [`SessionForger`] has stolen the broker's keys.

#![allow(clippy::missing_panics_doc, reason = "whatever goes wrong on the bench fails the test, by a panic")]

mod answer;
mod broker;
mod browser;
mod clock;
mod command_sign_in;
mod device;
mod home;
mod person;
mod process;
mod provider;
mod session_forger;
mod swtpm;
mod system;
mod worker;

pub use answer::Answer;
pub use broker::{CodesRead, TestBroker, code_in, find_code};
pub use browser::{Form, Page, TestBrowser};
pub use clock::ManualClock;
pub use command_sign_in::CommandSignIn;
pub use device::Device;
pub use home::Home;
pub use person::Person;
pub use process::{Process, ReservedPort};
pub use provider::{Callback, Canned, Endpoint, KeyKind, Part, TestProvider};
pub use session_forger::SessionForger;
pub use swtpm::Swtpm;
pub use system::System;
pub use worker::{Worker, WorkerMachine, policy_entry};
