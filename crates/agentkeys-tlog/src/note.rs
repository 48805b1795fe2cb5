use std::{fmt, str::FromStr};

use agentkeys_memory::Secret;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

/// The one type of key that is used here (C2SP signed-note).
const ED25519_TYPE: u8 = 1;
/// Far longer than a checkpoint is.
const LONGEST: usize = 64 * 1024;
/// The most signatures that are looked at.
const MOST_SIGNATURES: usize = 100;
const SIGNATURE_START: &str = "\u{2014} ";

/// Why a note or a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is no verifier key.
    #[error("a log's key is NAME+HASH+KEY, as C2SP signed-note has it, of the type Ed25519")]
    Key,
    /// It is no signed note.
    #[error("it is no signed note: {0}")]
    Malformed(&'static str),
    /// The key has not signed it.
    #[error("it has no signature of this key")]
    NotSigned,
}

/// The public key of whoever signs notes, and its name.
///
/// Text form: `NAME+HASH+KEY`, a C2SP "vkey".
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: [u8; 32],
}

impl VerifierKey {
    /// The key of that name.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, NoteError> {
        if is_name(name) { Ok(Self { name: name.to_owned(), key }) } else { Err(NoteError::Key) }
    }

    /// What it is called: for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells keys of one name apart.
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519_TYPE]).chain_update(self.key);
        let hash: [u8; 32] = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The text of the signed `note`, which this key has signed.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        let (text, signatures) = split(note)?;
        let id = self.id();
        let own = signatures.iter().filter(|signature| signature.name == self.name && signature.id() == Some(id));
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        let mut is_signed = false;
        for signature in own {
            // A wrong one beside a right one is no accident.
            key.verify(text.as_bytes(), &signature.bytes[4..]).map_err(|_| NoteError::NotSigned)?;
            is_signed = true;
        }
        if is_signed { Ok(text) } else { Err(NoteError::NotSigned) }
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
        let (_, key) = rest.split_once('+').ok_or(NoteError::Key)?;
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let (&[ED25519_TYPE], key) = bytes.split_at_checked(1).ok_or(NoteError::Key)? else {
            return Err(NoteError::Key);
        };
        let key = Self::new(name, key.try_into().map_err(|_| NoteError::Key)?)?;
        // With the hash, and in one spelling only.
        if key.to_string() == text { Ok(key) } else { Err(NoteError::Key) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [ED25519_TYPE; 33];
        key[1..].copy_from_slice(&self.key);
        write!(formatter, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), BASE64_STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifierKey({self})")
    }
}

/// Signs notes in its name.
///
/// It keeps the seed, where no other process can read it. The key pair is made for each signature.
pub struct SignerKey {
    seed: Secret,
    verifier: VerifierKey,
}

impl SignerKey {
    /// The key of that name with this seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let public = key_pair(seed)?.public_key().as_ref().try_into().map_err(|_| NoteError::Key)?;
        Ok(Self { seed: Secret::apart(seed.to_vec().into()), verifier: VerifierKey::new(name, public)? })
    }

    /// What verifies its signatures.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs `text`, lines that each end with a newline.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(key_pair(self.seed.expose())?.sign(text.as_bytes()).as_ref());
        let signature = BASE64_STANDARD.encode(signature);
        Ok(format!("{text}\n{SIGNATURE_START}{} {signature}\n", self.verifier.name))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SignerKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

fn key_pair(seed: &[u8]) -> Result<Ed25519KeyPair, NoteError> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)
}

/// The text of a note of which no signature is checked.
pub(crate) fn unverified_text(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

struct NoteSignature<'n> {
    name: &'n str,
    bytes: Vec<u8>,
}

impl NoteSignature<'_> {
    fn id(&self) -> Option<[u8; 4]> {
        self.bytes.first_chunk().copied()
    }
}

fn split(note: &str) -> Result<(&str, Vec<NoteSignature<'_>>), NoteError> {
    if note.len() > LONGEST {
        return Err(NoteError::Malformed("it is too long"));
    }
    let end = note.rfind("\n\n").ok_or(NoteError::Malformed("an empty line stands before the signatures"))?;
    let (text, signatures) = (&note[..=end], &note[end + 2..]);
    check_text(text)?;
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("its last line has no end"))?;
    let signatures: Option<Vec<_>> = signatures.split('\n').take(MOST_SIGNATURES + 1).map(signature).collect();
    let signatures = signatures.ok_or(NoteError::Malformed("a signature is a dash, a name and base64"))?;
    if signatures.len() > MOST_SIGNATURES {
        return Err(NoteError::Malformed("it has too many signatures"));
    }
    Ok((text, signatures))
}

fn signature(line: &str) -> Option<NoteSignature<'_>> {
    let (name, bytes) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(bytes).ok()?;
    (is_name(name) && bytes.len() > 4).then_some(NoteSignature { name, bytes })
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.chars().any(|character| character < ' ' && character != '\n') {
        return Err(NoteError::Malformed("it has control characters"));
    }
    if text.ends_with('\n') { Ok(()) } else { Err(NoteError::Malformed("its text has no end")) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|character| character.is_whitespace() || character.is_control() || character == '+')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of golang.org/x/mod/sumdb/note.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn example() -> String {
        format!("{TEXT}\n{SIGNATURE}")
    }

    fn signer() -> SignerKey {
        SignerKey::from_seed("log.example", &[7; 32]).unwrap()
    }

    #[test]
    fn the_example_of_go_is_signed_by_its_key() {
        let key: VerifierKey = KEY.parse().unwrap();

        assert_eq!((key.name(), key.to_string().as_str()), ("PeterNeumann", KEY));
        assert_eq!(key.open(&example()), Ok(TEXT));
    }

    #[test]
    fn the_seed_of_the_example_gives_its_key_and_its_signature() {
        // "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
        let seed = BASE64_STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();

        let signer = SignerKey::from_seed("PeterNeumann", seed[1..].try_into().unwrap()).unwrap();

        assert_eq!(signer.verifier().to_string(), KEY);
        assert_eq!(signer.sign(TEXT).unwrap(), example());
    }

    #[test]
    fn other_signatures_are_passed_over_and_wrong_ones_of_the_key_are_not() {
        let key: VerifierKey = KEY.parse().unwrap();
        let others = signer().sign(TEXT).unwrap();
        let other = others.strip_prefix(TEXT).unwrap().trim_start();
        let forged = SIGNATURE.replace("ZJku", "ZJkv");

        assert_eq!(key.open(&format!("{TEXT}\n{other}{SIGNATURE}")), Ok(TEXT));
        assert_eq!(key.open(&others), Err(NoteError::NotSigned));
        assert_eq!(key.open(&format!("{TEXT}\n{SIGNATURE}{forged}")), Err(NoteError::NotSigned));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let key: VerifierKey = KEY.parse().unwrap();
        for note in [
            String::new(),
            TEXT.to_owned(),
            format!("{TEXT}\n"),
            format!("{TEXT}{SIGNATURE}"),
            format!("{TEXT}\n{}", SIGNATURE.trim_end()),
            format!("{TEXT}\n{SIGNATURE}\n"),
            format!("{TEXT}\n- {}", SIGNATURE.trim_start_matches(SIGNATURE_START)),
            format!("a\tb\n{TEXT}\n{SIGNATURE}"),
            format!("{TEXT}\n{}", SIGNATURE.repeat(101)),
            format!("{TEXT}\n{SIGNATURE}").replace('\n', "\r\n"),
            format!("{}\n{TEXT}\n{SIGNATURE}", "a".repeat(LONGEST)),
        ] {
            assert!(matches!(key.open(&note), Err(NoteError::Malformed(_))), "{note}");
        }
    }

    #[test]
    fn a_key_is_written_in_one_way() {
        for text in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
            "PeterNeumann+c74f20a3+AQ==",
        ] {
            assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::Key), "{text}");
        }
        assert!(SignerKey::from_seed("two words", &[0; 32]).is_err());
        assert!(signer().sign("no end").is_err());
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_is_refused(position in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            let mut note = example().into_bytes();
            let length = note.len();
            note[position.index(length)] ^= flip;
            let key: VerifierKey = KEY.parse().unwrap();

            if let Ok(note) = String::from_utf8(note) {
                prop_assert!(key.open(&note).is_err());
            }
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "[—+ \na-zA-Z0-9/=]{0,200}", any: String) {
            let key: VerifierKey = KEY.parse().unwrap();
            for text in [text, any] {
                let _ = key.open(&text);
                let _ = text.parse::<VerifierKey>();
            }
        }
    }
}
