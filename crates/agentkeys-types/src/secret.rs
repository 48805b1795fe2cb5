use std::fmt;

use agentkeys_memory::Secret;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a secret scanner looks for: matches every session token and wallet session token, and no OIDC JWT.
///
/// In the syntax that RE2, Hyperscan and Rust's `regex` share, without a repetition over 1000. A token says at most
/// 750 bytes, with the longest issuer that AWS takes (255 characters).
pub const TOKEN_PATTERN: &str = r"aks_eyJ[A-Za-z0-9_-]{64,256}\.eyJ[A-Za-z0-9_-]{128,1000}\.[A-Za-z0-9_-]{86}";

/// The SHA-256 of a token's exact bytes: what may be remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest of a token as it stands on the wire.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// Text in memory that other processes cannot read, where the process keeps its secrets apart.
#[derive(Clone)]
struct SecretText(Secret);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(Zeroizing::new(text.into_bytes())))
    }
}

impl ExposeSecret<str> for SecretText {
    fn expose_secret(&self) -> &str {
        // It always is text, since it was made from a string.
        str::from_utf8(self.0.expose()).unwrap_or_default()
    }
}

macro_rules! bearer {
    ($(#[$doc:meta])* $name:ident($text:ty)) => {
        $(#[$doc])*
        ///
        /// Prints as a placeholder, and is wiped from memory when dropped.
        #[derive(Clone)]
        pub struct $name($text);

        impl $name {
            /// Takes the token as it stands on the wire; says nothing about whether it is genuine.
            pub fn new(token: String) -> Self {
                Self(token.into())
            }

            /// The token as it stands on the wire, for the one header or body that carries it.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// What may be remembered of it.
            pub fn digest(&self) -> TokenDigest {
                TokenDigest::of(self.expose())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

bearer! {
    /// The 30-day bearer that a broker issues after sign-in: a high-value credential.
    SessionToken(SecretText)
}

bearer! {
    /// The minutes-long bearer that proving a wallet gives.
    WalletSessionToken(SecretText)
}

bearer! {
    /// The web-identity token that a cloud's STS checks.
    OidcJwt(SecretString)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_prints_itself() {
        let token = SessionToken::new("aks_very-secret".to_owned());

        assert_eq!(format!("{token:?}"), "SessionToken(…)");
    }

    #[test]
    fn the_pattern_for_scanners_is_the_documented_one() {
        let documented = include_str!("../../../SECURITY.md");

        let patterns: Vec<&str> = documented.lines().filter(|line| line.starts_with("aks_")).collect();

        assert_eq!(patterns, [TOKEN_PATTERN]);
    }

    #[test]
    fn a_token_reads_back_as_it_came_also_out_of_json() {
        let token = SessionToken::new("aks_ä".to_owned());
        let parsed: SessionToken = serde_json::from_str(r#""aks_\u00e4""#).unwrap();

        assert_eq!(token.expose(), "aks_ä");
        assert_eq!(parsed.expose(), "aks_ä");
    }
}
