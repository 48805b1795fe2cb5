use std::{fmt, sync::Arc};

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_crypto::ReportData;
use agentkeys_signer::AttestError;
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{Platform, Vouched};

#[cfg(any(test, feature = "mock-nsm"))]
mod mock;

#[cfg(any(test, feature = "mock-nsm"))]
pub use mock::MockNsm;

/// The security module of a Nitro Enclave.
///
/// The trust anchor belongs to the provider: whoever holds the mock also holds its root, and cannot name AWS's.
pub trait NsmProvider: Send + Sync + fmt::Debug {
    /// The root under which its documents are verified, as a policy names it.
    fn anchor(&self) -> &'static str;

    /// An attestation document (`COSE_Sign1`) with this `user_data`.
    fn document(&self, user_data: &[u8; 64]) -> Result<Vec<u8>, AttestError>;
}

/// An AWS Nitro Enclave.
#[derive(Debug)]
pub struct Nitro {
    provider: Arc<dyn NsmProvider>,
}

impl Nitro {
    /// One whose documents come from `provider`.
    pub fn new(provider: Arc<dyn NsmProvider>) -> Self {
        tracing::info!(anchor = provider.anchor(), "a Nitro security module vouches");
        Self { provider }
    }
}

impl Platform for Nitro {
    fn backend(&self) -> Backend {
        Backend::Nitro
    }

    fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError> {
        let report_data = report_data.sha512();
        let document = self.provider.document(&report_data)?;
        Ok(Vouched {
            report_data: hex::encode(report_data),
            evidence: RawEvidence { report: Some(BASE64_STANDARD.encode(document)), ..RawEvidence::default() },
            endorsements: Endorsements::default(),
        })
    }
}
