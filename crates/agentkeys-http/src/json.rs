use agentkeys_api::{Body, ErrorCode, read_body};
use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::{Refusal, body};

/// A JSON body: read strictly on the way in, never cached on the way out.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<B: Body, S: Send + Sync> FromRequest<S> for Json<B> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            return Err(Refusal::new(ErrorCode::UnsupportedMediaType, "the body must be application/json"));
        }
        let bytes = body::read_all(request).await?;
        Ok(Self(read_body(&bytes)?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return false };
    let Ok(text) = content_type.to_str() else { return false };
    let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parameters = parameters.trim();
    media_type.trim().eq_ignore_ascii_case("application/json")
        && (parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8"))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => (
                [
                    (header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
                    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                ],
                body,
            )
                .into_response(),
            Err(error) => {
                tracing::error!(%error, "a reply could not be written as JSON");
                Refusal::new(ErrorCode::Internal, "the reply could not be written").into_response()
            }
        }
    }
}
