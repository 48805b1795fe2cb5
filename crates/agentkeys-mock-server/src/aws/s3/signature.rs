use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, Method, Uri};
use s3s::{
    Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    auth::{S3Auth, SecretKey},
    route::S3Route,
};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::aws::{role_session::RoleSessions, sts::StsError};

/// Gives s3s the secrets that it checks signatures with.
pub(super) struct Secrets {
    sessions: Arc<RoleSessions>,
}

impl Secrets {
    pub(super) fn new(sessions: Arc<RoleSessions>) -> Self {
        Self { sessions }
    }
}

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key_id: &str) -> S3Result<SecretKey> {
        let secret = self.sessions.secret_access_key(access_key_id).ok_or_else(unknown_key)?;
        Ok(SecretKey::from(secret.expose_secret()))
    }
}

pub(super) fn unknown_key() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::InvalidAccessKeyId,
        "The AWS Access Key Id you provided does not exist in our records.",
    )
}

/// Who signed a request, told in the extensions of the response.
#[derive(Clone)]
pub(super) struct SignedBy(pub(super) String);

/// A route that only says who signed a request for STS: s3s checks those signatures too.
pub(super) struct WhoSigned;

#[async_trait::async_trait]
impl S3Route for WhoSigned {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        method == Method::POST && uri.path() == "/"
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        if request.service.as_deref() != Some("sts") {
            return Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch));
        }
        let signer = request.credentials.ok_or_else(|| S3Error::new(S3ErrorCode::AccessDenied))?;
        let mut response = S3Response::new(Body::empty());
        response.extensions.insert(SignedBy(signer.access_key));
        Ok(response)
    }
}

/// What STS says where S3 refused a signature with this error document.
pub(super) fn refusal(document: &[u8]) -> StsError {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        code: String,
    }
    let code = std::str::from_utf8(document).ok().and_then(|text| quick_xml::de::from_str::<Document>(text).ok());
    match code.as_ref().map(|document| document.code.as_str()) {
        Some("AccessDenied") => StsError::MissingAuthenticationToken,
        Some("InvalidAccessKeyId") => StsError::InvalidClientTokenId,
        Some("RequestTimeTooSkewed" | "SignatureDoesNotMatch") => StsError::SignatureDoesNotMatch,
        Some("InternalError") | None => StsError::InternalFailure,
        Some(_) => StsError::IncompleteSignature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_s3_is_put_in_words_of_sts() {
        let document = br#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"#;

        assert!(matches!(refusal(document), StsError::InvalidClientTokenId));
        assert!(matches!(refusal(b"<"), StsError::InternalFailure));
    }
}
