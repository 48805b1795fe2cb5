use agentkeys_api::attestation::{AttestationEvidence, Backend, Bound, EXPORTER_LABEL, SigningPurpose};
use agentkeys_crypto::ReportData;
use agentkeys_types::Timestamp;

use crate::{
    Accept, Check, CheckName, Policy, Release, Verdict, azure_vtpm, log, nitro,
    report::{Context, Report},
    sev_snp, tdx, tpm2, wire,
};

/// Holds evidence against a policy.
#[derive(Clone, Debug)]
pub struct Verifier {
    policy: Policy,
}

/// What the one who asked knows.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The nonce that was asked with.
    pub nonce: [u8; 32],
    /// The connection on which the evidence came.
    pub channel: Channel,
    /// What is remembered of this signer.
    pub pinned: &'a Pinned,
    /// How far the worker must be.
    pub stage: Stage,
}

/// How far a worker is: one in another stage than the expected one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for the shares of a backup, and has neither master secret nor log.
    Restoring {
        /// The identity that those shares are of. A policy that names an identity names this one.
        identity_pub: [u8; 33],
    },
    /// It has its master secret, and signs.
    Signing,
}

/// A TLS connection, as the evidence binds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The SHA-256 of the peer's `SubjectPublicKeyInfo`.
    pub spki_sha256: [u8; 32],
    /// What this very connection exports under `EXPORTER-agentkeys-attest`.
    pub exporter: [u8; 32],
}

/// What is remembered of a signer that was accepted before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// The name of its attestation key.
    pub ak_name: Option<Vec<u8>>,
    /// The SHA-256 of the endorsement key (`SubjectPublicKeyInfo`) with which it was activated.
    pub ek_sha256: Option<[u8; 32]>,
    /// The public key that only its master secret gives.
    pub identity_pub: Option<[u8; 33]>,
    /// The version of the policy under which it was accepted.
    pub policy_version: Option<u64>,
    /// The last checkpoint of its log.
    pub checkpoint: Option<String>,
}

impl Verifier {
    /// Verifies by that policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges evidence as of `now`: runs every check that can be run, also after one has failed.
    pub fn verify(
        &self,
        unverified_evidence: &AttestationEvidence,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Verdict {
        let evidence = unverified_evidence;
        let identity = wire::hex::<33>("identity_pub", &evidence.bound.identity_pub);
        let report_data = identity.as_ref().ok().map(|identity| report_data(evidence, expected, identity));
        let is_under_this_policy = expected.pinned.policy_version == Some(self.policy.version);
        let context = Context {
            now,
            revoked: &self.policy.revoked,
            pinned_ak: expected.pinned.ak_name.as_deref(),
            activated_ek: expected.pinned.ek_sha256.filter(|_| is_under_this_policy),
            sha256: report_data.map(|data| data.sha256()),
            sha512: report_data.map(|data| data.sha512()),
            nonce: &expected.nonce,
            stage: expected.stage,
        };
        let report = self.backend(evidence, &context);
        let mut checks = vec![
            Check::of(CheckName::Form, form(evidence)),
            Check::of(CheckName::Backend, self.has_entry(evidence.backend)),
            Check::of(CheckName::PolicyVersion, self.policy_version(expected.pinned)),
            Check::of(CheckName::Nonce, nonce(evidence, expected)),
            Check::of(CheckName::TlsKey, tls_key(evidence, expected)),
            Check::of(CheckName::Exporter, exporter(evidence, &context)),
        ];
        checks.extend(report.checks);
        checks.extend([
            Check::of(CheckName::Release, self.release(evidence, report.release)),
            Check::of(
                CheckName::Identity,
                identity.and_then(|identity| self.identity(identity, &evidence.bound, expected)),
            ),
            Check::of(CheckName::Log, self.log(&evidence.bound, expected)),
            Check::of(CheckName::Purpose, self.purpose(evidence.bound.purpose)),
        ]);
        Verdict {
            backend: evidence.backend,
            checks,
            release: report.release,
            ak_name: report.ak_name,
            ek_sha256: report.ek_sha256,
            activation: report.activation,
        }
    }

    fn backend(&self, evidence: &AttestationEvidence, context: &Context<'_>) -> Report {
        let entries = || self.policy.accept.iter();
        let report = match evidence.backend {
            Backend::Tpm2 => tpm2::verify(evidence, context, entries().filter_map(Accept::as_tpm2)),
            Backend::AzureVtpm => azure_vtpm::verify(evidence, context, entries().filter_map(Accept::as_azure_vtpm)),
            Backend::SevSnp => sev_snp::verify(evidence, context, entries().filter_map(Accept::as_sev_snp)),
            Backend::Tdx => tdx::verify(evidence, context, entries().filter_map(Accept::as_tdx)),
            Backend::Nitro => nitro::verify(evidence, context, entries().filter_map(Accept::as_nitro)),
            _ => None,
        };
        report.unwrap_or_else(|| Report::new(Vec::new()))
    }

    fn has_entry(&self, backend: Backend) -> Result<String, String> {
        let name = serde_json::to_string(&backend).unwrap_or_default();
        let name = name.trim_matches('"').to_owned();
        if self.policy.accept.iter().any(|entry| entry.backend() == backend) {
            Ok(name)
        } else {
            Err(format!("the policy accepts no {name}"))
        }
    }

    fn policy_version(&self, pinned: &Pinned) -> Result<String, String> {
        match pinned.policy_version {
            Some(last) if last > self.policy.version => {
                Err(format!("the policy is version {}, after version {last}", self.policy.version))
            }
            _ => Ok(format!("version {}", self.policy.version)),
        }
    }

    /// The worker's own word for its version counts for nothing, but must not contradict the measurements.
    fn release(&self, evidence: &AttestationEvidence, measured: Option<Release>) -> Result<String, String> {
        let release = measured.ok_or("no entry of the policy fits")?;
        if release < self.policy.min_release {
            return Err(format!("release {release} is older than {}", self.policy.min_release));
        }
        if evidence.swversion.parse() != Ok(release) {
            return Err(format!("the measurements are those of release {release}, which the worker denies"));
        }
        Ok(format!("release {release}"))
    }

    fn identity(&self, identity: [u8; 33], bound: &Bound, expected: &Expected<'_>) -> Result<String, String> {
        match (expected.stage, bound.restoring_key()) {
            (Stage::Signing, Some(_)) => {
                Err("it waits for the shares of a backup, and has no master secret yet".to_owned())
            }
            (Stage::Signing, None) => self.known_identity(identity, expected.pinned),
            (Stage::Restoring { .. }, None) => {
                Err("it does not wait for the shares of a backup: it has a master secret".to_owned())
            }
            (Stage::Restoring { identity_pub }, Some(_)) => match self.policy.identity_pub {
                Some(named) if named != identity_pub => {
                    Err("the share is of another master secret than the one that the policy names".to_owned())
                }
                Some(_) => Ok("it waits for shares of the master secret that the policy names".to_owned()),
                None => Ok("it waits for the shares of a backup".to_owned()),
            },
        }
    }

    fn log(&self, bound: &Bound, expected: &Expected<'_>) -> Result<String, String> {
        match expected.stage {
            Stage::Signing => log::verify(bound, &self.policy, expected.pinned),
            Stage::Restoring { .. } if bound.log_vkey.is_empty() && bound.log_checkpoint.is_empty() => {
                Ok("it has none while it waits".to_owned())
            }
            Stage::Restoring { .. } => Err("it has a signing log, so it does not wait for shares".to_owned()),
        }
    }

    fn known_identity(&self, identity: [u8; 33], pinned: &Pinned) -> Result<String, String> {
        if !matches!(identity[0], 2 | 3) {
            return Err("`identity_pub` is not a compressed key".to_owned());
        }
        let known = [(self.policy.identity_pub, "the policy names"), (pinned.identity_pub, "was seen before")];
        let mut passed = "nothing to compare it with: it is trusted on first use".to_owned();
        for (key, why) in known {
            match key {
                Some(key) if key != identity => return Err(format!("the master secret is not the one that {why}")),
                Some(_) => passed = format!("the master secret is the one that {why}"),
                None => {}
            }
        }
        Ok(passed)
    }

    fn purpose(&self, purpose: SigningPurpose) -> Result<&'static str, &'static str> {
        match purpose {
            SigningPurpose::WalletProof => Ok("it signs nothing but proofs of a wallet"),
            SigningPurpose::AnyMessage if self.policy.allow_any_message => {
                Ok("it would sign any message, as the policy allows")
            }
            SigningPurpose::AnyMessage => Err("it would sign any message"),
        }
    }
}

fn report_data<'a>(
    evidence: &'a AttestationEvidence,
    expected: &'a Expected<'_>,
    identity_pub: &'a [u8; 33],
) -> ReportData<'a> {
    let bound = &evidence.bound;
    ReportData {
        nonce: &expected.nonce,
        tls_spki_sha256: &expected.channel.spki_sha256,
        exporter: &expected.channel.exporter,
        identity_pub,
        log_vkey: &bound.log_vkey,
        log_checkpoint: &bound.log_checkpoint,
        boot_counter: bound.boot_counter,
        signs_any_message: bound.purpose == SigningPurpose::AnyMessage,
    }
}

fn form(evidence: &AttestationEvidence) -> Result<&'static str, String> {
    if evidence.v != 1 {
        return Err(format!("the evidence is of version {}, not 1", evidence.v));
    }
    if evidence.swname != "agentkeys-tee-worker" {
        return Err("it is not a worker of AgentKeys".to_owned());
    }
    if evidence.dbgstat != "disabled-since-boot" {
        return Err("the worker itself says that it can be debugged".to_owned());
    }
    Ok("version 1")
}

fn nonce(evidence: &AttestationEvidence, expected: &Expected<'_>) -> Result<&'static str, String> {
    let answered = wire::hex::<32>("eat_nonce", &evidence.eat_nonce)?;
    if answered == expected.nonce {
        Ok("it answers this question")
    } else {
        Err("it answers another question".to_owned())
    }
}

fn tls_key(evidence: &AttestationEvidence, expected: &Expected<'_>) -> Result<&'static str, String> {
    let bound = wire::hex::<32>("tls_spki_sha256", &evidence.bound.tls_spki_sha256)?;
    if bound == expected.channel.spki_sha256 {
        Ok("the TLS key of this connection is the bound one")
    } else {
        Err("the TLS key of this connection is not the bound one".to_owned())
    }
}

/// The exported value is never sent, so this compares the hash of everything that is bound.
fn exporter(evidence: &AttestationEvidence, context: &Context<'_>) -> Result<&'static str, &'static str> {
    if evidence.bound.exporter_label != EXPORTER_LABEL {
        return Err("it exports under another label");
    }
    let is = |expected: Option<String>| expected.is_some_and(|expected| expected == evidence.report_data);
    if is(context.sha256.map(hex::encode)) || is(context.sha512.map(hex::encode)) {
        Ok("it is bound to this connection")
    } else {
        Err("it is bound to another connection")
    }
}

#[cfg(test)]
mod tests;
