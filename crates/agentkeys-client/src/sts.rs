use agentkeys_types::{AwsCredentials, OidcJwt, Timestamp};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    ClientError, Http, Role, ServerUrl, SessionPolicy,
    http::{read_limited, unreachable},
};

/// What AWS's STS answered instead of credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AWS refused: {message} ({code})")]
pub struct StsError {
    /// AWS's own code, such as `InvalidIdentityToken`.
    pub code: String,
    /// AWS's own sentence.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl StsError {
    /// Whether AWS may answer otherwise a little later.
    ///
    /// Ceph answers the second of a new person's first two requests at once with a conflict.
    pub fn retryable(&self) -> bool {
        self.status >= 500
            || self.status == 409
            || matches!(self.code.as_str(), "IDPCommunicationError" | "Throttling" | "ThrottlingException")
    }
}

/// Asks AWS Security Token Services.
#[derive(Clone, Debug)]
pub struct StsClient {
    http: Http,
}

impl StsClient {
    /// A client of every STS.
    pub fn new(http: &Http) -> Self {
        Self { http: http.clone() }
    }

    /// Exchanges a web-identity JWT for temporary credentials of a role, at the role's own STS or its region's.
    ///
    /// The call is not signed: the JWT is the proof.
    pub async fn assume_role_with_web_identity(
        &self,
        role: &Role,
        session_name: &str,
        jwt: &OidcJwt,
    ) -> Result<AwsCredentials, ClientError> {
        let form = AssumeRoleForm {
            action: "AssumeRoleWithWebIdentity",
            version: "2011-06-15",
            role_arn: role.role_arn.as_str(),
            role_session_name: session_name,
            duration_seconds: role.duration.as_secs(),
            policy: role.session_policy.as_ref().map(SessionPolicy::as_str),
            web_identity_token: jwt.expose(),
        };
        let server = Sts { url: sts_of(role)? };
        let request = self.http.request(Method::POST, &server.url, "/")?.form(&form);
        let response = request.send().await.map_err(|error| unreachable(&server.url, error))?;
        let status = response.status();
        let body = read_limited(&server.url, response).await?;
        let text = std::str::from_utf8(&body).map_err(|_| server.unexpected())?;
        if status.is_success() { server.read_credentials(text) } else { Err(server.read_error(status, text)) }
    }
}

/// The STS of the role's settings, or Amazon's own of its region.
fn sts_of(role: &Role) -> Result<ServerUrl, ClientError> {
    if let Some(endpoint) = &role.endpoint_url {
        return Ok(endpoint.clone());
    }
    let region = &role.region;
    let suffix = if region.as_str().starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://sts.{region}.{suffix}").parse()
}

/// One STS, and what its answers mean.
struct Sts {
    url: ServerUrl,
}

impl Sts {
    fn read_credentials(&self, text: &str) -> Result<AwsCredentials, ClientError> {
        let answer: AssumeRoleAnswer = quick_xml::de::from_str(text).map_err(|_| self.unexpected())?;
        let CredentialsAnswer { access_key_id, secret_access_key, session_token, expires_at } =
            answer.result.credentials;
        Ok(AwsCredentials { access_key_id, secret_access_key, session_token, expires_at })
    }

    fn read_error(&self, status: StatusCode, text: &str) -> ClientError {
        match quick_xml::de::from_str::<ErrorAnswer>(text) {
            Ok(ErrorAnswer { error }) => {
                let ErrorBody { code, message } = error;
                StsError { code: printable(&code), message: printable(&message), status: status.as_u16() }.into()
            }
            // Some implementations of STS explain a refusal by its status only.
            Err(_) if status.is_client_error() => StsError {
                code: if status == StatusCode::FORBIDDEN { "AccessDenied" } else { "Refused" }.to_owned(),
                message: format!("HTTP status {status}"),
                status: status.as_u16(),
            }
            .into(),
            Err(_) if status.is_server_error() => ClientError::Unreachable {
                url: self.url.to_string(),
                source: Box::<dyn std::error::Error + Send + Sync>::from(format!("HTTP status {status}")).into(),
            },
            Err(_) => self.unexpected(),
        }
    }

    fn unexpected(&self) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.url.to_string(), reason: "it is not an answer of AWS STS" }
    }
}

/// Text of a server that ends up on a terminal: no control characters, and not without end.
fn printable(text: &str) -> String {
    text.trim().chars().filter(|character| !character.is_control()).take(512).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleForm<'a> {
    action: &'a str,
    version: &'a str,
    role_arn: &'a str,
    role_session_name: &'a str,
    duration_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    web_identity_token: &'a str,
}

#[derive(Deserialize)]
struct AssumeRoleAnswer {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    result: AssumeRoleResult,
}

#[derive(Deserialize)]
struct AssumeRoleResult {
    #[serde(rename = "Credentials")]
    credentials: CredentialsAnswer,
}

#[derive(Deserialize)]
struct CredentialsAnswer {
    #[serde(rename = "AccessKeyId")]
    access_key_id: String,
    #[serde(rename = "SecretAccessKey")]
    secret_access_key: SecretString,
    #[serde(rename = "SessionToken")]
    session_token: SecretString,
    #[serde(rename = "Expiration")]
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(rename = "Error")]
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn client() -> Sts {
        Sts { url: "https://sts.us-east-1.amazonaws.com".parse().unwrap() }
    }

    #[test]
    fn each_region_has_its_own_address() {
        let role = Role::with_arn("arn:aws:iam::123456789012:role/agents".parse().unwrap());
        let beijing = Role { region: "cn-north-1".parse().unwrap(), ..role.clone() };

        assert_eq!(sts_of(&role).unwrap().to_string(), "https://sts.us-east-1.amazonaws.com");
        assert_eq!(sts_of(&beijing).unwrap().to_string(), "https://sts.cn-north-1.amazonaws.com.cn");
    }

    /// The example of the AWS STS API reference, `AssumeRoleWithWebIdentity`, shortened.
    #[test]
    fn the_answer_of_the_aws_reference_is_read() {
        let answer = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <AssumeRoleWithWebIdentityResult>
            <SubjectFromWebIdentityToken>amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A</SubjectFromWebIdentityToken>
            <Audience>client.5498841531868486423.1548@apps.example.com</Audience>
            <AssumedRoleUser>
              <Arn>arn:aws:sts::123456789012:assumed-role/FederatedWebIdentityRole/app1</Arn>
              <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:app1</AssumedRoleId>
            </AssumedRoleUser>
            <Credentials>
              <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>
              <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
              <Expiration>2014-10-24T23:00:23Z</Expiration>
              <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
            </Credentials>
          </AssumeRoleWithWebIdentityResult>
          <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
        </AssumeRoleWithWebIdentityResponse>"#;

        let credentials = client().read_credentials(answer).unwrap();

        assert_eq!(credentials.access_key_id, "ASgeIAIOSFODNN7EXAMPLE");
        assert_eq!(credentials.secret_access_key.expose_secret(), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
        assert_eq!(credentials.expires_at.to_string(), "2014-10-24T23:00:23Z");
    }

    #[test]
    fn what_is_not_an_answer_of_sts_is_unexpected() {
        for text in [
            "",
            "<html></html>",
            "{}",
            "<AssumeRoleWithWebIdentityResponse>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        ] {
            let error = client().read_credentials(text).unwrap_err();

            assert!(matches!(error, ClientError::UnexpectedAnswer { .. }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(text in "(<[A-Za-z/!?&; ]{0,12}>|\\PC){0,40}") {
            let _ = client().read_credentials(&text);
            let _ = client().read_error(StatusCode::BAD_REQUEST, &text);
        }
    }

    #[test]
    fn a_refusal_keeps_the_code_of_aws() {
        let text = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
            <Code>ExpiredTokenException</Code><Message>Token expired</Message></Error>
            <RequestId>1</RequestId></ErrorResponse>"#;

        let error = client().read_error(StatusCode::BAD_REQUEST, text);

        assert_eq!(error.code(), "ExpiredTokenException");
        assert!(!error.retryable());
    }

    #[test]
    fn a_conflict_is_no_refusal() {
        let text = "<Error><Code>UserAlreadyExists</Code></Error>";

        assert!(client().read_error(StatusCode::CONFLICT, text).retryable());
        assert!(!client().read_error(StatusCode::FORBIDDEN, text).retryable());
    }

    #[test]
    fn the_text_of_a_refusal_cannot_steer_a_terminal() {
        let text = "<ErrorResponse><Error><Code>A</Code><Message>\u{1b}[2Jgone\r\n</Message></Error></ErrorResponse>";

        let error = client().read_error(StatusCode::FORBIDDEN, text);

        assert!(!error.to_string().contains('\u{1b}'));
    }
}
