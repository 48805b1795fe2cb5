use agentkeys_crypto::random;
use agentkeys_types::AwsCredentials;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::aws::role::AssumedRole;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// What `AssumeRoleWithWebIdentity` answers.
pub(super) struct AssumedRoleAnswer {
    pub(super) assumed: AssumedRole,
    pub(super) audience: String,
    pub(super) credentials: AwsCredentials,
    pub(super) packed_policy_size: usize,
    pub(super) provider: String,
    pub(super) subject: String,
}

impl IntoResponse for AssumedRoleAnswer {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct AssumeRoleWithWebIdentityResult<'a> {
            audience: &'a str,
            assumed_role_user: AssumedRoleUser<'a>,
            credentials: Credentials<'a>,
            packed_policy_size: usize,
            provider: &'a str,
            subject_from_web_identity_token: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct AssumedRoleUser<'a> {
            arn: &'a str,
            assumed_role_id: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Credentials<'a> {
            access_key_id: &'a str,
            secret_access_key: &'a str,
            session_token: &'a str,
            expiration: String,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct AssumeRoleWithWebIdentityResponse<'a> {
            #[serde(rename = "@xmlns")]
            namespace: &'static str,
            assume_role_with_web_identity_result: AssumeRoleWithWebIdentityResult<'a>,
            response_metadata: ResponseMetadata<'a>,
        }
        let request_id = request_id();
        let result = AssumeRoleWithWebIdentityResult {
            audience: &self.audience,
            assumed_role_user: AssumedRoleUser { arn: &self.assumed.arn, assumed_role_id: &self.assumed.id },
            credentials: Credentials {
                access_key_id: &self.credentials.access_key_id,
                secret_access_key: self.credentials.secret_access_key.expose_secret(),
                session_token: self.credentials.session_token.expose_secret(),
                expiration: self.credentials.expires_at.to_string(),
            },
            packed_policy_size: self.packed_policy_size,
            provider: &self.provider,
            subject_from_web_identity_token: &self.subject,
        };
        let document = AssumeRoleWithWebIdentityResponse {
            namespace: NAMESPACE,
            assume_role_with_web_identity_result: result,
            response_metadata: ResponseMetadata { request_id: &request_id },
        };
        answer(StatusCode::OK, &document, &request_id)
    }
}

/// What `GetCallerIdentity` answers.
pub(super) struct CallerIdentityAnswer<'a>(pub(super) &'a AssumedRole);

impl IntoResponse for CallerIdentityAnswer<'_> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct GetCallerIdentityResult<'a> {
            arn: &'a str,
            user_id: &'a str,
            account: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct GetCallerIdentityResponse<'a> {
            #[serde(rename = "@xmlns")]
            namespace: &'static str,
            get_caller_identity_result: GetCallerIdentityResult<'a>,
            response_metadata: ResponseMetadata<'a>,
        }
        let request_id = request_id();
        let Self(role) = self;
        let document = GetCallerIdentityResponse {
            namespace: NAMESPACE,
            get_caller_identity_result: GetCallerIdentityResult {
                arn: &role.arn,
                user_id: &role.id,
                account: &role.account,
            },
            response_metadata: ResponseMetadata { request_id: &request_id },
        };
        answer(StatusCode::OK, &document, &request_id)
    }
}

/// The error document of AWS's query protocol.
pub(super) fn error_answer(status: StatusCode, code: &str, message: &str) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct ErrorResponse<'a> {
        #[serde(rename = "@xmlns")]
        namespace: &'static str,
        error: Error<'a>,
        request_id: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Error<'a> {
        r#type: &'static str,
        code: &'a str,
        message: &'a str,
    }
    let request_id = request_id();
    let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
    let error = Error { r#type: fault, code, message };
    answer(status, &ErrorResponse { namespace: NAMESPACE, error, request_id: &request_id }, &request_id)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResponseMetadata<'a> {
    request_id: &'a str,
}

/// 32 random hex digits in the groups of a UUID.
fn request_id() -> String {
    let digits = hex::encode(random::<16>());
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn answer(status: StatusCode, document: &impl Serialize, request_id: &str) -> Response {
    match quick_xml::se::to_string(document) {
        Ok(xml) => {
            let headers = [
                (header::CONTENT_TYPE, "text/xml"),
                (header::CACHE_CONTROL, "no-store"),
                (header::HeaderName::from_static("x-amzn-requestid"), request_id),
            ];
            (status, headers, xml).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an STS answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
