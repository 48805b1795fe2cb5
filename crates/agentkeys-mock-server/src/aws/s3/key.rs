use std::collections::BTreeMap;

use s3s::{S3Error, S3ErrorCode, S3Result};

/// The tag that says which prefix is a session's own.
const WALLET_TAG: &str = "agentkeys_user_wallet";

/// The keys that a session may touch: those below `bots/<its wallet>/`.
#[derive(Clone, Debug)]
pub(super) struct OwnPrefix {
    prefix: String,
    longest: usize,
}

impl OwnPrefix {
    /// The prefix of a session with these tags; `None` when no wallet is named.
    pub(super) fn of(tags: &BTreeMap<String, String>, bucket: &str) -> Option<Self> {
        let wallet = tags.get(WALLET_TAG).filter(|wallet| is_name(wallet))?;
        Some(Self { prefix: format!("bots/{wallet}/"), longest: longest_key(bucket) })
    }

    /// The wallet that the prefix belongs to.
    pub(super) fn wallet(&self) -> &str {
        self.prefix.trim_start_matches("bots/").trim_end_matches('/')
    }

    /// Lets only own keys through, and of these only such as can be files.
    pub(super) fn check(&self, key: &str) -> S3Result<()> {
        let below = key.strip_prefix(&self.prefix).ok_or_else(access_denied)?;
        let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
        if below.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(access_denied());
        }
        let folders_are_names = folders.is_empty() && !below.starts_with('/') || folders.split('/').all(is_name);
        if !folders_are_names || !(name.is_empty() || is_name(name)) {
            let message = "Keys are files here: no empty segments, backslashes or control characters.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
        if key.len() > self.longest {
            let message = format!("Keys are file names here, and at most {} bytes long.", self.longest);
            return Err(S3Error::with_message(S3ErrorCode::KeyTooLongError, message));
        }
        Ok(())
    }

    /// Lets only prefixes through that list own keys.
    pub(super) fn check_listing(&self, prefix: Option<&str>) -> S3Result<()> {
        if prefix.is_some_and(|prefix| prefix.starts_with(&self.prefix)) { Ok(()) } else { Err(access_denied()) }
    }
}

/// The longest key in bytes, where S3 itself takes 1,024.
///
/// The store names a file `.bucket-….object-….upload-<UUID>.metadata.json` after bucket and key in base64, and
/// a file name ends at 255 bytes.
fn longest_key(bucket: &str) -> usize {
    const OTHER_PARTS: usize = 74;
    let in_base64 = (bucket.len() * 4).div_ceil(3);
    (255 - OTHER_PARTS - in_base64) * 3 / 4
}

/// Whether a segment can be the name of a file everywhere.
fn is_name(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && !segment.contains(|character: char| matches!(character, '/' | '\\') || character.is_control())
}

pub(super) fn access_denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn own() -> OwnPrefix {
        OwnPrefix::of(&BTreeMap::from([(WALLET_TAG.to_owned(), "0xada".to_owned())]), "agentkeys-dev").unwrap()
    }

    fn code(key: &str) -> Option<S3ErrorCode> {
        own().check(key).err().map(|error| error.code().clone())
    }

    #[test]
    fn own_keys_pass() {
        for key in ["bots/0xada/hello.txt", "bots/0xada/a/b/c", "bots/0xada/folder/", "bots/0xada/", "bots/0xada/ü ~+"]
        {
            assert_eq!(code(key), None, "{key}");
        }
    }

    #[test]
    fn foreign_keys_and_ways_out_are_denied() {
        for key in [
            "",
            "hello.txt",
            "bots/0xada",
            "bots/0xadam/hello.txt",
            "bots/0xeve/hello.txt",
            "BOTS/0xada/hello.txt",
            "/bots/0xada/hello.txt",
            "bots//0xada/hello.txt",
            "bots/0xada/../0xeve/hello.txt",
            "bots/0xada/a/../../0xeve/hello.txt",
            "bots/0xada/..",
            "bots/0xada/.",
        ] {
            assert_eq!(code(key), Some(S3ErrorCode::AccessDenied), "{key}");
        }
    }

    #[test]
    fn keys_that_cannot_be_files_are_refused() {
        for key in ["bots/0xada//x", "bots/0xada/a//b", "bots/0xada/a//", "bots/0xada/a\\..\\b", "bots/0xada/a\0"] {
            assert_eq!(code(key), Some(S3ErrorCode::InvalidArgument), "{key:?}");
        }
        assert_eq!(code(&format!("bots/0xada/{}", "k".repeat(122 - 11))), None);
        assert_eq!(code(&format!("bots/0xada/{}", "k".repeat(123 - 11))), Some(S3ErrorCode::KeyTooLongError));
    }

    #[test]
    fn a_wallet_tag_that_is_no_name_opens_nothing() {
        for wallet in ["", ".", "..", "a/../b", "a/b"] {
            let tags = BTreeMap::from([(WALLET_TAG.to_owned(), wallet.to_owned())]);

            assert!(OwnPrefix::of(&tags, "agentkeys-dev").is_none(), "{wallet}");
        }
        assert!(OwnPrefix::of(&BTreeMap::new(), "agentkeys-dev").is_none());
    }

    #[test]
    fn listings_stay_below_the_prefix() {
        assert!(own().check_listing(Some("bots/0xada/")).is_ok());
        assert!(own().check_listing(Some("bots/0xada/a")).is_ok());
        for prefix in [None, Some(""), Some("bots/"), Some("bots/0xada"), Some("bots/0xeve/")] {
            assert!(own().check_listing(prefix).is_err(), "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn no_key_that_passes_leaves_the_prefix(key in "(bots/0xada/)?[a-z./\\\\]{0,24}") {
            if own().check(&key).is_ok() {
                prop_assert!(Path::new(&key).starts_with("bots/0xada"));
                prop_assert!(Path::new(&key).components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
