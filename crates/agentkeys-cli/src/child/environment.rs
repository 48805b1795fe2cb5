use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

/// What a program keeps of a clean environment, besides `LC_*`.
const CLEAN: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ", "TMPDIR"];
/// Settings of ours that neither are a secret nor lead to one.
const OWN_SETTINGS: [&str; 4] = ["AGENTKEYS_BROKER_URL", "AGENTKEYS_LOG", "AGENTKEYS_PROFILE", "AGENTKEYS_SIGNER_URL"];
/// Secrets, and doors of a service that are its own.
const NEVER: [&str; 5] =
    ["CREDENTIALS_DIRECTORY", "DEV_KEY_SERVICE_MASTER_SECRET", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
/// Other sources of credentials: they would win over ours, or give the program more than it is to have.
const OTHER_SOURCES: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCOUNT_ID",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CREDENTIAL_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// The environment of a program that gets credentials from us: no secret of ours, and no credentials of others.
#[derive(Debug, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// That of this process, without what no program may have.
    pub(crate) fn inherited() -> Self {
        Self::of(std::env::vars_os())
    }

    /// Of these variables, those that a program may have.
    pub(crate) fn of(variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(variables.filter(|(name, _)| !is_withheld(name)).collect())
    }

    /// Of these, the few that any program needs, and those that are kept by name.
    #[must_use]
    pub(crate) fn cleaned(mut self, kept: &[OsString]) -> Self {
        let is_needed = |name: &OsStr| {
            let name = name.as_encoded_bytes();
            CLEAN.iter().any(|clean| clean.as_bytes() == name) || name.starts_with(b"LC_")
        };
        self.0.retain(|name, _| is_needed(name) || kept.contains(name));
        self
    }

    /// The same with these variables, whatever they were before.
    #[must_use]
    pub(crate) fn with(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.0.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// What is to be set after all else was cleared.
    pub(crate) fn into_variables(self) -> BTreeMap<OsString, OsString> {
        self.0
    }
}

fn is_withheld(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is_own = name.starts_with("AGENTKEYS_") && !OWN_SETTINGS.contains(&name);
    let is_a_door = ["AWS_CONTAINER_", "LISTEN_"].iter().any(|prefix| name.starts_with(prefix));
    is_own || is_a_door || NEVER.contains(&name) || OTHER_SOURCES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(environment: &Environment) -> Vec<&str> {
        environment.0.keys().map(|name| name.to_str().unwrap()).collect()
    }

    #[test]
    fn neither_secrets_nor_other_sources_of_credentials_go_along() {
        let environment = Environment::of(
            [
                "PATH",
                "EDITOR",
                "AWS_CA_BUNDLE",
                "AWS_PROFILE",
                "AWS_ACCESS_KEY_ID",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AGENTKEYS_PROFILE",
                "AGENTKEYS_STORE_KEY",
                "AGENTKEYS_SOCKET",
                "AGENTKEYS_TOKEN",
                "CREDENTIALS_DIRECTORY",
                "DEV_KEY_SERVICE_MASTER_SECRET",
                "NOTIFY_SOCKET",
                "LISTEN_FDS",
                "LISTEN_PID",
            ]
            .map(|name| (name, "1")),
        );

        assert_eq!(names(&environment), ["AGENTKEYS_PROFILE", "AWS_CA_BUNDLE", "EDITOR", "PATH"]);
    }

    #[test]
    fn a_clean_environment_has_what_every_program_needs_and_what_was_kept_and_no_secret() {
        let inherited =
            ["PATH", "HOME", "LC_ALL", "LCD", "TERM", "EDITOR", "GIT_DIR", "AGENTKEYS_TOKEN", "AGENTKEYS_PROFILE"];
        let kept = ["EDITOR", "AGENTKEYS_TOKEN"].map(OsString::from);

        let environment = Environment::of(inherited.map(|name| (name, "1"))).cleaned(&kept);

        assert_eq!(names(&environment), ["EDITOR", "HOME", "LC_ALL", "PATH", "TERM"]);
    }

    #[test]
    fn what_is_given_is_there_whatever_was() {
        let environment = Environment::of([("AWS_REGION", "a")]).with([("AWS_REGION", "b".to_owned())]);

        assert_eq!(environment.0[OsStr::new("AWS_REGION")], "b");
    }
}
