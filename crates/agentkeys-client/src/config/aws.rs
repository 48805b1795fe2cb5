use std::collections::BTreeMap;

use agentkeys_types::RoleName;
use serde::Deserialize;

use crate::{Region, Role, RoleArn, ServerUrl, SessionDuration, SessionNamePattern, SessionPolicy};

/// The `[aws]` section: the default role, where, and for how long at a time; further roles below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// The role that the wallet assumes.
    #[serde(default)]
    pub role_arn: Option<RoleArn>,

    /// The region of the STS, and of the programs that get the credentials; `us-east-1` by default.
    #[serde(default)]
    pub region: Region,

    /// For how many seconds credentials live; 900 by default. Less than 900 only where `endpoint_url` is set.
    #[serde(default)]
    pub duration_seconds: SessionDuration,

    /// An STS and S3 other than Amazon's own.
    #[serde(default)]
    pub endpoint_url: Option<ServerUrl>,

    /// What AWS's logs call the session: `{wallet}` and `{agent}` stand for those of the session; `{wallet}` by
    /// default.
    #[serde(default)]
    pub session_name: SessionNamePattern,

    /// An IAM policy in JSON that narrows what the credentials may do.
    #[serde(default)]
    pub session_policy: Option<SessionPolicy>,

    /// Further roles, by the name under which programs ask for them.
    #[serde(default)]
    pub roles: BTreeMap<RoleName, RoleSettings>,
}

/// A section `[aws.roles.NAME]`: what it does not say is as in `[aws]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSettings {
    /// The role that the wallet assumes.
    pub role_arn: RoleArn,

    /// The region of the STS, and of the programs that get the credentials.
    #[serde(default)]
    pub region: Option<Region>,

    /// For how many seconds credentials live.
    #[serde(default)]
    pub duration_seconds: Option<SessionDuration>,

    /// What AWS's logs call the session.
    #[serde(default)]
    pub session_name: Option<SessionNamePattern>,

    /// An IAM policy in JSON that narrows what the credentials may do.
    #[serde(default)]
    pub session_policy: Option<SessionPolicy>,
}

impl AwsSettings {
    /// The role of that name, if there is one.
    pub fn role(&self, name: &RoleName) -> Option<Role> {
        let base = |role_arn: &RoleArn| Role {
            name: name.clone(),
            role_arn: role_arn.clone(),
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            duration: self.duration_seconds,
            session_name: self.session_name.clone(),
            session_policy: self.session_policy.clone(),
        };
        if name.is_default() {
            return self.role_arn.as_ref().map(base);
        }
        let RoleSettings { role_arn, region, duration_seconds, session_name, session_policy } = self.roles.get(name)?;
        let base = base(role_arn);
        Some(Role {
            region: region.clone().unwrap_or(base.region),
            duration: duration_seconds.unwrap_or(base.duration),
            session_name: session_name.clone().unwrap_or(base.session_name),
            session_policy: session_policy.clone().or(base.session_policy),
            ..base
        })
    }

    /// Every role, the default one first.
    pub fn roles(&self) -> Vec<Role> {
        let default = RoleName::default();
        [&default].into_iter().chain(self.roles.keys()).filter_map(|name| self.role(name)).collect()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.roles.contains_key(&RoleName::default()) {
            return Err("[aws.roles.default]: the default role stands in [aws]".to_owned());
        }
        let is_short = |duration: SessionDuration| duration.is_below_the_floor_of_aws();
        let durations = self.roles.values().filter_map(|role| role.duration_seconds);
        if self.endpoint_url.is_none() && durations.chain([self.duration_seconds]).any(is_short) {
            return Err("[aws]: AWS credentials live from 900 to 43200 seconds".to_owned());
        }
        Ok(())
    }
}
