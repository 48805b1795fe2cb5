use zeroize::Zeroizing;

use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Request},
    objects::{ENDORSEMENT, attestation_template},
};
use crate::{
    credential::Credential,
    structures::{PcrSelection, PcrValues, Pcrs, Public, Quote, Signature, algorithm},
};

/// Where the certificate of an endorsement key of RSA is (TCG EK Credential Profile).
const CERTIFICATE: u32 = 0x01C0_0002;
/// How often a quote is asked for while registers change.
const ATTEMPTS: usize = 3;
/// As much as a TPM takes of a credential, or of a seed of RSA.
const LONGEST_PART: usize = 512;

/// What a TPM has said about its registers, signed by its attestation key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The `TPMS_ATTEST`.
    pub attest: Vec<u8>,
    /// The signature over it.
    pub signature: Signature,
    /// What the registers hold.
    pub pcrs: PcrValues,
}

impl Tpm {
    /// The key with which this TPM attests (`TPMT_PUBLIC`): always the same, until the TPM is cleared by its maker.
    pub fn attestation_key(&mut self) -> Result<Public, TpmError> {
        self.with_primary(ENDORSEMENT, &attestation_template(), |_, key| Ok(key.public().clone()))
    }

    /// The endorsement key (`TPMT_PUBLIC`).
    pub fn endorsement_key(&mut self) -> Result<Public, TpmError> {
        self.with_endorsement_key(|_, key| Ok(key.public().clone()))
    }

    /// The certificate (DER) of the endorsement key, if its maker has left one.
    pub fn ek_certificate(&mut self) -> Result<Option<Vec<u8>>, TpmError> {
        let bytes = self.read_index(CERTIFICATE)?;
        Ok(bytes.map(|bytes| without_padding(&bytes).to_vec()))
    }

    /// Says what registers hold, with up to 64 bytes of the caller's.
    pub fn quote(&mut self, extra: &[u8], selection: PcrSelection) -> Result<Quoted, TpmError> {
        for _ in 0..ATTEMPTS {
            let pcrs = self.pcrs(selection)?;
            let (attest, signature) = self.sign_quote(extra, selection)?;
            let quote = Quote::parse(&attest);
            let quote = quote.map_err(|source| TpmError::Malformed { command: Command::Quote, source })?;
            if quote.pcr_digest == pcrs.digest() {
                return Ok(Quoted { attest, signature, pcrs });
            }
        }
        Err(TpmError::Registers)
    }

    fn sign_quote(&mut self, extra: &[u8], selection: PcrSelection) -> Result<(Vec<u8>, Signature), TpmError> {
        self.with_primary(ENDORSEMENT, &attestation_template(), |tpm, key| {
            let handles = [key.handle];
            let request = Request::new(Command::Quote).about(&handles).allowed(&[Authorization::Empty]);
            // By the key's own scheme.
            let reply = tpm.call(request, |request| selection.write(request.sized(extra).u16(algorithm::NULL)))?;
            reply.read(|reader| Ok((reader.sized(1024)?.to_vec(), Signature::read(reader)?)))
        })
    }

    /// Reads a secret that was encrypted for this TPM's endorsement key and its attestation key.
    pub fn activate(&mut self, credential: &Credential) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        if credential.credential_blob.len() > LONGEST_PART || credential.encrypted_secret.len() > LONGEST_PART {
            return Err(TpmError::Secret);
        }
        self.with_endorsement_key(|tpm, endorsement| {
            tpm.with_primary(ENDORSEMENT, &attestation_template(), |tpm, key| {
                let session = tpm.start_plain_policy()?;
                tpm.holding(session, |tpm| {
                    tpm.fulfil_endorsement(session)?;
                    let handles = [key.handle, endorsement.handle];
                    let allowed = [Authorization::Empty, Authorization::Policy(session)];
                    let request = Request::new(Command::ActivateCredential).about(&handles).allowed(&allowed);
                    let reply = tpm.call(request, |request| {
                        request.sized(&credential.credential_blob).sized(&credential.encrypted_secret)
                    })?;
                    reply.read(|reader| reader.sized(64)).map(|secret| Zeroizing::new(secret.to_vec()))
                })
            })
        })
    }

    /// Shows the (empty) password of the endorsement hierarchy, as the policy of its keys wants.
    fn fulfil_endorsement(&mut self, session: u32) -> Result<(), TpmError> {
        let handles = [ENDORSEMENT, session];
        let request = Request::new(Command::PolicySecret).about(&handles).allowed(&[Authorization::Empty]);
        // For this session only or not, for nothing in particular, for ever.
        self.call(request, |request| request.sized(&[]).sized(&[]).sized(&[]).u32(0)).map(|_| ())
    }
}

/// A certificate without what fills the index up behind it.
fn without_padding(bytes: &[u8]) -> &[u8] {
    let [0x30, 0x82, high, low, ..] = bytes else { return bytes };
    let length = 4 + usize::from(u16::from_be_bytes([*high, *low]));
    bytes.get(..length).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_where_it_says() {
        let certificate = [&[0x30, 0x82, 0, 2, 1, 2][..], &[0xFF; 9]].concat();

        assert_eq!(without_padding(&certificate), &certificate[..6]);
        assert_eq!(without_padding(&certificate[..5]), &certificate[..5]);
        assert_eq!(without_padding(b"something else"), b"something else");
    }
}
