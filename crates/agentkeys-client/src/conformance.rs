//! Holds a signer against the wire contract: the development signer and the TEE worker must answer alike.
//!
//! One file for each group of checks. A check is a sentence and a function that finds a fault in what the signer
//! answers; what depends on what the signer signs follows what it says of itself. Raw requests go through a [`Wire`],
//! since a typed client could not send what must be refused.

mod addresses;
mod attestation;
mod bench;
mod call;
mod determinism;
mod errors;
mod gate;
mod limits;
mod replies;
mod signatures;
mod wire;

use std::{future::Future, pin::Pin};

use agentkeys_api::attestation::SigningPurpose;
use serde::Serialize;

use self::bench::Bench;
pub(crate) use self::wire::{RawAnswer, Wire};
use crate::{ClientError, Flow, Session};

/// Sessions that are made to be refused, where whoever checks can open them.
#[derive(Clone, Debug, Default)]
pub struct SpareSessions {
    /// One of the same account that is bound to no device key.
    pub unbound: Option<Session>,
    /// One that was revoked.
    pub revoked: Option<Session>,
    /// One whose time is over.
    pub expired: Option<Session>,
    /// One of another account.
    pub of_another_account: Option<Session>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The signer does as it must.
    Passed,
    /// It does not.
    Failed {
        /// What it did instead.
        reason: String,
    },
    /// It was not tried.
    LeftOut {
        /// What is missing for it.
        reason: String,
    },
}

/// One check and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// What it is about, in one word.
    pub group: &'static str,
    /// What must be so.
    pub check: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// All checks of one signer.
#[derive(Clone, Debug, Serialize)]
pub struct Conformance {
    /// Where the signer is.
    pub signer: String,
    /// What it says that it signs; nothing where it is not attested.
    pub purpose: Option<SigningPurpose>,
    /// Every check, in the order in which they were made.
    pub checks: Vec<Checked>,
}

impl Conformance {
    /// Checks the signer of `flow`, as the holder of `session`, whose wallet is linked and proved on the way.
    ///
    /// # Errors
    ///
    /// When there is nothing to check with: broker or signer do not answer, or the session is none of theirs.
    pub async fn check(flow: &Flow, session: &Session, spare: SpareSessions) -> Result<Self, ClientError> {
        Self::check_and_show(flow, session, spare, |_| {}).await
    }

    /// Checks it as [`check`](Self::check) does, and shows each check as soon as it was made.
    ///
    /// # Errors
    ///
    /// As those of [`check`](Self::check).
    pub async fn check_and_show(
        flow: &Flow,
        session: &Session,
        spare: SpareSessions,
        mut show: impl FnMut(&Checked),
    ) -> Result<Self, ClientError> {
        let bench = Bench::set_up(flow, session, spare).await?;
        let mut checks = Vec::new();
        // The replies are looked at last, when there are some.
        for group in [
            addresses::GROUP,
            signatures::GROUP,
            determinism::GROUP,
            errors::GROUP,
            limits::GROUP,
            gate::GROUP,
            attestation::GROUP,
            replies::GROUP,
        ] {
            for check in group.checks {
                let outcome = (check.run)(&bench).await.into();
                let checked = Checked { group: group.name, check: check.sentence, outcome };
                show(&checked);
                checks.push(checked);
            }
        }
        Ok(Self { signer: flow.signer.url().to_string(), purpose: bench.purpose, checks })
    }

    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| matches!(checked.outcome, Outcome::Failed { .. }))
    }

    /// The checks that were not tried.
    pub fn left_out(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| matches!(checked.outcome, Outcome::LeftOut { .. }))
    }
}

/// Checks of one kind.
#[derive(Clone, Copy)]
struct Group {
    name: &'static str,
    checks: &'static [Check],
}

/// One thing that must be so.
struct Check {
    sentence: &'static str,
    run: for<'b> fn(&'b Bench) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'b>>,
}

/// Makes a [`Check`] of a sentence and an async function.
macro_rules! check {
    ($sentence:literal, $function:path) => {
        crate::conformance::Check { sentence: $sentence, run: |bench| Box::pin($function(bench)) }
    };
}
use check;

type Verdict = Result<(), Fault>;

/// Why a check did not pass.
#[derive(Debug)]
enum Fault {
    Wrong(String),
    LeftOut(&'static str),
}

impl Fault {
    /// Finds a fault unless `is_so`.
    fn unless(is_so: bool, reason: impl FnOnce() -> String) -> Verdict {
        if is_so { Ok(()) } else { Err(Self::Wrong(reason())) }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(()) => Self::Passed,
            Err(Fault::Wrong(reason)) => Self::Failed { reason },
            Err(Fault::LeftOut(reason)) => Self::LeftOut { reason: reason.to_owned() },
        }
    }
}
