use std::fmt;

use agentkeys_memory::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// Seals what lies in a store for a while (AES-256-GCM), so that a stolen store does not give it away.
///
/// The key is kept where no other process can read it.
pub struct SealingKey(Secret);

impl SealingKey {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(Secret::apart(bytes.to_vec().into()))
    }

    /// Encrypts `plain` under a fresh nonce, which comes first; `context` must be the same to open it.
    ///
    /// # Panics
    ///
    /// When there is more to seal than AES-GCM can take, 64 GiB.
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        // With room for the tag, so that the text is never moved and left behind.
        let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + AES_256_GCM.tag_len()));
        text.extend_from_slice(plain);
        let nonce = self.key().seal_in_place_append_tag(Aad::from(context), &mut *text).expect("it is not too much");
        [nonce.as_ref().as_slice(), &text].concat()
    }

    /// Decrypts what was sealed under this key and `context`; nothing, where it was not.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self.key().open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    fn key(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.expose()).expect("the key has 32 bytes")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashKey;

    const PLAIN: &[u8] = b"K7Q4-MF2X";

    #[test]
    fn what_was_sealed_is_opened_under_the_same_key_and_context_only() {
        let key = HashKey::new(&[1; 32]).sealing_key("mails");
        let sealed = key.seal(PLAIN, b"a mail");

        assert_eq!(key.open(&sealed, b"a mail").unwrap().as_slice(), PLAIN);
        assert!(key.open(&sealed, b"another").is_none());
        for other in [HashKey::new(&[1; 32]).sealing_key("others"), HashKey::new(&[2; 32]).sealing_key("mails")] {
            assert!(other.open(&sealed, b"a mail").is_none());
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_alike_and_does_not_show() {
        let key = HashKey::new(&[1; 32]).sealing_key("mails");

        let (one, two) = (key.seal(PLAIN, b""), key.seal(PLAIN, b""));

        assert_ne!(one[..NONCE_LEN], two[..NONCE_LEN]);
        assert_ne!(one[NONCE_LEN..], two[NONCE_LEN..]);
        assert!(!one.windows(4).any(|bytes| PLAIN.windows(4).any(|part| part == bytes)));
    }

    #[test]
    fn nothing_that_was_altered_or_cut_off_is_opened() {
        let key = HashKey::new(&[1; 32]).sealing_key("mails");
        let sealed = key.seal(PLAIN, b"");

        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert!(key.open(&altered, b"").is_none(), "{position}");
            assert!(key.open(&sealed[..position], b"").is_none(), "{position}");
        }
    }
}
