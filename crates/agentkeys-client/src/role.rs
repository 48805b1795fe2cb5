use std::{fmt, str::FromStr};

use agentkeys_api::DaemonCredentials;
use agentkeys_types::{AgentName, AwsCredentials, EvmAddress, Invalid, OmniAccount, RoleName};
use serde::{Deserialize, Deserializer};

use crate::{AwsSettings, Region, RoleArn, ServerUrl, SessionDuration};

/// A role that a wallet assumes: which one, where, for how long, and under which name and policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// What the settings call it.
    pub name: RoleName,
    /// The role.
    pub role_arn: RoleArn,
    /// The region of the STS, and of the programs that get the credentials.
    pub region: Region,
    /// An STS and S3 other than Amazon's own.
    pub endpoint_url: Option<ServerUrl>,
    /// How long the credentials are to live.
    pub duration: SessionDuration,
    /// What AWS's own logs call the session.
    pub session_name: SessionNamePattern,
    /// What the credentials may do at most, whatever the role may.
    pub session_policy: Option<SessionPolicy>,
}

impl Role {
    /// The default role of the settings, if they name one.
    pub fn of(aws: &AwsSettings) -> Option<Self> {
        aws.role(&RoleName::default())
    }

    /// A role with this ARN, and everything else by default.
    pub fn with_arn(role_arn: RoleArn) -> Self {
        Self {
            name: RoleName::default(),
            role_arn,
            region: Region::default(),
            endpoint_url: None,
            duration: SessionDuration::default(),
            session_name: SessionNamePattern::default(),
            session_policy: None,
        }
    }

    /// Credentials of this role as an agent gets them, with where they work and whose they are.
    pub fn hand_out(
        &self,
        credentials: AwsCredentials,
        wallet: EvmAddress,
        account: OmniAccount,
        agent: Option<AgentName>,
    ) -> DaemonCredentials {
        DaemonCredentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
            expires_at: credentials.expires_at,
            region: self.region.to_string(),
            endpoint_url: self.endpoint_url.as_ref().map(ToString::to_string),
            role_arn: self.role_arn.to_string(),
            role: self.name.clone(),
            agent,
            wallet,
            account,
        }
    }
}

/// A role session name in which `{wallet}` and `{agent}` stand for those of the session; `{wallet}` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionNamePattern(String);

impl SessionNamePattern {
    /// The longest that AWS takes.
    const LONGEST: usize = 64;

    /// The name for this wallet and agent, cut off where AWS's limit is. Where no agent is, `{agent}` is `person`.
    pub fn fill(&self, wallet: EvmAddress, agent: Option<&AgentName>) -> String {
        let agent = agent.map_or("person", AgentName::as_str);
        let mut name = self.0.replace("{wallet}", &wallet.to_lowercase()).replace("{agent}", agent);
        name.truncate(Self::LONGEST);
        name
    }
}

impl Default for SessionNamePattern {
    fn default() -> Self {
        Self("{wallet}".to_owned())
    }
}

impl FromStr for SessionNamePattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let rest = text.replace("{wallet}", "w").replace("{agent}", "a");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let is_long_enough = text.contains("{wallet}") || text.len() >= 2;
        if !is_long_enough || text.len() > Self::LONGEST || !rest.bytes().all(allowed) {
            return Err(Invalid(
                "a session name is 2 to 64 letters, digits and _+=,.@- in which {wallet} and {agent} may stand",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for SessionNamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An IAM policy, as one line of JSON, that narrows what credentials may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy(String);

impl SessionPolicy {
    /// The longest that AWS takes.
    const LONGEST: usize = 2048;

    /// The policy as STS takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| Invalid("a session policy is a JSON object"))?;
        if !document.contains_key("Statement") {
            return Err(Invalid("a session policy has a \"Statement\""));
        }
        // Without spaces: some implementations of STS read them as `+`.
        let line = serde_json::Value::Object(document).to_string();
        if line.len() > Self::LONGEST {
            return Err(Invalid("a session policy has 2048 characters at most"));
        }
        Ok(Self(line))
    }
}

impl fmt::Display for SessionPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet() -> EvmAddress {
        "0x74144a5f826537a8610B136552c6fFEc9D37A6dE".parse().unwrap()
    }

    #[test]
    fn a_session_is_named_after_wallet_and_agent_within_the_limit_of_aws() {
        let claude: AgentName = "claude-on-the-old-laptop-at-home".parse().unwrap();
        let name = |pattern: &str, agent| pattern.parse::<SessionNamePattern>().unwrap().fill(wallet(), agent);

        assert_eq!(SessionNamePattern::default().fill(wallet(), None), "0x74144a5f826537a8610b136552c6ffec9d37a6de");
        assert_eq!(name("ci-{agent}", Some(&claude)), "ci-claude-on-the-old-laptop-at-home");
        assert_eq!(name("{agent}", None), "person");
        assert_eq!(name("{agent}@{wallet}", Some(&claude)).len(), 64);
    }

    #[test]
    fn what_aws_would_refuse_is_no_session_name() {
        for text in ["", "a", "{", "{user}", "a b", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<SessionNamePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_is_one_line_of_json() {
        let policy: SessionPolicy = "{\n \"Version\": \"2012-10-17\",\n \"Statement\": []\n}".parse().unwrap();

        assert_eq!(policy.as_str(), r#"{"Version":"2012-10-17","Statement":[]}"#);
        for text in ["", "[]", "{}", "policy", &format!(r#"{{"Statement":"{}"}}"#, "a".repeat(2048))] {
            assert!(text.parse::<SessionPolicy>().is_err(), "{text}");
        }
    }
}
