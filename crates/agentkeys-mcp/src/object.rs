//! What names an object in S3, so that no name leads to another one.

use std::{net::Ipv4Addr, str::FromStr};

use agentkeys_types::Invalid;

/// A bucket, named by the rules of S3.
#[derive(Debug)]
pub(crate) struct BucketName(String);

impl BucketName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether no certificate of Amazon's covers it as part of a host name.
    pub(crate) fn has_dots(&self) -> bool {
        self.0.contains('.')
    }
}

impl FromStr for BucketName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let allowed = |byte: u8| alphanumeric(byte) || matches!(byte, b'.' | b'-');
        let ends_well = |byte: Option<&u8>| byte.is_some_and(|byte| alphanumeric(*byte));
        let bytes = text.as_bytes();
        let is_a_name = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| allowed(*byte))
            && ends_well(bytes.first())
            && ends_well(bytes.last());
        let is_something_else = text.contains("..") || text.starts_with("xn--") || text.parse::<Ipv4Addr>().is_ok();
        if !is_a_name || is_something_else {
            return Err(Invalid(
                "a bucket is named with 3 to 63 of a-z, 0-9, dot and hyphen, begins and ends with a letter or digit, \
                 has no two dots together and is no IP address",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The key of an object, which a URL can name.
#[derive(Debug)]
pub(crate) struct ObjectKey(String);

impl ObjectKey {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if !(1..=1024).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(Invalid("a key is 1 to 1024 bytes of UTF-8 without control characters"));
        }
        // Whoever reads a URL resolves them, and comes to another key or another bucket.
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Invalid("a key that a URL can name has no part that is `.` or `..`"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The media type of an object.
#[derive(Debug)]
pub(crate) struct ContentType(String);

impl ContentType {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let is_short = (1..=255).contains(&text.len());
        // A signature covers it as it is sent, with single spaces.
        let is_trim = text.trim() == text && !text.contains("  ");
        if !is_short || !is_trim || !text.contains('/') || !text.bytes().all(is_visible) {
            return Err(Invalid("a content type is one like text/plain; charset=utf-8, of 255 characters at most"));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_the_rules_of_s3() {
        for text in ["abc", "agentkeys-dev", "a.b.c", "0-1", &"a".repeat(63)] {
            assert!(text.parse::<BucketName>().is_ok(), "{text}");
        }
        for text in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "192.168.0.1",
            "xn--bcher",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "bücket",
            &"a".repeat(64),
        ] {
            assert!(text.parse::<BucketName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_leads_to_no_other_object() {
        for text in ["a", "/a", "a//b", "a/b c+d%2e%2e/…", "..a/b..", "%2e%2e/x", "\\..\\x", &"é".repeat(512)] {
            assert!(text.parse::<ObjectKey>().is_ok(), "{text}");
        }
        for text in ["", ".", "..", "../b", "a/../b", "a/.", "a\nb", "a\u{0}", "\u{85}", &"é".repeat(513)] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_content_type_is_one_header() {
        for text in ["text/plain", "text/plain; charset=utf-8"] {
            assert!(text.parse::<ContentType>().is_ok(), "{text}");
        }
        for text in ["", "text", " text/plain", "text/plain ", "a/b\r\nX: y", "a/b;  c", "a/é"] {
            assert!(text.parse::<ContentType>().is_err(), "{text}");
        }
    }
}
