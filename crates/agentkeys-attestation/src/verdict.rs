use std::fmt;

use agentkeys_api::attestation::{ActivatedCredential, Backend};

use crate::{ActivationError, ActivationRequest, Challenge, Release};

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CheckName {
    /// The answer has the form that this version knows.
    Form,
    /// The policy has an entry for what vouches.
    Backend,
    /// The policy is not older than the one that this signer was last accepted under.
    PolicyVersion,
    /// The evidence answers this very question.
    Nonce,
    /// The TLS key is the one of this connection.
    TlsKey,
    /// What is bound is bound to this very connection.
    Exporter,
    /// The hardware signed what is bound.
    ReportData,
    /// Certificates lead from the key that signed to an anchor of the policy.
    EndorsementChain,
    /// No certificate of the chain is revoked.
    Revocation,
    /// The attestation key cannot leave its TPM, and is the one that is known.
    AttestationKey,
    /// The attestation key is in the TPM that is vouched for.
    Activation,
    /// The hardware's signature.
    Signature,
    /// The hardware's firmware is new enough.
    Tcb,
    /// What was measured at launch.
    Measurement,
    /// What was measured while booting.
    Pcrs,
    /// No command line and no add-on came from outside the measured image.
    CommandLine,
    /// Nobody can debug it.
    Debug,
    /// It runs on a machine that the policy names.
    Machine,
    /// The release is not too old.
    Release,
    /// The master secret is the one that is known.
    Identity,
    /// The signing log is the one that is known, and was not cut off.
    Log,
    /// It signs nothing but what the policy lets it.
    Purpose,
}

impl CheckName {
    /// The name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Backend => "backend",
            Self::PolicyVersion => "policy_version",
            Self::Nonce => "nonce",
            Self::TlsKey => "tls_key",
            Self::Exporter => "exporter",
            Self::ReportData => "report_data",
            Self::EndorsementChain => "endorsement_chain",
            Self::Revocation => "revocation",
            Self::AttestationKey => "attestation_key",
            Self::Activation => "activation",
            Self::Signature => "signature",
            Self::Tcb => "tcb",
            Self::Measurement => "measurement",
            Self::Pcrs => "pcrs",
            Self::CommandLine => "command_line",
            Self::Debug => "debug",
            Self::Machine => "machine",
            Self::Release => "release",
            Self::Identity => "identity",
            Self::Log => "log",
            Self::Purpose => "purpose",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it must be.
    Passed,
    /// Not as it must be: nothing may be sent to this signer.
    Failed,
    /// The worker has to prove it first, with [`Verdict::activation`].
    Pending,
    /// There is no such thing here.
    NotApplicable,
}

impl Outcome {
    /// The outcome for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// One thing that was looked at, and how it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: CheckName,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, or what is wrong: one sentence without its full stop.
    pub detail: String,
}

impl Check {
    pub(crate) fn passed(name: CheckName, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Passed, detail: detail.into() }
    }

    pub(crate) fn failed(name: CheckName, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Failed, detail: detail.into() }
    }

    pub(crate) fn pending(name: CheckName, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Pending, detail: detail.into() }
    }

    pub(crate) fn not_applicable(name: CheckName, detail: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::NotApplicable, detail: detail.into() }
    }

    pub(crate) fn of<T: Into<String>, E: Into<String>>(name: CheckName, result: Result<T, E>) -> Self {
        match result {
            Ok(detail) => Self::passed(name, detail),
            Err(detail) => Self::failed(name, detail),
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// What evidence came to, check by check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) backend: Backend,
    pub(crate) checks: Vec<Check>,
    pub(crate) release: Option<Release>,
    pub(crate) ak_name: Option<Vec<u8>>,
    pub(crate) ek_sha256: Option<[u8; 32]>,
    pub(crate) activation: Option<ActivationRequest>,
}

impl Verdict {
    /// Whether the signer is genuine: every check that applies has passed.
    pub fn accepted(&self) -> bool {
        let is_good = |check: &Check| matches!(check.outcome, Outcome::Passed | Outcome::NotApplicable);
        !self.checks.is_empty() && self.checks.iter().all(is_good)
    }

    /// Everything that was looked at, in the order in which it is best read.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The first check that did not pass.
    pub fn failed(&self) -> Option<&Check> {
        let failed = self.checks.iter().find(|check| check.has_failed());
        failed.or_else(|| self.checks.iter().find(|check| check.outcome == Outcome::Pending))
    }

    /// What vouches.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The release that has the measurements, by the entry of the policy that fits best.
    pub fn release(&self) -> Option<Release> {
        self.release
    }

    /// The name of the attestation key, to be pinned once the verdict is [accepted](Self::accepted).
    pub fn ak_name(&self) -> Option<&[u8]> {
        self.ak_name.as_deref()
    }

    /// The SHA-256 of the endorsement key that vouches for the attestation key, to be remembered with it; nothing where
    /// the policy names the attestation key itself.
    pub fn ek_sha256(&self) -> Option<[u8; 32]> {
        self.ek_sha256
    }

    /// What the worker must still prove, where that is all that is missing.
    pub fn activation(&self) -> Option<&ActivationRequest> {
        if self.checks.iter().any(Check::has_failed) { None } else { self.activation.as_ref() }
    }

    /// Judges the worker's answer to a challenge of [`activation`](Self::activation).
    pub fn activated(&mut self, challenge: &Challenge, reply: &ActivatedCredential) {
        let asked = self.activation.take().is_some_and(|request| request.is_of(challenge));
        let result = if asked { challenge.judge(reply) } else { Err(ActivationError::AnotherKey) };
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == CheckName::Activation) {
            let result = result.map(|()| "the TPM that is vouched for holds the attestation key");
            *check = Check::of(CheckName::Activation, result.map_err(|error| error.to_string()));
        }
    }
}
