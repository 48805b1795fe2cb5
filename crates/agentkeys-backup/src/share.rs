use std::{fs, io, path::Path};

use agentkeys_api::SealedShare;
use agentkeys_crypto::private_file;
use base64::{Engine, prelude::BASE64_STANDARD};
use blahaj::Sharks;
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{Hpke, HpkePublicKey},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM (RFC 9180).
pub(crate) static SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;

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
pub(crate) enum Use {
    /// To be kept by its recipient.
    Backup,
    /// To be put together by a worker that restores.
    Restore,
}

impl Use {
    pub(crate) fn info(self) -> &'static [u8] {
        match self {
            Self::Backup => b"agentkeys/backup/v1",
            Self::Restore => b"agentkeys/restore/v1",
        }
    }
}

/// Splits `secret` among `recipients`, of whom it takes `threshold` to have it again.
pub fn split(
    secret: &[u8; 32],
    identity_pub: &[u8; 33],
    threshold: u8,
    recipients: &[[u8; 32]],
) -> Result<Vec<SealedShare>, ShareError> {
    let identity_pub = hex::encode(identity_pub);
    let shares = Sharks(threshold).dealer(secret).zip(recipients);
    let sealed = shares.map(|(share, recipient)| {
        let share = Zeroizing::new(Vec::from(&share));
        seal(Use::Backup, &identity_pub, threshold, &share, recipient)
    });
    sealed.collect()
}

/// Writes the shares into `folder`, one file for each recipient, over those of a first boot that was cut short.
pub fn write_shares(folder: &Path, shares: &[SealedShare]) -> Result<(), ShareError> {
    for (number, share) in (1..).zip(shares) {
        let text = serde_json::to_vec_pretty(share).map_err(|_| ShareError::Malformed("no JSON"))?;
        private_file::replace(&folder.join(format!("share-{number}.json")), &text)?;
    }
    Ok(())
}

/// Reads a share from its file.
pub fn read_share(file: &Path) -> Result<SealedShare, ShareError> {
    serde_json::from_slice(&fs::read(file)?).map_err(|_| ShareError::Malformed("the file is not a share"))
}

/// The SHA-256 of a recipient's public key, in hex.
pub fn fingerprint(public: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(public))
}

/// Seals a share to `recipient`, an X25519 public key.
pub(crate) fn seal(
    of: Use,
    identity_pub: &str,
    threshold: u8,
    share: &[u8],
    recipient: &[u8; 32],
) -> Result<SealedShare, ShareError> {
    let key = HpkePublicKey(recipient.to_vec());
    let aad = associated(identity_pub, threshold);
    let (enc, ciphertext) = SUITE.seal(of.info(), &aad, share, &key).map_err(|_| ShareError::Key)?;
    Ok(SealedShare {
        v: 1,
        identity_pub: identity_pub.to_owned(),
        threshold,
        recipient: fingerprint(recipient),
        enc: BASE64_STANDARD.encode(enc.0),
        ciphertext: BASE64_STANDARD.encode(ciphertext),
    })
}

/// What is sealed with a share, and must not be changed either.
pub(crate) fn associated(identity_pub: &str, threshold: u8) -> Vec<u8> {
    [identity_pub.as_bytes(), &[threshold]].concat()
}
