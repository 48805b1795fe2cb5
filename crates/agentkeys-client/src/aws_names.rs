use std::{fmt, str::FromStr, time::Duration};

use agentkeys_types::Invalid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The ARN of the role that a wallet assumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleArn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.splitn(6, ':');
        let is_role = parts.next() == Some("arn")
            && parts.nth(1) == Some("iam")
            && parts.nth(2).is_some_and(|resource| resource.starts_with("role/"));
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_role || !visible || !(20..=2048).contains(&text.len()) {
            return Err(Invalid("a role is named like arn:aws:iam::123456789012:role/agents"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of an AWS region, such as `us-east-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl FromStr for Region {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // It becomes part of a host name, so nothing but a label will do.
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) || text.starts_with('-') || text.ends_with('-')
        {
            return Err(Invalid("a region is named like us-east-1"));
        }
        Ok(Self(text.to_owned()))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(RoleArn);
as_text!(Region);

/// How long AWS credentials live: 900 to 43,200 seconds, by default 900. An STS other than Amazon's own may give less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionDuration(u32);

impl SessionDuration {
    /// The number of seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// Whether Amazon's own STS refuses it.
    pub(crate) const fn is_below_the_floor_of_aws(self) -> bool {
        self.0 < 900
    }
}

impl Default for SessionDuration {
    fn default() -> Self {
        Self(900)
    }
}

impl From<SessionDuration> for Duration {
    fn from(duration: SessionDuration) -> Self {
        Self::from_secs(duration.0.into())
    }
}

impl TryFrom<u32> for SessionDuration {
    type Error = Invalid;

    fn try_from(seconds: u32) -> Result<Self, Invalid> {
        if !(1..=43_200).contains(&seconds) {
            return Err(Invalid("AWS credentials live from 900 to 43200 seconds"));
        }
        Ok(Self(seconds))
    }
}

impl<'de> Deserialize<'de> for SessionDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_are_roles() {
        for text in [
            "arn:aws:iam::000000000000:role/agentkeys-dev",
            "arn:aws-cn:iam::123456789012:role/team/agents",
            "arn:aws:iam:::role/r",
        ] {
            assert!(text.parse::<RoleArn>().is_ok(), "{text}");
        }
        for text in [
            "",
            "agents",
            "arn:aws:iam::123456789012:user/ada",
            "arn:aws:s3:::role/whatever-it-is",
            "arn:aws:iam::1:role/a b c d e f",
        ] {
            assert!(text.parse::<RoleArn>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_region_cannot_name_another_host() {
        for text in ["evil.example/", "us-east-1.evil", "US-EAST-1", "", "-a", "a@b"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_one_that_aws_accepts() {
        assert!(SessionDuration::try_from(899).unwrap().is_below_the_floor_of_aws());
        assert!(SessionDuration::try_from(0).is_err());
        assert!(SessionDuration::try_from(43_201).is_err());
        assert_eq!(SessionDuration::try_from(3600).unwrap().as_secs(), 3600);
    }
}
