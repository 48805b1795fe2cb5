use agentkeys_tpm::{
    Approval, CAPPED_PCR, NvCounter, PcrSelection, PcrValues, Record, ReleaseKey, SEALED_PCRS, SealPolicy,
    SealedSecret, Tpm, TpmError, capped, identity_record,
};
use zeroize::Zeroizing;

use super::SharedTpm;
use crate::{SealError, SealedBlob, Sealer};

/// Seals under what the release key approves of, and the machine's minimum release.
#[derive(Debug)]
pub struct Tpm2Sealer {
    tpm: SharedTpm,
    release_key: ReleaseKey,
    approvals: Vec<Approval>,
}

impl Tpm2Sealer {
    /// One for a release that these approvals are about, which were verified to be by the key and for its epoch.
    pub fn new(tpm: SharedTpm, release_key: ReleaseKey, approvals: Vec<Approval>) -> Self {
        Self { tpm, release_key, approvals }
    }

    /// The approval of what this machine has measured.
    fn approval(&self) -> Result<&Approval, SealError> {
        let named = self.approvals.iter().flat_map(|approval| approval.pcrs().keys().copied());
        let selection = PcrSelection::of(named.chain(SEALED_PCRS));
        let selection = selection.map_err(|error| SealError::Platform(error.to_string()))?;
        let registers = self.tpm.ask(|tpm| tpm.pcrs(selection)).map_err(failed)?;
        let matching = self.approvals.iter().find(|approval| approval.matches(&registers));
        matching.ok_or_else(|| SealError::Refused(self.why_none_matches(&registers)))
    }

    fn why_none_matches(&self, registers: &PcrValues) -> String {
        let differing = |approval: &Approval| -> Vec<u8> {
            let differs = |(register, value): &(&u8, &[u8; 32])| registers.get(register) != Some(value);
            approval.pcrs().iter().filter(differs).map(|(register, _)| *register).collect()
        };
        let is_capped = |approval: &&Approval| {
            differing(approval) == [CAPPED_PCR]
                && approval.pcrs().get(&CAPPED_PCR).map(capped).as_ref() == registers.get(&CAPPED_PCR)
        };
        if self.approvals.iter().any(|approval| is_capped(&approval)) {
            return "a worker has unsealed it since this machine was started, and that happens once: restart the machine"
                .to_owned();
        }
        let describe = |approval: &Approval| {
            let registers =
                differing(approval).iter().map(|register| format!("register {register}")).collect::<Vec<_>>();
            format!("{} differs in {}", approval.release(), registers.join(", "))
        };
        let differences: Vec<String> = self.approvals.iter().map(describe).collect();
        format!(
            "no approval is about what this machine has measured ({}): start the image that the approval came with, or \
             have the release key approve of this one",
            differences.join("; ")
        )
    }

    fn counter(&self, counter: NvCounter) -> Result<Option<u64>, SealError> {
        self.tpm.ask(|tpm| tpm.counter(counter).read()).map_err(failed)
    }

    fn count(&self, counter: NvCounter) -> Result<u64, SealError> {
        self.tpm.ask(|tpm| tpm.counter(counter).increment()).map_err(failed)
    }

    fn ask_record<T>(&self, question: impl FnOnce(Record<'_>) -> Result<T, TpmError>) -> Result<T, SealError> {
        self.tpm.ask(|tpm| question(tpm.record(identity_record(&self.release_key)))).map_err(failed)
    }

    fn seal_for(&self, epoch: u32, minimum: u64, secret: &[u8; 32]) -> Result<SealedSecret, SealError> {
        let policy = SealPolicy {
            release_key: self.release_key.clone(),
            epoch,
            counter: NvCounter::MIN_RELEASE,
            counter_value: minimum,
        };
        self.tpm.ask(|tpm| tpm.seal(secret, &policy)).map_err(failed)
    }

    fn seal_and_unseal(&self, approval: &Approval, minimum: u64, secret: &[u8; 32]) -> Result<SealedBlob, SealError> {
        let sealed = self.seal_for(approval.epoch(), minimum, secret)?;
        if *self.unseal_as(&sealed, approval)? != *secret {
            return Err(SealError::Platform("the TPM gives back something else than it has sealed".to_owned()));
        }
        Ok(SealedBlob(sealed.to_bytes()))
    }

    fn unseal_as(&self, sealed: &SealedSecret, approval: &Approval) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let unsealed = self.tpm.ask(|tpm| tpm.unseal(sealed, approval)).map_err(|error| match error {
            TpmError::OldRelease => SealError::Refused(format!(
                "it is for releases from epoch {} on, and this one is of epoch {}: start a newer release",
                sealed.epoch(),
                approval.epoch()
            )),
            TpmError::SealedElsewhere => SealError::Refused("another TPM has sealed it".to_owned()),
            other => failed(other),
        })?;
        let mut secret = Zeroizing::new([0; 32]);
        if unsealed.len() != secret.len() {
            return Err(SealError::Refused("it is no master secret".to_owned()));
        }
        secret.copy_from_slice(&unsealed);
        Ok(secret)
    }
}

impl Sealer for Tpm2Sealer {
    fn has_record(&self) -> Result<bool, SealError> {
        self.ask_record(|mut record| Ok(record.read()?.is_some()))
    }

    fn record(&self, identity: &[u8; 32]) -> Result<(), SealError> {
        let approval = self.approval()?;
        self.ask_record(|mut record| record.write(identity, approval))
    }

    fn is_recorded(&self, identity: &[u8; 32]) -> Result<bool, SealError> {
        let approval = self.approval()?;
        self.ask_record(|mut record| {
            let is_recorded = record.read()? == Some(*identity);
            if is_recorded {
                record.lock(approval)?;
            }
            Ok(is_recorded)
        })
    }

    fn random(&self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        self.tpm.ask(Tpm::random).map_err(failed)
    }

    /// Seals what can be unsealed again: it is tried at once.
    fn seal(&self, secret: &[u8; 32]) -> Result<SealedBlob, SealError> {
        let minimum = match self.counter(NvCounter::MIN_RELEASE)? {
            Some(minimum) => minimum,
            None => self.count(NvCounter::MIN_RELEASE)?,
        };
        self.seal_and_unseal(self.approval()?, minimum, secret)
    }

    fn unseal(&self, blob: &SealedBlob) -> Result<Zeroizing<[u8; 32]>, SealError> {
        self.unseal_as(&read(blob)?, self.approval()?)
    }

    fn is_current(&self, blob: &SealedBlob) -> Result<bool, SealError> {
        let minimum = self.counter(NvCounter::MIN_RELEASE)?;
        Ok(read(blob).is_ok_and(|sealed| Some(sealed.counter_value()) == minimum))
    }

    fn seal_next(&self, blob: &SealedBlob, secret: &[u8; 32]) -> Result<Option<SealedBlob>, SealError> {
        let (sealed, approval) = (read(blob)?, self.approval()?);
        if approval.epoch() <= sealed.epoch() {
            return Ok(None);
        }
        let minimum = sealed.counter_value();
        // What is for the next minimum cannot be tried yet: something else shows that the TPM takes the approval.
        self.seal_and_unseal(approval, minimum, &*self.random()?)?;
        Ok(Some(SealedBlob(self.seal_for(approval.epoch(), minimum + 1, secret)?.to_bytes())))
    }

    fn raise(&self) -> Result<(), SealError> {
        self.count(NvCounter::MIN_RELEASE).map(drop)
    }

    fn close(&self) -> Result<(), SealError> {
        self.tpm.ask(Tpm::cap).map_err(failed)
    }

    fn counter(&self) -> Result<Option<u64>, SealError> {
        self.counter(NvCounter::LOG)
    }

    fn bump(&self) -> Result<Option<u64>, SealError> {
        self.count(NvCounter::LOG).map(Some)
    }
}

fn read(blob: &SealedBlob) -> Result<SealedSecret, SealError> {
    let malformed = || SealError::Refused("the sealed file is not one of this worker's, or damaged".to_owned());
    SealedSecret::parse(&blob.0).map_err(|_| malformed())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: TpmError) -> SealError {
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    SealError::Platform(format!("{error}{cause}"))
}
