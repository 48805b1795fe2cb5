use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, [$($extra:literal),+], $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                // It becomes part of file names, paths and tags, so neither a dot nor a slash will do.
                let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' $(| $extra)+);
                if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) {
                    return Err(Invalid($expected));
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// The name that a person gave an agent: `[a-z0-9-]{1,32}`.
    AgentName,
    [b'-'],
    "an agent is named with 1 to 32 of a-z, 0-9 and hyphen"
);
name!(
    /// The name that the settings give a role: `[a-z0-9_-]{1,32}`.
    RoleName,
    [b'-', b'_'],
    "a role is named with 1 to 32 of a-z, 0-9, hyphen and underscore"
);

impl RoleName {
    /// Whether it is the role that is used when none is named.
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }
}

impl Default for RoleName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_and_nothing_that_could_lead_elsewhere() {
        for text in ["claude", "ci-bot-7", "0", "default"] {
            assert_eq!(text.parse::<AgentName>().unwrap().as_str(), text);
            assert_eq!(text.parse::<RoleName>().unwrap().as_str(), text);
        }
        for text in ["", "Claude", "a b", "../a", "a.b", "a/b", "ä", "a\n", &"a".repeat(33)] {
            assert!(text.parse::<AgentName>().is_err(), "{text}");
            assert!(text.parse::<RoleName>().is_err(), "{text}");
        }
        assert!("a_b".parse::<AgentName>().is_err());
        assert!("a_b".parse::<RoleName>().is_ok());
    }
}
