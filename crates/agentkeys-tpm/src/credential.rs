use std::fmt;

use aws_lc_rs::{
    rand,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use zeroize::Zeroizing;

use crate::{
    key_derivation::{encrypt_cfb, hmac_sha256, kdf_a},
    structures::Name,
    writer::Writer,
};

/// Why no credential was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The endorsement key is not one of RSA with 2048 bits.
    #[error("the endorsement key is not one of RSA with 2048 bits")]
    EndorsementKey,
    /// A primitive failed.
    #[error("the credential could not be encrypted")]
    Encryption,
    /// The secret is empty or longer than a TPM takes.
    #[error("a credential's secret has 1 to 32 bytes")]
    Secret,
}

/// A secret that only the TPM with one endorsement key can read, and only while it has one attestation key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The `TPMS_ID_OBJECT`: a `TPM2B_ID_OBJECT` without its size.
    pub credential_blob: Vec<u8>,
    /// The seed, encrypted to the endorsement key: a `TPM2B_ENCRYPTED_SECRET` without its size.
    pub encrypted_secret: Vec<u8>,
}

/// An endorsement key of RSA with 2048 bits, by the public part that its certificate certifies.
pub struct EndorsementKey(OaepPublicEncryptingKey);

impl EndorsementKey {
    /// The key with this `SubjectPublicKeyInfo` (DER).
    pub fn from_spki(spki: &[u8]) -> Result<Self, CredentialError> {
        let key = PublicEncryptingKey::from_der(spki).map_err(|_| CredentialError::EndorsementKey)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| CredentialError::EndorsementKey)?;
        if key.key_size_bits() == 2048 { Ok(Self(key)) } else { Err(CredentialError::EndorsementKey) }
    }

    /// Encrypts `secret` for the TPM that has this key and an attestation key of this name (`TPM2_MakeCredential`).
    pub fn make_credential(&self, secret: &[u8], attestation_key: &Name) -> Result<Credential, CredentialError> {
        if secret.is_empty() || secret.len() > 32 {
            return Err(CredentialError::Secret);
        }
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_| CredentialError::Encryption)?;
        self.with_seed(secret, attestation_key, &seed)
    }

    fn with_seed(&self, secret: &[u8], name: &Name, seed: &[u8; 32]) -> Result<Credential, CredentialError> {
        let mut encrypted_secret = vec![0; self.0.ciphertext_size()];
        let encrypted =
            self.0.encrypt(&OAEP_SHA256_MGF1SHA256, seed, &mut encrypted_secret, Some(b"IDENTITY\0")).map(|_| ());
        encrypted.map_err(|_| CredentialError::Encryption)?;

        let storage = kdf_a(seed, "STORAGE", name.as_bytes(), &[], 128);
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(&storage[..16]);
        let mut identity = Writer::new().sized(secret).to_vec();
        encrypt_cfb(&key, &[0; 16], &mut identity).map_err(|_| CredentialError::Encryption)?;

        let integrity_key = kdf_a(seed, "INTEGRITY", &[], &[], 256);
        let integrity = hmac_sha256(integrity_key.as_slice(), &[&identity, name.as_bytes()]);
        let credential_blob = Writer::new().sized(&integrity).bytes(&identity).to_vec();
        Ok(Credential { credential_blob, encrypted_secret })
    }
}

impl fmt::Debug for EndorsementKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EndorsementKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::AsDer,
        rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    };

    use super::*;
    use crate::{key_derivation::decrypt_cfb, reader::Reader};

    fn pair() -> (OaepPrivateDecryptingKey, EndorsementKey) {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki = private.public_key().as_der().unwrap();
        let key = EndorsementKey::from_spki(spki.as_ref()).unwrap();
        (OaepPrivateDecryptingKey::new(private).unwrap(), key)
    }

    #[test]
    fn whoever_has_the_private_key_and_knows_the_name_reads_the_secret() {
        let (private, key) = pair();
        let name = Name::of(b"attestation key");

        let credential = key.make_credential(b"nonce of the client", &name).unwrap();

        let mut seed = vec![0; private.min_output_size()];
        let label = Some(&b"IDENTITY\0"[..]);
        let seed = private.decrypt(&OAEP_SHA256_MGF1SHA256, &credential.encrypted_secret, &mut seed, label).unwrap();
        let mut blob = Reader::new(&credential.credential_blob);
        let integrity = blob.sized(32).unwrap();
        let mut identity = blob.rest().to_vec();
        let integrity_key = kdf_a(seed, "INTEGRITY", &[], &[], 256);
        assert_eq!(integrity, hmac_sha256(integrity_key.as_slice(), &[&identity, name.as_bytes()]));
        let key = kdf_a(seed, "STORAGE", name.as_bytes(), &[], 128)[..16].try_into().unwrap();
        decrypt_cfb(&key, &[0; 16], &mut identity).unwrap();
        assert_eq!(identity, [&[0, 19], &b"nonce of the client"[..]].concat());
    }

    #[test]
    fn a_secret_that_no_tpm_takes_is_refused() {
        let (_, key) = pair();
        let name = Name::of(b"attestation key");

        for secret in [&[][..], &[1; 33]] {
            assert_eq!(key.make_credential(secret, &name), Err(CredentialError::Secret));
        }
    }

    #[test]
    fn what_is_no_key_of_rsa_with_2048_bits_is_refused() {
        let longer = PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap();
        let spki = longer.public_key().as_der().unwrap();

        assert!(EndorsementKey::from_spki(spki.as_ref()).is_err());
        assert!(EndorsementKey::from_spki(b"no key").is_err());
    }
}
