use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{EmailAddress, EvmAddress, Invalid};

/// The name that an operator gave an identity provider: `[a-z0-9]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName(String);

impl ProviderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ProviderName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(Invalid("a provider's name is 1 to 32 of a-z and 0-9"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ProviderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What kind of identity signed in. The text form is hashed into the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityType {
    /// `email`
    Email,
    /// `evm`: a wallet that proved itself by SIWE.
    Evm,
    /// `oauth2_<provider>`
    Oauth2(ProviderName),
}

impl fmt::Display for IdentityType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email => formatter.write_str("email"),
            Self::Evm => formatter.write_str("evm"),
            Self::Oauth2(provider) => write!(formatter, "oauth2_{}", provider.as_str()),
        }
    }
}

impl FromStr for IdentityType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "email" => Ok(Self::Email),
            "evm" => Ok(Self::Evm),
            _ => text
                .strip_prefix("oauth2_")
                .ok_or(Invalid("an identity type is email, evm or oauth2_<provider>"))?
                .parse()
                .map(Self::Oauth2),
        }
    }
}

impl Serialize for IdentityType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IdentityType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Two identity types of which one begins with the other, so that the account hash would be ambiguous.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("identity type `{shorter}` is a prefix of `{longer}`: rename one of the providers")]
pub struct PrefixClash {
    shorter: IdentityType,
    longer: IdentityType,
}

/// The identity types of one deployment, none a prefix of another.
///
/// This is what makes the account hash injective: with `t` and `u` both types and `t ‖ v = u ‖ w`,
/// one of `t` and `u` would be a prefix of the other, so `t = u` and `v = w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTypes(BTreeSet<IdentityType>);

impl IdentityTypes {
    /// The built-in types and one for each provider.
    ///
    /// # Errors
    ///
    /// When one type is a prefix of another, as `oauth2_acme` is of `oauth2_acme2`.
    pub fn new(providers: impl IntoIterator<Item = ProviderName>) -> Result<Self, PrefixClash> {
        let mut types = BTreeSet::from([IdentityType::Email, IdentityType::Evm]);
        types.extend(providers.into_iter().map(IdentityType::Oauth2));
        Self::of(types)
    }

    /// Exactly these types, as a deployment remembers having used them.
    ///
    /// # Errors
    ///
    /// When one type is a prefix of another.
    pub fn of(types: BTreeSet<IdentityType>) -> Result<Self, PrefixClash> {
        for shorter in &types {
            for longer in &types {
                if shorter != longer && longer.to_string().starts_with(&shorter.to_string()) {
                    return Err(PrefixClash { shorter: shorter.clone(), longer: longer.clone() });
                }
            }
        }
        Ok(Self(types))
    }

    /// The types, in order.
    pub fn iter(&self) -> impl Iterator<Item = &IdentityType> {
        self.0.iter()
    }
}

/// A proved identity in canonical form: what kind, and which one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    identity_type: IdentityType,
    value: String,
}

impl Identity {
    /// An e-mail address that received a code.
    pub fn email(address: EmailAddress) -> Self {
        Self { identity_type: IdentityType::Email, value: address.into_string() }
    }

    /// A wallet that signed a challenge.
    pub fn evm(address: EvmAddress) -> Self {
        Self { identity_type: IdentityType::Evm, value: address.to_lowercase() }
    }

    /// A provider's subject (`sub`), never its e-mail address.
    ///
    /// # Errors
    ///
    /// OpenID Connect Core section 2 bounds a subject to 255 ASCII characters.
    pub fn oauth2(provider: ProviderName, subject: &str) -> Result<Self, Invalid> {
        if !(1..=255).contains(&subject.len())
            || !subject.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
        {
            return Err(Invalid("a subject is 1 to 255 printable ASCII characters"));
        }
        Ok(Self { identity_type: IdentityType::Oauth2(provider), value: subject.to_owned() })
    }

    /// Reads an identity from its two columns or fields, whatever its type.
    ///
    /// # Errors
    ///
    /// When the value is not of the type's canonical form.
    pub fn parse(identity_type: IdentityType, value: &str) -> Result<Self, Invalid> {
        match identity_type {
            IdentityType::Email => Ok(Self::email(value.parse()?)),
            IdentityType::Evm => Ok(Self::evm(value.parse()?)),
            IdentityType::Oauth2(provider) => Self::oauth2(provider, value),
        }
    }

    /// What kind of identity it is.
    pub fn identity_type(&self) -> &IdentityType {
        &self.identity_type
    }

    /// Which one, in canonical form.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.identity_type, self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;
    use crate::{ClientId, OmniAccount};

    fn provider() -> impl Strategy<Value = ProviderName> {
        "[a-z0-9]{1,6}".prop_map(|name| name.parse().unwrap())
    }

    fn evm_identity() -> impl Strategy<Value = Identity> {
        any::<[u8; 20]>().prop_map(|bytes| Identity::evm(EvmAddress::from_bytes(bytes)))
    }

    proptest! {
        #[test]
        fn within_a_deployment_distinct_identities_hash_distinct_bytes(
            providers in btree_set(provider(), 1..6),
            picks in prop::array::uniform2((any::<prop::sample::Index>(), "[a-z0-9_@.]{1,8}")),
            wallet in evm_identity(),
        ) {
            let Ok(_types) = IdentityTypes::new(providers.iter().cloned()) else { return Ok(()) };
            let providers: Vec<_> = providers.into_iter().collect();
            let [one, two] = picks.map(|(pick, subject)| {
                Identity::oauth2(pick.get(&providers).clone(), &subject).unwrap()
            });

            let joined = |identity: &Identity| format!("agentkeys{}{}", identity.identity_type(), identity.value());
            prop_assert_eq!(one == two, joined(&one) == joined(&two));
            prop_assert_ne!(joined(&one), joined(&wallet));
            let account = |identity| OmniAccount::anchored_by(&ClientId::default(), identity);
            prop_assert_eq!(one == two, account(&one) == account(&two));
        }

        #[test]
        fn a_prefix_among_the_types_is_always_refused(name in "[a-z0-9]{1,16}", more in "[a-z0-9]{1,16}") {
            let longer = format!("{name}{more}").parse().unwrap();
            prop_assert!(IdentityTypes::new([name.parse().unwrap(), longer]).is_err());
        }
    }

    #[test]
    fn without_the_registry_two_identities_would_share_an_account() {
        let short = Identity::oauth2("acme".parse().unwrap(), "2bob").unwrap();
        let long = Identity::oauth2("acme2".parse().unwrap(), "bob").unwrap();

        let account = |identity| OmniAccount::anchored_by(&ClientId::default(), identity);
        assert_eq!(account(&short), account(&long));
        assert!(IdentityTypes::new(["acme".parse().unwrap(), "acme2".parse().unwrap()]).is_err());
    }
}
