use std::time::Duration;

use agentkeys_api::{ErrorCode, Problem};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// An answer that refuses: RFC 9457 problem details, and the headers that go with the status.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// Refuses with `error`, explained by `detail`.
    pub fn new(error: ErrorCode, detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Problem::new(error, detail).into()
    }

    /// Says when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        // Every 429 and 503 says when to come back; where nothing better is known, soon.
        let retry_after = matches!(problem.status, 429 | 503).then_some(Duration::from_secs(1));
        Self { problem, retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            for challenge in challenges(self.problem.error) {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// RFC 6750 section 3 and RFC 9449 section 7.1: no error code where no token was presented.
fn challenges(error: ErrorCode) -> &'static [&'static str] {
    match error {
        ErrorCode::DpopInvalid | ErrorCode::DpopReplayed | ErrorCode::DpopRequired => {
            &[r#"DPoP realm="agentkeys", algs="ES256", error="invalid_dpop_proof""#]
        }
        ErrorCode::UseDpopNonce => &[r#"DPoP realm="agentkeys", algs="ES256", error="use_dpop_nonce""#],
        ErrorCode::TokenMissing => &[r#"Bearer realm="agentkeys""#, r#"DPoP realm="agentkeys", algs="ES256""#],
        ErrorCode::TokenExpired => &[r#"Bearer realm="agentkeys", error="invalid_token", error_description="expired""#],
        ErrorCode::TokenRevoked => &[r#"Bearer realm="agentkeys", error="invalid_token", error_description="revoked""#],
        _ => &[r#"Bearer realm="agentkeys", error="invalid_token""#],
    }
}
