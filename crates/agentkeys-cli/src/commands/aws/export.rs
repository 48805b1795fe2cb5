use agentkeys_api::DaemonCredentials;
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;

use crate::{context::Context, dispensary::RoleArgs, error::CliError, output::Output};

/// The flags of `agentkeys aws export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    role: RoleArgs,

    /// How to print them
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// How credentials are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// `export NAME='value'` for each variable
    #[default]
    Env,
    /// One document
    Json,
}

impl ExportArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let credentials = self.role.credentials(context).await?;
        if output.is_json() || self.format == Format::Json {
            output.document(&credentials);
        } else {
            for (name, value) in variables(&credentials) {
                output.line(format_args!("export {name}={}", quoted(&value)));
            }
        }
        Ok(())
    }
}

/// What a program needs in its environment to use the credentials.
pub(crate) fn variables(credentials: &DaemonCredentials) -> Vec<(&'static str, String)> {
    let DaemonCredentials { access_key_id, secret_access_key, session_token, expires_at, .. } = credentials;
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", secret_access_key.expose_secret().to_owned()),
        ("AWS_SESSION_TOKEN", session_token.expose_secret().to_owned()),
        ("AWS_CREDENTIAL_EXPIRATION", expires_at.to_string()),
    ];
    variables.extend(region_and_endpoint(&credentials.region, credentials.endpoint_url.as_deref()));
    variables
}

/// What a program needs in its environment to use credentials in the right place.
pub(crate) fn region_and_endpoint(region: &str, endpoint_url: Option<&str>) -> Vec<(&'static str, String)> {
    // The AWS CLI, version 1, knows only the second name.
    let mut variables = vec![("AWS_REGION", region.to_owned()), ("AWS_DEFAULT_REGION", region.to_owned())];
    variables.extend(endpoint_url.map(|endpoint| ("AWS_ENDPOINT_URL", endpoint.to_owned())));
    variables
}

/// As one word of a POSIX shell, in quotes only where it needs them.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-+@:,".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// As one word of a POSIX shell, whatever the value.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_break_out_of_its_quotes() {
        assert_eq!(quoted("a/b+c="), "'a/b+c='");
        assert_eq!(quoted("'; rm -rf ~ #"), r"''\''; rm -rf ~ #'");
    }

    #[test]
    fn a_word_has_quotes_only_where_it_needs_them() {
        assert_eq!(word("/home/ada/target/debug/agentkeys"), "/home/ada/target/debug/agentkeys");
        assert_eq!(word("/home/ada b/agentkeys"), "'/home/ada b/agentkeys'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn region_and_endpoint_go_with_the_credentials() {
        let json = r#"{"access_key_id":"ASIA","secret_access_key":"s","session_token":"t",
            "expires_at":"2026-11-22T12:20:22Z","region":"eu-west-1","endpoint_url":"http://127.0.0.1:1","role_arn":"r",
            "wallet":"0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
            "account":"7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6"}"#;
        let credentials: DaemonCredentials = serde_json::from_str(json).unwrap();

        let names: Vec<&str> = variables(&credentials).into_iter().map(|(name, _)| name).collect();

        assert_eq!(
            names,
            [
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_CREDENTIAL_EXPIRATION",
                "AWS_REGION",
                "AWS_DEFAULT_REGION",
                "AWS_ENDPOINT_URL"
            ]
        );
    }
}
