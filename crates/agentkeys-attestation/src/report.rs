//! What each backend reports to the verifier.

use std::collections::BTreeSet;

use agentkeys_types::Timestamp;

use crate::{
    ActivationRequest, Check, CheckName, PcrValues, Release, Stage,
    certificate::{Anchors, Certificate, verify_chain},
};

/// What a backend judges by, besides the entries of the policy.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) revoked: &'a BTreeSet<[u8; 32]>,
    pub(crate) pinned_ak: Option<&'a [u8]>,
    /// The SHA-256 of the endorsement key with which that one was activated, under this very policy.
    pub(crate) activated_ek: Option<[u8; 32]>,
    /// What must be bound, in the form that TPMs quote; nothing when it cannot be known.
    pub(crate) sha256: Option<[u8; 32]>,
    /// In the form that fills a report.
    pub(crate) sha512: Option<[u8; 64]>,
    pub(crate) nonce: &'a [u8; 32],
    pub(crate) stage: Stage,
}

impl Context<'_> {
    /// Whether the hardware signed what must be bound.
    pub(crate) fn bound(&self, unverified: &[u8]) -> Check {
        let is_ours = match unverified.len() {
            32 => self.sha256.is_some_and(|expected| expected == unverified),
            64 => self.sha512.is_some_and(|expected| expected == unverified),
            _ => false,
        };
        let wrong = "the hardware signed another nonce, TLS key, connection, identity or log";
        Check::of(CheckName::ReportData, if is_ours { Ok("what is bound is what was signed") } else { Err(wrong) })
    }

    /// The checks of a chain, and of what is known to be revoked.
    pub(crate) fn chain(&self, leaf: &Certificate, above: &[Certificate], anchors: &Anchors<'_>) -> [Check; 2] {
        match verify_chain(leaf, above, anchors, self.now) {
            Err(error) => [
                Check::failed(CheckName::EndorsementChain, error.to_string()),
                Check::not_applicable(CheckName::Revocation, "there is no chain to look at"),
            ],
            Ok(chain) => {
                let anchor = chain.last().map(|anchor| anchor.subject()).unwrap_or_default();
                let found = format!("{} certificates lead to {anchor}", chain.len());
                [Check::passed(CheckName::EndorsementChain, found), self.revocation(&chain)]
            }
        }
    }

    pub(crate) fn revocation(&self, chain: &[&Certificate]) -> Check {
        let name = CheckName::Revocation;
        if chain.iter().any(|certificate| self.revoked.contains(&certificate.sha256())) {
            return Check::failed(name, "the policy lists a certificate of the chain as revoked");
        }
        if self.revoked.is_empty() {
            return Check::not_applicable(name, "the policy lists no revoked certificates");
        }
        Check::passed(name, "no certificate of the chain is on the policy's list")
    }
}

/// What a backend found.
pub(crate) struct Report {
    pub(crate) checks: Vec<Check>,
    /// The release of the entry that fits best.
    pub(crate) release: Option<Release>,
    pub(crate) ak_name: Option<Vec<u8>>,
    /// The SHA-256 of the endorsement key that vouches for it.
    pub(crate) ek_sha256: Option<[u8; 32]>,
    pub(crate) activation: Option<ActivationRequest>,
}

impl Report {
    /// For evidence that cannot even be read.
    pub(crate) fn unreadable(name: CheckName, reason: impl Into<String>) -> Self {
        Self::new(vec![Check::failed(name, reason)])
    }

    pub(crate) fn new(checks: Vec<Check>) -> Self {
        Self { checks, release: None, ak_name: None, ek_sha256: None, activation: None }
    }

    /// Whichever of the two has fewer failures, the first where they are equal.
    pub(crate) fn better(self, other: Self) -> Self {
        let failures = |report: &Self| report.checks.iter().filter(|check| check.has_failed()).count();
        if failures(&other) < failures(&self) { other } else { self }
    }
}

/// Judges by each entry; the one that fits best counts.
pub(crate) fn best<'a, T: 'a>(entries: impl Iterator<Item = &'a T>, judge: impl Fn(&T) -> Report) -> Option<Report> {
    entries.map(judge).reduce(Report::better)
}

/// Whether each register that the policy names has one of the values that it names.
pub(crate) fn registers<const N: usize>(
    what: &str,
    policy: &PcrValues<N>,
    found: impl Fn(u8) -> Option<[u8; N]>,
) -> Result<String, String> {
    for (number, values) in policy {
        let value = found(*number).ok_or_else(|| format!("{what} {number} is not in the evidence"))?;
        if !values.contains(&value) {
            return Err(format!("{what} {number} is {}, which the policy does not list", hex::encode(value)));
        }
    }
    let names: Vec<String> = policy.keys().map(u8::to_string).collect();
    Ok(format!("{what} {} as the policy lists them", names.join(", ")))
}
