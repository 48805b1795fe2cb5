use agentkeys_types::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{context::Context, dispensary::RoleArgs, error::CliError, output::Output};

/// The document of AWS's setting `credential_process`, version 1.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    /// With `Z`: the SDK for JavaScript takes no other form.
    expiration: Timestamp,
}

/// `agentkeys aws credential-process`
pub(super) async fn run(role: &RoleArgs, context: &Context, output: &Output) -> Result<(), CliError> {
    let credentials = role.credentials(context).await?;
    output.document(&Document {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose_secret(),
        session_token: credentials.session_token.expose_secret(),
        expiration: credentials.expires_at,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_exactly_what_aws_programs_expect() {
        let document = Document {
            version: 1,
            access_key_id: "ASIA",
            secret_access_key: "s",
            session_token: "t",
            expiration: "2026-11-22T12:20:22Z".parse().unwrap(),
        };

        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            r#"{"Version":1,"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2026-11-22T12:20:22Z"}"#
        );
    }
}
