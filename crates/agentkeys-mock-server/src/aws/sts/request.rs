use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive, time::Duration};

use agentkeys_types::OidcJwt;

use super::StsError;

const VERSION: &str = "2011-06-15";
const LONGEST: u64 = 43_200;

/// How long sessions are.
#[derive(Clone, Copy)]
pub(in crate::aws) struct SessionLengths {
    /// The shortest that can be asked for.
    pub(in crate::aws) shortest: Duration,
    /// Where none is asked for.
    pub(in crate::aws) unless_asked: Duration,
}

/// What STS is asked to do.
pub(in crate::aws) enum Action {
    /// Exchange a web-identity JWT for credentials; needs no signature.
    AssumeRoleWithWebIdentity(AssumeRoleWithWebIdentity),
    /// Say who signed the request.
    GetCallerIdentity,
}

impl Action {
    /// Reads a form of AWS's query protocol.
    pub(in crate::aws) fn parse(form: &[u8], lengths: SessionLengths) -> Result<Self, StsError> {
        let parameters = Parameters::parse(form)?;
        let action = parameters.find("Action").ok_or(StsError::MissingAction)?;
        if parameters.find("Version") != Some(VERSION) {
            return Err(StsError::InvalidAction);
        }
        match action {
            "AssumeRoleWithWebIdentity" => {
                AssumeRoleWithWebIdentity::from_parameters(&parameters, lengths).map(Self::AssumeRoleWithWebIdentity)
            }
            "GetCallerIdentity" => Ok(Self::GetCallerIdentity),
            _ => Err(StsError::InvalidAction),
        }
    }
}

/// The parameters of `AssumeRoleWithWebIdentity`, within AWS's limits.
pub(in crate::aws) struct AssumeRoleWithWebIdentity {
    pub(in crate::aws) role_arn: String,
    pub(in crate::aws) session_name: String,
    pub(in crate::aws) token: OidcJwt,
    pub(in crate::aws) duration: Duration,
}

impl AssumeRoleWithWebIdentity {
    fn from_parameters(parameters: &Parameters, lengths: SessionLengths) -> Result<Self, StsError> {
        // To leave out a policy that narrows the session would give away more than was asked for.
        let is_policy = |name: &str| name == "Policy" || name.starts_with("PolicyArns.");
        if parameters.0.keys().any(|name| is_policy(name)) {
            return Err(invalid("policy", "Member must be null: session policies are not taken here"));
        }
        if parameters.find("ProviderId").is_some() {
            return Err(invalid("providerId", "Member must be null for an OpenID Connect ID token"));
        }
        let role_arn = parameters.text("RoleArn", "roleArn", 20..=2048)?;
        let session_name = parameters.text("RoleSessionName", "roleSessionName", 2..=64)?;
        if !session_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)) {
            return Err(invalid("roleSessionName", r"Member must satisfy regular expression pattern: [\w+=,.@-]*"));
        }
        let token = parameters.text("WebIdentityToken", "webIdentityToken", 4..=20_000)?;
        let duration = parameters.duration(lengths)?;
        Ok(Self {
            role_arn: role_arn.to_owned(),
            session_name: session_name.to_owned(),
            token: OidcJwt::new(token.to_owned()),
            duration,
        })
    }
}

/// A form, each parameter once.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(form: &[u8]) -> Result<Self, StsError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(form).map_err(|_| StsError::MalformedInput)?;
        let count = pairs.len();
        let parameters: BTreeMap<_, _> = pairs.into_iter().collect();
        if parameters.len() == count { Ok(Self(parameters)) } else { Err(StsError::MalformedInput) }
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn text(&self, name: &str, parameter: &'static str, characters: RangeInclusive<usize>) -> Result<&str, StsError> {
        let text = self.find(name).ok_or_else(|| invalid(parameter, "Member must not be null"))?;
        let count = text.chars().count();
        if count < *characters.start() {
            return Err(invalid(parameter, "Member is shorter than AWS takes it"));
        }
        if count > *characters.end() {
            return Err(invalid(parameter, "Member is longer than AWS takes it"));
        }
        Ok(text)
    }

    fn duration(&self, lengths: SessionLengths) -> Result<Duration, StsError> {
        let Some(seconds) = self.find("DurationSeconds") else { return Ok(lengths.unless_asked) };
        let shortest = lengths.shortest.as_secs();
        match seconds.parse() {
            Ok(seconds) if (shortest..=LONGEST).contains(&seconds) => Ok(Duration::from_secs(seconds)),
            Ok(_) => Err(invalid("durationSeconds", format!("Member must have value from {shortest} to {LONGEST}"))),
            Err(_) => Err(invalid("durationSeconds", "Member must be an integer")),
        }
    }
}

fn invalid(parameter: &'static str, constraint: impl Into<Cow<'static, str>>) -> StsError {
    StsError::Validation { parameter, constraint: constraint.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::AwsConfig;

    const GOOD: &str = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=a.b.c\
        &RoleArn=arn:aws:iam::000000000000:role/agentkeys-dev&RoleSessionName=0xada";

    const AS_AWS: SessionLengths =
        SessionLengths { shortest: AwsConfig::SHORTEST_SESSION, unless_asked: AwsConfig::DEFAULT_SESSION };

    fn refusal(form: &str) -> Option<String> {
        Action::parse(form.as_bytes(), AS_AWS).err().map(|error| error.to_string())
    }

    #[test]
    fn a_form_within_the_limits_is_read() {
        let Ok(Action::AssumeRoleWithWebIdentity(request)) = Action::parse(GOOD.as_bytes(), AS_AWS) else {
            panic!("the form is good")
        };

        assert_eq!(request.session_name, "0xada");
        assert_eq!(request.duration, Duration::from_hours(1));
    }

    #[test]
    fn a_form_outside_the_limits_is_refused_without_repeating_values() {
        for (form, part) in [
            (GOOD.replace("0xada", "a"), "roleSessionName"),
            (GOOD.replace("0xada", &"a".repeat(65)), "roleSessionName"),
            (GOOD.replace("0xada", "a%20b"), "pattern"),
            (GOOD.replace("0xada", "%C3%BCber"), "pattern"),
            (GOOD.replace("a.b.c", "abc"), "webIdentityToken"),
            (GOOD.replace("a.b.c", &"secret".repeat(4000)), "webIdentityToken"),
            (GOOD.replace("arn:aws:iam::000000000000:role/agentkeys-dev", "arn"), "roleArn"),
            (GOOD.replace("&RoleSessionName=0xada", ""), "must not be null"),
            (format!("{GOOD}&DurationSeconds=899"), "durationSeconds"),
            (format!("{GOOD}&DurationSeconds=43201"), "durationSeconds"),
            (format!("{GOOD}&DurationSeconds=1e3"), "integer"),
            (format!("{GOOD}&DurationSeconds=-900"), "integer"),
            (format!("{GOOD}&Policy=%7B%7D"), "policy"),
            (format!("{GOOD}&PolicyArns.member.1.arn=x"), "policy"),
            (format!("{GOOD}&ProviderId=www.amazon.com"), "providerId"),
            (format!("{GOOD}&RoleSessionName=0xeve"), "single"),
            (GOOD.replace("2011-06-15", "2011-06-16"), "2011-06-15"),
            (GOOD.replace("Action=AssumeRoleWithWebIdentity", "Action=AssumeRole"), "operation"),
            (GOOD.replace("Action=AssumeRoleWithWebIdentity&", ""), "Action"),
            (String::new(), "Action"),
        ] {
            let reason = refusal(&form).unwrap();

            assert!(reason.contains(part), "{form}: {reason}");
            assert!(!reason.contains("secret"));
        }
    }

    proptest! {
        #[test]
        fn no_form_makes_the_parser_panic(form in any::<Vec<u8>>()) {
            let _ = Action::parse(&form, AS_AWS);
        }
    }
}
