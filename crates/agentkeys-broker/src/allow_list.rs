use std::str::FromStr;

use agentkeys_types::{EmailAddress, Identity, IdentityType, ProviderName};
use serde::Deserialize;

use crate::ConfigError;

/// Who may sign in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowList {
    /// Addresses (`ada@example.com`), domains (`@example.com`), providers (`oauth2_google`), those people of a provider
    /// whose address there is verified and of a domain (`oauth2_google:@example.com`), and single subjects
    /// (`oauth2_google:1234`). Empty means anyone, and is refused off loopback.
    allow: Vec<Allowed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Address(EmailAddress),
    Domain(String),
    Provider(ProviderName),
    ProviderDomain(ProviderName, String),
    Subject(Identity),
}

impl AllowList {
    /// Lets in exactly those named.
    pub fn of<'t>(entries: impl IntoIterator<Item = &'t str>) -> Result<Self, ConfigError> {
        Ok(Self { allow: entries.into_iter().map(str::parse).collect::<Result<_, _>>()? })
    }

    /// Whether this identity may sign in, for which its provider has verified the address `email`.
    ///
    /// That address counts only where an entry names the provider and a domain.
    pub fn allows(&self, identity: &Identity, email: Option<&EmailAddress>) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|allowed| allowed.covers(identity, email))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }

    /// The providers that are named.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.allow.iter().filter_map(|allowed| match allowed {
            Allowed::Provider(provider) | Allowed::ProviderDomain(provider, _) => Some(provider),
            Allowed::Subject(subject) => provider_of(subject),
            Allowed::Address(_) | Allowed::Domain(_) => None,
        })
    }
}

impl Allowed {
    fn covers(&self, identity: &Identity, email: Option<&EmailAddress>) -> bool {
        let is_email = *identity.identity_type() == IdentityType::Email;
        match self {
            Self::Address(address) => is_email && identity.value() == address.as_str(),
            Self::Domain(domain) => {
                is_email && identity.value().rsplit_once('@').is_some_and(|(_, found)| found == domain)
            }
            Self::Provider(provider) => provider_of(identity) == Some(provider),
            Self::ProviderDomain(provider, domain) => {
                provider_of(identity) == Some(provider) && email.is_some_and(|email| email.domain() == domain)
            }
            Self::Subject(subject) => identity == subject,
        }
    }
}

fn provider_of(identity: &Identity) -> Option<&ProviderName> {
    match identity.identity_type() {
        IdentityType::Oauth2(provider) => Some(provider),
        IdentityType::Email | IdentityType::Evm => None,
    }
}

impl FromStr for Allowed {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let invalid = |_| {
            ConfigError::Value(
                "`sign_in.allow` takes addresses (ada@example.com), domains (@example.com), providers \
                 (oauth2_google), their domains (oauth2_google:@example.com) and subjects (oauth2_google:1234)",
            )
        };
        // A domain is written as an address without its local part, and read like one.
        let domain = |text: &str| {
            let address: EmailAddress = format!("x{text}").parse().map_err(invalid)?;
            Ok(address.domain().to_owned())
        };
        if text.starts_with('@') {
            return domain(text).map(Self::Domain);
        }
        if text.contains('@') && !text.contains(':') {
            return text.parse().map(Self::Address).map_err(invalid);
        }
        let (provider, rest) = text.split_once(':').unwrap_or((text, ""));
        let provider: ProviderName = provider.strip_prefix("oauth2_").unwrap_or_default().parse().map_err(invalid)?;
        match rest {
            "" => Ok(Self::Provider(provider)),
            rest if rest.starts_with('@') => Ok(Self::ProviderDomain(provider, domain(rest)?)),
            subject => Identity::oauth2(provider, subject).map(Self::Subject).map_err(invalid),
        }
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

    fn email(address: &str) -> Identity {
        Identity::email(address.parse().unwrap())
    }

    fn subject(provider: &str, subject: &str) -> Identity {
        Identity::oauth2(provider.parse().unwrap(), subject).unwrap()
    }

    #[test]
    fn a_domain_does_not_let_its_neighbours_in() {
        let list = AllowList::of(["@example.com", "Grace@Example.org"]).unwrap();

        let allows = |address: &str| list.allows(&email(address), None);
        assert!(allows("ada@example.com") && allows("grace@example.org"));
        assert!(!allows("ada@sub.example.com") && !allows("ada@notexample.com") && !allows("ada@example.org"));
    }

    #[test]
    fn the_address_that_a_provider_knows_lets_nobody_in_by_itself() {
        let list = AllowList::of(["@example.com", "ada@example.com"]).unwrap();

        assert!(!list.allows(&subject("google", "1"), Some(&"ada@example.com".parse().unwrap())));
    }

    #[test]
    fn a_provider_lets_in_everybody_or_a_domain_or_one() {
        let list = AllowList::of(["oauth2_acme", "oauth2_google:@example.com", "oauth2_google:7"]).unwrap();
        let (inside, outside) = ("ada@example.com".parse().unwrap(), "ada@example.org".parse().unwrap());

        assert!(list.allows(&subject("acme", "1"), None));
        assert!(list.allows(&subject("google", "1"), Some(&inside)));
        assert!(list.allows(&subject("google", "7"), None));
        assert!(!list.allows(&subject("google", "1"), Some(&outside)));
        assert!(!list.allows(&subject("google", "1"), None));
        assert!(!list.allows(&email("ada@example.com"), Some(&inside)));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for entry in ["", "@", "google", "oauth2_", "oauth2_Google", "oauth2_google:@", "saml_x", "ada@"] {
            assert!(AllowList::of([entry]).is_err(), "{entry}");
        }
    }
}
