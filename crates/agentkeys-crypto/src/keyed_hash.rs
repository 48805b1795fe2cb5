use std::fmt;

use agentkeys_memory::Secret;
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::SealingKey;

/// Hashes short codes under a key (HMAC-SHA-256), so that a stolen store does not give them away.
///
/// The key is kept where no other process can read it.
pub struct HashKey(Secret);

impl HashKey {
    /// A key from 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Secret::apart(bytes.to_vec().into()))
    }

    /// The keyed hash of the parts, each preceded by its length, so that they cannot run together.
    pub fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.expose()));
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }

    /// A key that seals, derived for the purpose that `label` names, which no hash shares.
    pub fn sealing_key(&self, label: &str) -> SealingKey {
        SealingKey::new(&Zeroizing::new(self.hash(&[b"sealing key", label.as_bytes()])))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey(…)")
    }
}
