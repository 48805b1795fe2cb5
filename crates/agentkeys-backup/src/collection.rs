use std::fmt;

use agentkeys_api::SealedShare;
use agentkeys_crypto::MasterSecret;
use blahaj::{Share, Sharks};
use zeroize::Zeroizing;

use crate::{RecipientKey, ShareError, share::Use};

/// How long a share is: its number, and a byte for each of the secret's.
const LENGTH: usize = 33;

/// Shares that have come in, until there are enough. Prints how many.
pub struct Collection {
    key: RecipientKey,
    identity_pub: String,
    shares: Vec<Zeroizing<Vec<u8>>>,
}

/// How far a restoration is. Prints the secret as a placeholder.
#[derive(PartialEq, Eq)]
pub enum Progress {
    /// So many are there, of so many that it takes.
    Waiting {
        /// There are.
        shares: usize,
        /// It takes.
        threshold: u8,
    },
    /// The secret.
    Complete(Zeroizing<[u8; 32]>),
}

impl Collection {
    /// Shares of the secret with this identity, sealed to a new key.
    pub fn new(identity_pub: &str) -> Result<Self, ShareError> {
        let key = RecipientKey::generate()?;
        Ok(Self { key, identity_pub: identity_pub.to_ascii_lowercase(), shares: Vec::new() })
    }

    /// The public key that shares are to be sealed to.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public()
    }

    /// Takes one more. Enough wrong ones are all forgotten.
    pub fn add(&mut self, sealed: &SealedShare) -> Result<Progress, ShareError> {
        if sealed.identity_pub != self.identity_pub {
            return Err(ShareError::Identity);
        }
        if sealed.threshold < 2 {
            return Err(ShareError::Malformed("a threshold is at least 2"));
        }
        let share = self.key.open(Use::Restore, sealed)?;
        if share.len() != LENGTH || share[0] == 0 {
            return Err(ShareError::Malformed("a share is 33 bytes"));
        }
        // One that came before, or instead of it.
        self.shares.retain(|other| other[0] != share[0]);
        self.shares.push(share);
        if self.shares.len() < usize::from(sealed.threshold) {
            return Ok(Progress::Waiting { shares: self.shares.len(), threshold: sealed.threshold });
        }
        let shares: Vec<Share> =
            self.shares.drain(..).filter_map(|share| Share::try_from(share.as_slice()).ok()).collect();
        let combined = Zeroizing::new(Sharks(sealed.threshold).recover(&shares).map_err(|_| ShareError::Wrong)?);
        let mut secret = Zeroizing::new([0; 32]);
        if combined.len() != secret.len() {
            return Err(ShareError::Wrong);
        }
        secret.copy_from_slice(&combined);
        let identity = hex::encode(MasterSecret::new(&secret).identity_public_key());
        if identity == self.identity_pub { Ok(Progress::Complete(secret)) } else { Err(ShareError::Wrong) }
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut formatter = formatter.debug_struct("Collection");
        formatter.field("key", &self.key).field("identity_pub", &self.identity_pub);
        formatter.field("shares", &self.shares.len()).finish()
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { shares, threshold } => {
                formatter.debug_struct("Waiting").field("shares", shares).field("threshold", threshold).finish()
            }
            Self::Complete(_) => formatter.write_str("Complete(…)"),
        }
    }
}
