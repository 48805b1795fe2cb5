use std::time::Duration;

use agentkeys_api::{ContainerCredentials, ContainerProblem, DaemonCredentials, Health, Problem};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// When it is worth trying again what the daemon cannot do now.
const SOON: Duration = Duration::from_secs(1);

/// An answer of the endpoint. Never one that lets a page of another origin read it.
pub(super) type Answer = Response<Full<Bytes>>;

pub(super) fn credentials(credentials: DaemonCredentials) -> Answer {
    json(StatusCode::OK, &ContainerCredentials::from(credentials))
}

pub(super) fn health() -> Answer {
    json(StatusCode::OK, &Health::ok())
}

/// A refusal in the words that SDKs show.
pub(super) fn refusal(problem: &Problem) -> Answer {
    tracing::debug!(status = problem.status, error = %problem.error, "refused");
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json(status, &ContainerProblem::from(problem));
    let headers = answer.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(SOON.as_secs()));
    }
    answer
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let mut answer = Response::new(Full::from(serde_json::to_vec(body).unwrap_or_default()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
