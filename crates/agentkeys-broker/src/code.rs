use std::fmt;

use agentkeys_types::RequestIdDigest;
use zeroize::Zeroizing;

use agentkeys_crypto::{HashKey, random};

/// Crockford's base32: no I, L, O or U, so that a code reads the same in any font.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The 8 characters (40 bits) that a person types: from a mail where they were asked for, or from a machine into a page.
pub(crate) struct TypedCode(Zeroizing<String>);

impl TypedCode {
    /// A fresh code.
    pub(crate) fn generate() -> Self {
        let bytes = random::<8>();
        Self(Zeroizing::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()))
    }

    /// The code that a person meant: case, spaces and hyphens do not matter, nor O for 0, nor I or L for 1.
    ///
    /// Anything is a code; whether it is the right one is for its hash to say.
    pub(crate) fn typed(text: &str) -> Self {
        let plain = text.chars().filter(|character| !character.is_whitespace() && *character != '-');
        let read = |character: char| match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        Self(Zeroizing::new(plain.map(read).collect()))
    }

    /// What may be kept of it: a keyed hash, bound to the request that it answers.
    pub(crate) fn hash(&self, key: &HashKey, request: RequestIdDigest) -> [u8; 32] {
        key.hash(&[b"e-mail sign-in code", &request.0, self.0.as_bytes()])
    }

    /// What may be kept of a code that a machine shows, and by which it is found.
    pub(crate) fn hash_alone(&self, key: &HashKey) -> [u8; 32] {
        key.hash(&[b"code of a device", self.0.as_bytes()])
    }

    /// The code as it is written in the mail: `K7Q4-MF2X`.
    pub(crate) fn expose(&self) -> Zeroizing<String> {
        let (first, second) = self.0.split_at_checked(4).unwrap_or((&self.0, ""));
        Zeroizing::new(format!("{first}-{second}"))
    }
}

impl fmt::Debug for TypedCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TypedCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_again_however_it_is_typed() {
        let key = HashKey::new(&[1; 32]);
        let request = RequestIdDigest([2; 32]);
        let code = TypedCode::typed("K7Q40F2X");

        for typed in ["K7Q4-0F2X", " k7q4 of2x ", "k7q4–0f2x".replace('–', "-").as_str()] {
            assert_eq!(TypedCode::typed(typed).hash(&key, request), code.hash(&key, request), "{typed}");
        }
        assert_ne!(TypedCode::typed("K7Q40F2").hash(&key, request), code.hash(&key, request));
        assert_ne!(code.hash(&key, RequestIdDigest([3; 32])), code.hash(&key, request));
    }

    #[test]
    fn a_fresh_code_survives_being_typed_from_the_mail() {
        let key = HashKey::new(&[1; 32]);
        let request = RequestIdDigest([2; 32]);
        let code = TypedCode::generate();

        assert_eq!(code.expose().len(), 9);
        assert_eq!(TypedCode::typed(&code.expose()).hash(&key, request), code.hash(&key, request));
    }
}
