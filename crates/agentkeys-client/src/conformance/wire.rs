use std::sync::Arc;

use agentkeys_api::Problem;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    ClientError, ServerUrl,
    attested::AttestedWay,
    http::{Answer, LARGEST_ANSWER},
};

/// The way to a signer on which a request goes as it is, right or wrong.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    /// Without TLS, on this machine.
    Plain(ServerUrl),
    /// To a signer that must be accepted first, on each connection.
    Attested(Arc<AttestedWay>),
}

/// What came back, whatever it is.
#[derive(Clone, Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Wire {
    /// Sends `request` on a connection of its own.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<RawAnswer, ClientError> {
        match self {
            Self::Plain(url) => exchange_plainly(url, request).await,
            Self::Attested(way) => {
                let Answer { status, headers, body } = way.send_raw(request).await?;
                Ok(RawAnswer { status: status.as_u16(), headers, body: Bytes::copy_from_slice(&body) })
            }
        }
    }
}

async fn exchange_plainly(url: &ServerUrl, request: Request<Full<Bytes>>) -> Result<RawAnswer, ClientError> {
    if !url.is_plain() {
        let (url, reason) = (url.to_string(), "a signer with TLS is checked only where a policy accepts it");
        return Err(ClientError::InvalidUrl { url, reason });
    }
    let stream = TcpStream::connect(url.authority()).await.map_err(|error| unreachable(url, error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(url, error))?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| unreachable(url, error))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, LARGEST_ANSWER).collect().await;
    let body = body.map_err(|error| ClientError::Unreachable { url: url.to_string(), source: error.into() });
    connection.abort();
    Ok(RawAnswer { status: parts.status.as_u16(), headers: parts.headers, body: body?.to_bytes() })
}

fn unreachable(url: &ServerUrl, error: impl std::error::Error + Send + Sync + 'static) -> ClientError {
    ClientError::Unreachable { url: url.to_string(), source: Arc::new(error) }
}

impl RawAnswer {
    /// The header `name`, where it stands once and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The problem that the answer is, where it is one in our shape.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let is_problem = self.header("content-type") == Some("application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        (is_problem && problem.status == self.status && problem.error.status() == self.status).then_some(problem)
    }

    /// The text of a field of the body.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body[field].as_str().map(str::to_owned)
    }

    /// What came back, in few words.
    pub(crate) fn summary(&self) -> String {
        match self.problem() {
            Some(problem) => format!("{} `{}`", self.status, problem.error),
            None => format!("{}, which is no problem in our shape", self.status),
        }
    }
}
