mod access;
mod key;
mod signature;

use std::{path::Path, sync::Arc};

use agentkeys_types::Clock;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use s3s::{
    HttpError, S3Error, S3ErrorCode,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use self::{
    access::Access,
    signature::{Secrets, SignedBy, WhoSigned},
};
use super::{role_session::RoleSessions, session_token, sts::StsError};
use crate::StartError;

/// S3 over a folder, behind SigV4 and our own access check.
pub(super) struct SimpleStorage {
    service: S3Service,
}

impl SimpleStorage {
    pub(super) fn new(
        data: &Path,
        bucket: &str,
        sessions: &Arc<RoleSessions>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let files = FileSystem::new(data)
            .map_err(|error| StartError::Folder(data.to_owned(), std::io::Error::other(format!("{error:?}"))))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(Secrets::new(sessions.clone()));
        builder.set_access(Access::new(sessions.clone(), clock.clone(), bucket, data.join(bucket)));
        builder.set_route(WhoSigned);
        Ok(Self { service: builder.build() })
    }

    /// Answers an S3 request.
    pub(super) async fn answer(&self, mut request: Request) -> Response {
        session_token::into_header(&mut request);
        match refused_unread(request.headers()) {
            Some(refusal) => refusal.to_http_response().map_or_else(internal_error, |response| response.map(Body::new)),
            None => self.call(request).await.unwrap_or_else(internal_error),
        }
    }

    /// The access key id of a signed STS request, when its signature is right.
    pub(super) async fn signer_of(&self, request: Request) -> Result<String, StsError> {
        let response = self.call(request).await.map_err(|_| StsError::InternalFailure)?;
        if let Some(SignedBy(access_key_id)) = response.extensions().get() {
            return Ok(access_key_id.clone());
        }
        let body = to_bytes(response.into_body(), 64 * 1024).await.map_err(|_| StsError::InternalFailure)?;
        Err(signature::refusal(&body))
    }

    /// Calls s3s without a subscriber: it logs whole requests, session tokens included.
    async fn call(&self, request: Request) -> Result<Response, HttpError> {
        let request = request.map(s3s::Body::http_body_unsync);
        let response = self.service.call(request).with_subscriber(NoSubscriber::default()).await?;
        Ok(response.map(Body::new))
    }
}

/// What is refused before anything of the body is read.
///
/// An upload by HTML form would be read into memory before the access check.
fn refused_unread(headers: &HeaderMap) -> Option<S3Error> {
    let is_text =
        |name, matches: fn(&str) -> bool| headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(matches));
    if is_text(header::AUTHORIZATION, |value| !value.starts_with("AWS4-HMAC-SHA256")) {
        let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        return Some(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    is_text(header::CONTENT_TYPE, |value| value.to_ascii_lowercase().contains("multipart/form-data"))
        .then(|| S3Error::with_message(S3ErrorCode::MethodNotAllowed, "Uploads by HTML form are not taken here."))
}

fn internal_error<E>(_: E) -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
