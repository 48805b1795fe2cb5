use std::ops::RangeInclusive;

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, Backend, Endorsements, RawEvidence};
use agentkeys_crypto::ReportData;
use agentkeys_signer::AttestError;
use agentkeys_tpm::{Credential, Name, PcrSelection, SEALED_PCRS, TpmError};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::SharedTpm;
use crate::{Platform, Vouched};

/// How long a challenge for an endorsement key of RSA with 2048 bits is: the integrity (SHA-256) with its size and up to
/// 32 bytes with theirs, encrypted; and the encrypted seed.
const CREDENTIAL_LENGTHS: (RangeInclusive<usize>, usize) = (2 + 32 + 2..=2 + 32 + 2 + 32, 256);

/// Quotes what the machine has measured.
#[derive(Debug)]
pub struct Tpm2Attester {
    tpm: SharedTpm,
    selection: PcrSelection,
    name: Name,
    endorsements: Endorsements,
}

impl Tpm2Attester {
    /// One by the TPM's own keys, with more that vouches for them. What stays the same until the machine starts again
    /// is read here.
    pub fn open(tpm: SharedTpm, more: Endorsements) -> Result<Self, TpmError> {
        let (key, certificate) = tpm.ask(|tpm| Ok((tpm.attestation_key()?, tpm.ek_certificate()?)))?;
        if certificate.is_none() {
            tracing::warn!("the TPM has no certificate of its maker: clients must know its key by name");
        }
        let endorsements = Endorsements {
            ak_pub: Some(BASE64_STANDARD.encode(key.to_bytes())),
            ek_cert: certificate.map(|certificate| BASE64_STANDARD.encode(certificate)),
            ..more
        };
        let selection = PcrSelection::of(SEALED_PCRS).map_err(|_| TpmError::Registers)?;
        Ok(Self { tpm, selection, name: key.name(), endorsements })
    }
}

impl Platform for Tpm2Attester {
    fn backend(&self) -> Backend {
        Backend::Tpm2
    }

    fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError> {
        let report_data = report_data.sha256();
        let quoted = self.tpm.ask(|tpm| tpm.quote(&report_data, self.selection)).map_err(|error| {
            tracing::error!(%error, "no quote");
            AttestError::Unavailable
        })?;
        let evidence = RawEvidence {
            attest: Some(BASE64_STANDARD.encode(quoted.attest)),
            signature: Some(BASE64_STANDARD.encode(quoted.signature.to_bytes())),
            pcrs: quoted.pcrs.iter().map(|(register, value)| (*register, hex::encode(value))).collect(),
            ..RawEvidence::default()
        };
        Ok(Vouched { report_data: hex::encode(report_data), evidence, endorsements: self.endorsements.clone() })
    }

    fn activate(&self, credential: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        if !credential.ak_name.0.eq_ignore_ascii_case(&hex::encode(self.name.as_bytes())) {
            return Err(AttestError::CredentialInvalid);
        }
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| AttestError::CredentialInvalid);
        let credential = Credential {
            credential_blob: decode(&credential.credential_blob.0)?,
            encrypted_secret: decode(&credential.encrypted_secret.0)?,
        };
        if !has_form(&credential) {
            return Err(AttestError::CredentialInvalid);
        }
        let activated = self.tpm.ask(|tpm| tpm.activate(&credential)).map_err(|error| {
            tracing::debug!(%error, "a credential was not activated");
            match error {
                TpmError::Refused { .. } | TpmError::Secret => AttestError::CredentialInvalid,
                _ => AttestError::Unavailable,
            }
        })?;
        Ok(ActivatedCredential { secret: BASE64_STANDARD.encode(activated.as_slice()) })
    }
}

/// Whether the TPM could make anything of it: strangers ask, and it answers one after the other.
fn has_form(credential: &Credential) -> bool {
    let (blob, secret) = CREDENTIAL_LENGTHS;
    blob.contains(&credential.credential_blob.len())
        && credential.credential_blob.starts_with(&[0, 32])
        && credential.encrypted_secret.len() == secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_no_tpm_can_read_is_told_by_its_form() {
        let blob = |length: usize| [&[0, 32][..], &vec![7; length - 2]].concat();
        let has_form = |credential_blob: Vec<u8>, secret: usize| {
            has_form(&Credential { credential_blob, encrypted_secret: vec![7; secret] })
        };

        for length in [36, 52, 68] {
            assert!(has_form(blob(length), 256), "{length}");
        }
        for (credential_blob, secret) in
            [(vec![], 256), (blob(35), 256), (blob(69), 256), (vec![7; 68], 256), (blob(68), 255), (blob(68), 257)]
        {
            assert!(!has_form(credential_blob.clone(), secret), "{credential_blob:?} {secret}");
        }
    }
}
