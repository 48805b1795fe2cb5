//! Shares of the master secret: k of n restore it elsewhere.
//!
//! At first boot each recipient that the measured configuration names gets a [`SealedShare`], which only it can open.
//! To restore, each of k recipients opens its own and seals it anew for the restoring worker, which a [`Collection`]
//! puts together.

mod collection;
mod key;
mod restore;

use std::{fmt, fs, io, path::Path};

use agentkeys_crypto::private_file;
use base64::{Engine, prelude::BASE64_STANDARD};
use blahaj::Sharks;
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePublicKey},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use collection::{Collection, Progress};
pub use key::RecipientKey;
pub(crate) use restore::DescribedRestore;
pub use restore::{RESTORE, Restoration};

use crate::config::Backup;

/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (RFC 9180).
static SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;

/// Why a share could not be made, opened or put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// A file could not be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// It belongs to another identity than the one that is restored.
    #[error("the share is of another identity than the one that is restored")]
    Identity,
    /// It is sealed to another key, or altered.
    #[error("the share is for another key, or was altered")]
    Key,
    /// It is not a share.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// So many shares do not give the secret: some are wrong.
    #[error("the shares do not give the secret of that identity: all are forgotten, begin again with right ones")]
    Wrong,
}

/// What a share is sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To be kept by its recipient.
    Backup,
    /// To be put together by a worker that restores.
    Restore,
}

impl Use {
    fn info(self) -> &'static [u8] {
        match self {
            Self::Backup => b"agentkeys/backup/v1",
            Self::Restore => b"agentkeys/restore/v1",
        }
    }
}

/// A share that only its recipient can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedShare {
    /// The version of this form: 1.
    pub v: u8,
    /// The identity of the secret: 66 hex digits.
    pub identity_pub: String,
    /// How many shares it takes.
    pub threshold: u8,
    /// The SHA-256 of the recipient's public key, to compare: 64 hex digits.
    pub recipient: String,
    /// The encapsulated key of HPKE, base64.
    pub enc: String,
    /// The share, base64.
    pub ciphertext: String,
}

impl SealedShare {
    /// Seals a share to `recipient`, an X25519 public key.
    fn seal(of: Use, identity_pub: &str, threshold: u8, share: &[u8], recipient: &[u8]) -> Result<Self, ShareError> {
        let key = HpkePublicKey(recipient.to_vec());
        let aad = associated(identity_pub, threshold);
        let (enc, ciphertext) = SUITE.seal(of.info(), &aad, share, &key).map_err(|_| ShareError::Key)?;
        Ok(Self {
            v: 1,
            identity_pub: identity_pub.to_owned(),
            threshold,
            recipient: fingerprint(recipient),
            enc: BASE64_STANDARD.encode(enc.0),
            ciphertext: BASE64_STANDARD.encode(ciphertext),
        })
    }

    /// The share itself.
    fn open(&self, of: Use, key: &RecipientKey) -> Result<Zeroizing<Vec<u8>>, ShareError> {
        if self.v != 1 {
            return Err(ShareError::Malformed("another version of shares"));
        }
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| ShareError::Malformed("not base64"));
        let enc = EncapsulatedSecret(decode(&self.enc)?);
        let aad = associated(&self.identity_pub, self.threshold);
        let opened = SUITE.open(&enc, of.info(), &aad, &decode(&self.ciphertext)?, key.private());
        opened.map(Zeroizing::new).map_err(|_| ShareError::Key)
    }

    /// The same share, sealed to a worker that restores instead of to its recipient.
    pub fn reseal(&self, key: &RecipientKey, worker: &[u8; 32]) -> Result<Self, ShareError> {
        let share = self.open(Use::Backup, key)?;
        Self::seal(Use::Restore, &self.identity_pub, self.threshold, &share, worker)
    }

    /// Reads one from a file.
    pub fn read(file: &Path) -> Result<Self, ShareError> {
        serde_json::from_slice(&fs::read(file)?).map_err(|_| ShareError::Malformed("the file is not a share"))
    }
}

/// Splits `secret` among the recipients of the configuration.
pub fn split(secret: &[u8; 32], identity_pub: &[u8; 33], backup: &Backup) -> Result<Vec<SealedShare>, ShareError> {
    let identity_pub = hex::encode(identity_pub);
    let shares = Sharks(backup.threshold).dealer(secret).zip(&backup.recipients);
    let sealed = shares.map(|(share, recipient)| {
        let recipient = hex::decode(recipient).map_err(|_| ShareError::Malformed("a recipient is 64 hex digits"))?;
        let share = Zeroizing::new(Vec::from(&share));
        SealedShare::seal(Use::Backup, &identity_pub, backup.threshold, &share, &recipient)
    });
    sealed.collect()
}

/// Writes the shares into `folder`, one file for each recipient, over those of a first boot that was cut short.
pub fn write(folder: &Path, shares: &[SealedShare]) -> Result<(), ShareError> {
    for (number, share) in (1..).zip(shares) {
        let text = serde_json::to_vec_pretty(share).map_err(|_| ShareError::Malformed("no JSON"))?;
        private_file::replace(&folder.join(format!("share-{number}.json")), &text)?;
    }
    Ok(())
}

/// The SHA-256 of a recipient's public key, in hex.
pub fn fingerprint(public: &[u8]) -> String {
    hex::encode(Sha256::digest(public))
}

fn associated(identity_pub: &str, threshold: u8) -> Vec<u8> {
    [identity_pub.as_bytes(), &[threshold]].concat()
}

impl fmt::Display for SealedShare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&text)
    }
}

#[cfg(test)]
mod tests;
