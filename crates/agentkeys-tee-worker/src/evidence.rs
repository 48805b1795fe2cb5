use std::{fmt, sync::Arc};

use agentkeys_api::attestation::{
    ActivateCredential, ActivatedCredential, AttestationEvidence, Backend, Bound, EXPORTER_LABEL, Endorsements,
    RawEvidence, SigningPurpose,
};
use agentkeys_crypto::ReportData;
use agentkeys_http::TlsChannel;
use agentkeys_signer::{AttestError, Attester};

/// What evidence says that its software is.
const SOFTWARE: &str = "agentkeys-tee-worker";

/// Knows the signing log's latest checkpoint.
pub trait LatestCheckpoint: Send + Sync + fmt::Debug {
    /// The signed note.
    fn latest(&self) -> Arc<str>;
}

impl LatestCheckpoint for crate::log::TransparencyLog {
    fn latest(&self) -> Arc<str> {
        self.checkpoint()
    }
}

/// What the worker says of itself, and has vouched for.
#[derive(Debug)]
pub struct Statement {
    /// The public key that only this master secret gives.
    pub identity_pub: [u8; 33],
    /// The verifier key of the signing log.
    pub log_vkey: String,
    /// How far the machine's counter was when the worker started.
    pub boot_counter: u64,
    /// Whether it signs any message.
    pub signs_any_message: bool,
    /// The signing log.
    pub log: Arc<dyn LatestCheckpoint>,
}

/// What a platform says of a hash.
#[derive(Debug)]
pub struct Vouched {
    /// The hash in the form that the platform takes, hex.
    pub report_data: String,
    /// What it says.
    pub evidence: RawEvidence,
    /// Who says that it is one.
    pub endorsements: Endorsements,
}

/// A device that vouches for what runs on it. Its methods block.
pub trait Platform: Send + Sync + fmt::Debug {
    /// Which kind it is.
    fn backend(&self) -> Backend;

    /// Vouches for the worker, bound to `report_data`.
    fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError>;

    /// Proves that the attestation key is in the certified device.
    fn activate(&self, _: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        Err(AttestError::NotAttested)
    }
}

/// Has a platform vouch for the worker's statement.
#[derive(Debug)]
pub struct PlatformAttester {
    statement: Statement,
    platform: Arc<dyn Platform>,
}

impl PlatformAttester {
    /// Vouches for `statement`.
    pub fn new(statement: Statement, platform: Arc<dyn Platform>) -> Self {
        Self { statement, platform }
    }
}

impl Attester for PlatformAttester {
    fn evidence(&self, nonce: &[u8; 32], channel: &TlsChannel) -> Result<AttestationEvidence, AttestError> {
        let Statement { identity_pub, log_vkey, boot_counter, signs_any_message, log } = &self.statement;
        let checkpoint = log.latest();
        let report_data = ReportData {
            nonce,
            tls_spki_sha256: &channel.spki_sha256,
            exporter: &channel.exporter,
            identity_pub,
            log_vkey,
            log_checkpoint: &checkpoint,
            boot_counter: *boot_counter,
            signs_any_message: *signs_any_message,
        };
        let Vouched { report_data, evidence, endorsements } = self.platform.vouch(&report_data)?;
        let purpose = if *signs_any_message { SigningPurpose::AnyMessage } else { SigningPurpose::WalletProof };
        Ok(AttestationEvidence {
            v: 1,
            backend: self.platform.backend(),
            eat_nonce: hex::encode(nonce),
            swname: SOFTWARE.to_owned(),
            swversion: env!("CARGO_PKG_VERSION").to_owned(),
            dbgstat: "disabled-since-boot".to_owned(),
            bound: Bound {
                tls_spki_sha256: hex::encode(channel.spki_sha256),
                exporter_label: EXPORTER_LABEL.to_owned(),
                identity_pub: hex::encode(identity_pub),
                log_vkey: log_vkey.clone(),
                log_checkpoint: checkpoint.to_string(),
                boot_counter: *boot_counter,
                purpose,
            },
            report_data,
            evidence,
            endorsements,
        })
    }

    fn activate(&self, credential: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        self.platform.activate(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Log;

    impl LatestCheckpoint for Log {
        fn latest(&self) -> Arc<str> {
            "checkpoint".into()
        }
    }

    /// Vouches for anything.
    #[derive(Debug)]
    struct Willing;

    impl Platform for Willing {
        fn backend(&self) -> Backend {
            Backend::Tpm2
        }

        fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError> {
            let report_data = hex::encode(report_data.sha256());
            Ok(Vouched { report_data, evidence: RawEvidence::default(), endorsements: Endorsements::default() })
        }
    }

    #[test]
    fn evidence_shows_everything_that_it_binds() {
        let statement = Statement {
            identity_pub: [2; 33],
            log_vkey: "vkey".to_owned(),
            boot_counter: 7,
            signs_any_message: true,
            log: Arc::new(Log),
        };
        let attester = PlatformAttester::new(statement, Arc::new(Willing));
        let channel = TlsChannel { spki_sha256: [3; 32], exporter: [4; 32] };

        let shown = attester.evidence(&[5; 32], &channel).unwrap();

        let bound = shown.bound;
        let again = ReportData {
            nonce: &hex::decode(shown.eat_nonce).unwrap().try_into().unwrap(),
            tls_spki_sha256: &hex::decode(bound.tls_spki_sha256).unwrap().try_into().unwrap(),
            exporter: &channel.exporter,
            identity_pub: &hex::decode(bound.identity_pub).unwrap(),
            log_vkey: &bound.log_vkey,
            log_checkpoint: &bound.log_checkpoint,
            boot_counter: bound.boot_counter,
            signs_any_message: bound.purpose == SigningPurpose::AnyMessage,
        };
        assert_eq!(shown.report_data, hex::encode(again.sha256()));
    }
}
