use std::{fmt, str::FromStr};

use agentkeys_types::Invalid;
use serde::{Deserialize, Deserializer};

/// In the folder of the default profile's socket, the folder with those of its agents.
const RESERVED: &str = "agents";

/// The name of a set of settings with a session of its own: `[a-z0-9_-]{1,32}`, and not `agents`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileName(String);

impl ProfileName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the profile that is used when none is named.
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }
}

impl Default for ProfileName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for ProfileName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // It becomes the name of a folder, so neither a dot nor a slash will do.
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Invalid("a profile is named with 1 to 32 of a-z, 0-9, hyphen and underscore"));
        }
        if text == RESERVED {
            return Err(Invalid("no profile is named `agents`: its sockets would lie among those of agents"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_by_what_can_be_a_folder_of_its_own() {
        for name in ["default", "work", "a_b-1", "agent", "agents2"] {
            assert!(name.parse::<ProfileName>().is_ok(), "{name}");
        }
        for name in ["", "Work", "a/b", "..", "agents", &"a".repeat(33)] {
            assert!(name.parse::<ProfileName>().is_err(), "{name}");
        }
    }
}
