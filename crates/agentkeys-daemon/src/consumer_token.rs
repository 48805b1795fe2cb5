use std::{fmt, path::Path};

use agentkeys_memory::Secret;
use agentkeys_types::TokenDigest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{PrivateFileError, private_file::PrivateFile};

/// What one consumer shows at the endpoint: 256 random bits, as 43 characters of base64url.
///
/// Prints as a placeholder, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct ConsumerToken(Secret);

impl ConsumerToken {
    /// How many characters it has.
    pub const LENGTH: usize = 43;

    /// A fresh one.
    pub fn generate() -> Self {
        let bits = Zeroizing::new(agentkeys_crypto::random::<32>());
        let mut text = Zeroizing::new(vec![0; Self::LENGTH]);
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(*bits, &mut text);
        debug_assert_eq!(written, Ok(Self::LENGTH));
        Self(Secret::new(text))
    }

    /// The token as it stands on the wire, for the one header that carries it.
    pub fn expose(&self) -> &str {
        // It always is text, since it was made from a string.
        str::from_utf8(self.0.expose()).unwrap_or_default()
    }

    /// What may be remembered of it: what comes in is compared by its digest.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.expose())
    }

    /// Whether `unverified_token` is this one.
    pub fn matches(&self, unverified_token: &str) -> bool {
        self.digest() == TokenDigest::of(unverified_token)
    }

    /// Writes it to a file 0600 in a folder 0700, for `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`: SDKs take no newline
    /// at its end. The folder is made where it is missing.
    pub fn write(&self, path: &Path) -> Result<(), PrivateFileError> {
        PrivateFile::in_private_folder(path).replace(self.0.expose())
    }

    /// Removes the file at `path`, if it is there.
    pub fn remove(path: &Path) -> Result<(), PrivateFileError> {
        PrivateFile::in_private_folder(path).remove()
    }
}

impl fmt::Debug for ConsumerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ConsumerToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    #[test]
    fn a_token_is_43_characters_that_go_anywhere_and_no_two_are_equal() {
        let (token, other) = (ConsumerToken::generate(), ConsumerToken::generate());

        assert_eq!(token.expose().len(), 43);
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert!(token.matches(token.expose()));
        assert!(!token.matches(other.expose()));
        assert!(!token.matches(""));
        assert!(!token.matches(&token.expose()[..42]));
    }

    #[test]
    fn a_token_never_prints_itself() {
        assert_eq!(format!("{:?}", ConsumerToken::generate()), "ConsumerToken(…)");
    }

    #[test]
    fn a_token_is_written_for_its_owner_alone_without_a_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/claude.token");
        let token = ConsumerToken::generate();

        token.write(&path).unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), token.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

        ConsumerToken::remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_others_may_look_into_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claude.token");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();

        let refused = ConsumerToken::generate().write(&path);

        assert!(matches!(refused, Err(PrivateFileError::InsecureFolder { .. })));
        assert!(!path.exists());
    }
}
