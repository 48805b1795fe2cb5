use std::{fmt, path::Path};

use agentkeys_crypto::private_file;
use rustls::crypto::hpke::HpkePrivateKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{SUITE, ShareError};

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

    pub(super) fn private(&self) -> &HpkePrivateKey {
        &self.private
    }

    /// Writes it to a file that is not there yet, for its owner alone.
    pub fn write(&self, file: &Path) -> Result<(), ShareError> {
        let private = Zeroizing::new(hex::encode(self.private.secret_bytes()));
        let key = KeyFile { public: &hex::encode(self.public), private: &private };
        let text = Zeroizing::new(serde_json::to_vec(&key).map_err(|_| ShareError::Malformed("no JSON"))?);
        Ok(private_file::create_new(file, &text)?)
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
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RecipientKey").field("public", &hex::encode(self.public)).finish_non_exhaustive()
    }
}
