use std::path::PathBuf;

use agentkeys_api::{DaemonCredentials, DaemonStatus, Problem, daemon};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::{ClientError, ProfileName};

const LARGEST_ANSWER: usize = 64 * 1024;

/// Asks the daemon of this machine.
#[derive(Clone, Debug)]
pub struct DaemonClient {
    socket: PathBuf,
}

impl DaemonClient {
    /// A client of the daemon that listens on `socket`.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The profile's credentials, fresh.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoDaemon`] when nobody listens.
    pub async fn credentials(&self, profile: &ProfileName) -> Result<DaemonCredentials, ClientError> {
        self.show(&format!("{}?profile={profile}", daemon::CREDENTIALS)).await
    }

    /// How the daemon is doing.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.show(daemon::STATUS).await
    }

    async fn show<A: DeserializeOwned>(&self, target: &str) -> Result<A, ClientError> {
        let no_daemon = || ClientError::NoDaemon { socket: self.socket.clone() };
        let stream = UnixStream::connect(&self.socket).await.map_err(|_| no_daemon())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| no_daemon())?;
        let exchange = async {
            let request = Request::get(target).header(HOST, "localhost").body(Empty::<Bytes>::new());
            let request = request.map_err(|_| self.unexpected("it was not asked properly"))?;
            sender.send_request(request).await.map_err(|_| no_daemon())
        };
        // The connection does the work: it ends only when it fails, or after the body.
        tokio::pin!(connection);
        let response = tokio::select! {
            response = exchange => response?,
            _ = &mut connection => return Err(no_daemon()),
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect();
        tokio::pin!(body);
        let body = tokio::select! {
            body = &mut body => body,
            _ = &mut connection => body.await,
        };
        let body = body.map_err(|_| self.unexpected("it is broken off or too large"))?.to_bytes();
        let body = Zeroizing::new(Vec::from(body));
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.unexpected("its body is not the one of this route"));
        }
        let problem: Problem =
            serde_json::from_slice(&body).map_err(|_| self.unexpected("it is an error without our error shape"))?;
        Err(ClientError::Problem { problem, retry_after: None })
    }

    fn unexpected(&self, reason: &'static str) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.socket.display().to_string(), reason }
    }
}
