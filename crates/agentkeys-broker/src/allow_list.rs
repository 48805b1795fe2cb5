use std::str::FromStr;

use agentkeys_types::EmailAddress;
use serde::Deserialize;

use crate::ConfigError;

/// Who may sign in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowList {
    /// E-mail addresses (`ada@example.com`) and domains (`@example.com`). Empty means anyone, and is refused off loopback.
    allow: Vec<Allowed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Address(EmailAddress),
    Domain(String),
}

impl AllowList {
    /// Lets in exactly the addresses (`ada@example.com`) and domains (`@example.com`) named.
    pub fn of<'t>(entries: impl IntoIterator<Item = &'t str>) -> Result<Self, ConfigError> {
        Ok(Self { allow: entries.into_iter().map(str::parse).collect::<Result<_, _>>()? })
    }

    /// Whether this address may sign in.
    pub fn allows(&self, address: &EmailAddress) -> bool {
        self.allow.is_empty()
            || self.allow.iter().any(|allowed| match allowed {
                Allowed::Address(one) => one == address,
                Allowed::Domain(domain) => domain == address.domain(),
            })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }
}

impl FromStr for Allowed {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let invalid =
            |_| ConfigError::Value("`sign_in.allow` takes addresses (ada@example.com) and domains (@example.com)");
        if text.starts_with('@') {
            // A domain is written as an address without its local part, and read like one.
            let address: EmailAddress = format!("x{text}").parse().map_err(invalid)?;
            return Ok(Self::Domain(address.domain().to_owned()));
        }
        text.parse().map(Self::Address).map_err(invalid)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_does_not_let_its_neighbours_in() {
        let list = AllowList::of(["@example.com", "Grace@Example.org"]).unwrap();

        let allows = |address: &str| list.allows(&address.parse().unwrap());
        assert!(allows("ada@example.com") && allows("grace@example.org"));
        assert!(!allows("ada@sub.example.com") && !allows("ada@notexample.com") && !allows("ada@example.org"));
    }
}
