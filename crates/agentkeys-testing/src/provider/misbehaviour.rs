use std::{collections::HashMap, convert::Infallible, future, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::Value;

use super::{Endpoint, key::SigningKey};

/// A part of what a provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The claims of an ID token.
    Claims,
    /// The header of an ID token.
    Header,
    /// The JWK Set.
    Keys,
    /// The metadata of discovery.
    Metadata,
    /// The reply of the token endpoint, around the ID token.
    Reply,
}

/// An answer that has nothing to do with the question.
#[derive(Clone, Debug)]
pub enum Canned {
    /// A body that does not end, and is not announced.
    Endless,
    /// An error of this status, with this JSON.
    Error(u16, Value),
    /// Three gigabytes, announced.
    Huge,
    /// A way to somewhere else.
    Redirect(String),
    /// Headers and the beginning of a body, and nothing more for ever.
    Silence,
    /// A text of this content type.
    Text(&'static str, &'static str),
}

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;
type TokenChange = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// How a provider differs from one that behaves.
#[derive(Clone, Default)]
pub(super) struct Misbehaviour {
    pub(super) changes: HashMap<Part, Change>,
    pub(super) canned: HashMap<Endpoint, Canned>,
    pub(super) forger: Option<SigningKey>,
    pub(super) token: Option<TokenChange>,
}

impl Misbehaviour {
    /// `truth` as it is said.
    pub(super) fn said(&self, part: Part, mut truth: Value) -> Value {
        if let Some(change) = self.changes.get(&part) {
            change(&mut truth);
        }
        truth
    }
}

impl IntoResponse for Canned {
    fn into_response(self) -> Response {
        const JSON: (axum::http::HeaderName, &str) = (CONTENT_TYPE, "application/json");
        match self {
            Self::Endless => ([JSON], spaces()).into_response(),
            Self::Error(status, body) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, axum::Json(body)).into_response()
            }
            Self::Huge => ([JSON, (CONTENT_LENGTH, "3000000000")], spaces()).into_response(),
            Self::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
            Self::Silence => ([JSON], silence()).into_response(),
            Self::Text(content_type, text) => ([(CONTENT_TYPE, content_type)], text).into_response(),
        }
    }
}

/// What JSON may begin with, for ever.
fn spaces() -> Body {
    let chunk = Bytes::from(vec![b' '; 16 * 1024]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone())))
}

fn silence() -> Body {
    Body::from_stream(stream::unfold(true, |begins| async move {
        if !begins {
            future::pending::<()>().await;
        }
        Some((Ok::<_, Infallible>(Bytes::from_static(b"{")), false))
    }))
}
