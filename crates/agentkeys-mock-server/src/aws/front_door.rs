use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Method,
    response::{IntoResponse, Response},
    routing::any,
};

use super::{
    s3::SimpleStorage,
    session_token,
    sts::{Action, Sts, StsError},
};

/// Larger than any form that STS takes: the token alone may have 20,000 characters.
const LARGEST_FORM: usize = 64 * 1024;

/// Decides which service a request is for: `POST /` is STS, as S3 has no use for it; everything else is S3.
pub(super) struct FrontDoor {
    sts: Sts,
    s3: SimpleStorage,
}

impl FrontDoor {
    pub(super) fn new(sts: Sts, s3: SimpleStorage) -> Self {
        Self { sts, s3 }
    }

    pub(super) fn into_router(self) -> Router {
        Router::new().route("/", any(answer)).route("/{*path}", any(answer)).with_state(Arc::new(self))
    }

    async fn sts(&self, request: Request) -> Result<Response, StsError> {
        let (parts, body) = request.into_parts();
        let form = to_bytes(body, LARGEST_FORM).await.map_err(|_| StsError::RequestEntityTooLarge)?;
        match self.sts.read(&form)? {
            Action::AssumeRoleWithWebIdentity(request) => self.sts.assume_role_with_web_identity(request).await,
            Action::GetCallerIdentity => {
                let unverified_token = session_token::of(&parts.uri, &parts.headers);
                let access_key_id = self.s3.signer_of(Request::from_parts(parts, Body::from(form))).await?;
                self.sts.caller_identity(&access_key_id, unverified_token.as_deref())
            }
        }
    }
}

async fn answer(State(front_door): State<Arc<FrontDoor>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = if method == Method::POST && path == "/" {
        front_door.sts(request).await.unwrap_or_else(IntoResponse::into_response)
    } else {
        front_door.s3.answer(request).await
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "the AWS stand-in answered");
    response
}
