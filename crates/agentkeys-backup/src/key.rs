use std::{fmt, io, path::Path};

use agentkeys_api::SealedShare;
use agentkeys_crypto::private_file;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::crypto::hpke::{EncapsulatedSecret, HpkePrivateKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    ShareError, fingerprint,
    share::{SUITE, Use, associated, seal},
};

/// A key pair that shares are sealed to (X25519).
pub struct RecipientKey {
    public: [u8; 32],
    private: HpkePrivateKey,
}

/// The file of a recipient's key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile<'a> {
    public: &'a str,
    private: &'a str,
}

impl RecipientKey {
    /// A new one.
    pub fn generate() -> Result<Self, ShareError> {
        let (public, private) = SUITE.generate_key_pair().map_err(|_| ShareError::Key)?;
        Ok(Self { public: public.0.try_into().map_err(|_| ShareError::Key)?, private })
    }

    /// Its public part.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Whether `share` says that it is sealed to this key.
    pub fn is_recipient_of(&self, share: &SealedShare) -> bool {
        share.recipient.eq_ignore_ascii_case(&fingerprint(&self.public))
    }

    /// The share, sealed to a worker that restores instead of to this key.
    ///
    /// `worker` has the share then. It must be out of evidence that was accepted.
    pub fn reseal(&self, share: &SealedShare, worker: &[u8; 32]) -> Result<SealedShare, ShareError> {
        let opened = self.open(Use::Backup, share)?;
        seal(Use::Restore, &share.identity_pub, share.threshold, &opened, worker)
    }

    /// The share itself.
    pub(crate) fn open(&self, of: Use, share: &SealedShare) -> Result<Zeroizing<Vec<u8>>, ShareError> {
        if share.v != 1 {
            return Err(ShareError::Malformed("another version of shares"));
        }
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| ShareError::Malformed("not base64"));
        let enc = EncapsulatedSecret(decode(&share.enc)?);
        let aad = associated(&share.identity_pub, share.threshold);
        let opened = SUITE.open(&enc, of.info(), &aad, &decode(&share.ciphertext)?, &self.private);
        opened.map(Zeroizing::new).map_err(|_| ShareError::Key)
    }

    /// Writes it to a file that is not there yet, for its owner alone.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let private = Zeroizing::new(hex::encode(self.private.secret_bytes()));
        let key = KeyFile { public: &hex::encode(self.public), private: &private };
        let text = Zeroizing::new(serde_json::to_vec(&key)?);
        private_file::create_new(file, &text)
    }

    /// Reads it from a file.
    pub fn read(file: &Path) -> Result<Self, ShareError> {
        let text = private_file::read(file)?;
        let malformed = || ShareError::Malformed("the file is not a recipient's key");
        let key: KeyFile<'_> = serde_json::from_slice(&text).map_err(|_| malformed())?;
        let mut public = [0; 32];
        hex::decode_to_slice(key.public, &mut public).map_err(|_| malformed())?;
        let mut private = Zeroizing::new([0; 32]);
        hex::decode_to_slice(key.private, private.as_mut_slice()).map_err(|_| malformed())?;
        Ok(Self { public, private: HpkePrivateKey::from(private.to_vec()) })
    }

    #[cfg(test)]
    pub(crate) fn secret_bytes(&self) -> &[u8] {
        self.private.secret_bytes()
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RecipientKey").field("public", &hex::encode(self.public)).finish_non_exhaustive()
    }
}
