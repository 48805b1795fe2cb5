use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{Identity, Invalid};

/// The namespace of a deployment, hashed into every account: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId(String);

impl ClientId {
    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClientId {
    fn default() -> Self {
        Self("agentkeys".to_owned())
    }
}

impl FromStr for ClientId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid("client_id must be 1 to 64 visible ASCII characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The 32-byte anchor of an account: SHA-256 of client id, identity type and identity value.
///
/// Text form: 64 lowercase hex digits; `0x` and upper case are accepted on input.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OmniAccount([u8; 32]);

impl OmniAccount {
    /// The account that `identity` anchors in the deployment `client_id`.
    ///
    /// The parts are joined without separators, which is injective because no identity type is a
    /// prefix of another: see [`IdentityTypes`](crate::IdentityTypes).
    pub fn anchored_by(client_id: &ClientId, identity: &Identity) -> Self {
        let mut hash = Sha256::new();
        hash.update(client_id.as_str());
        hash.update(identity.identity_type().to_string());
        hash.update(identity.value());
        Self(hash.finalize().into())
    }

    /// An account from its 32 bytes, as a store kept them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for OmniAccount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| Invalid("omni_account must be 64 hex characters"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for OmniAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for OmniAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OmniAccount({self})")
    }
}

impl Serialize for OmniAccount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OmniAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ada_and_grace_have_the_published_accounts() {
        let ada = Identity::email("ada@example.com".parse().unwrap());
        let grace = Identity::email("grace@example.org".parse().unwrap());

        assert_eq!(
            OmniAccount::anchored_by(&ClientId::default(), &ada).to_string(),
            "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6"
        );
        assert_eq!(
            OmniAccount::anchored_by(&ClientId::default(), &grace).to_string(),
            "5006ca8162c0416f35e75fd61c787a379f1235a0c34ca79b213f29a0784b731c"
        );
    }

    #[test]
    fn an_account_reads_with_prefix_and_in_upper_case() {
        let text = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";

        let account: OmniAccount = format!("0x{}", text.to_uppercase()).parse().unwrap();

        assert_eq!(account.to_string(), text);
    }

    #[test]
    fn anything_but_64_hex_digits_is_no_account() {
        for text in ["", "0x", "73", "zz", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<OmniAccount>().is_err(), "{text}");
        }
    }
}
