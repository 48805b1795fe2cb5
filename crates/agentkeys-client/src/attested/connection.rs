use std::{io, sync::Arc, time::Duration};

use agentkeys_api::attestation::EXPORTER_LABEL;
use agentkeys_attestation::Channel;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{InvalidDnsNameError, ServerName},
    server::ParsedCertificate,
    version::TLS13,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::{Host, Position, Url};
use zeroize::Zeroizing;

use super::certificate::DangerousAnyKey;
use crate::{
    ClientError, Http, ServerUrl,
    http::{self, Answer, LARGEST_ANSWER},
};

/// A TLS connection to whoever has the key at its other end. Goes straight there: no proxy is asked.
#[derive(Debug)]
pub(super) struct Connection {
    url: ServerUrl,
    sender: SendRequest<Full<Bytes>>,
    pub(super) channel: Channel,
    read_timeout: Duration,
}

/// Why there is no answer.
pub(super) enum Missed {
    /// The request was not sent: the connection had been closed before.
    NotSent,
    /// Something else.
    Failed(ClientError),
}

impl Connection {
    pub(super) async fn open(url: &ServerUrl, http: &Http) -> Result<Self, ClientError> {
        let opened = timeout(http.connect_timeout(), Self::open_at(url, http.read_timeout())).await;
        opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| unreachable(url, error))
    }

    async fn open_at(url: &ServerUrl, read_timeout: Duration) -> io::Result<Self> {
        let (name, stream) = reach(&url.join("/")).await?;
        // Requests are small, and someone waits for each.
        let _ = stream.set_nodelay(true);
        let stream = TlsConnector::from(Arc::new(tls_config()?)).connect(name, stream).await?;
        let channel = channel_of(&stream)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends with its sender, and with whatever is at the other end.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { url: url.clone(), sender, channel, read_timeout })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// A request that posts `body`.
    pub(super) fn post(&self, path: &str, body: &impl Serialize) -> Result<reqwest::Request, ClientError> {
        let mut request = reqwest::Request::new(Method::POST, self.url.join(path));
        let body = serde_json::to_vec(body).map_err(|_| self.unexpected("it cannot be asked that"))?;
        *request.body_mut() = Some(body.into());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// Sends a copy of `request`, and reads all of the answer.
    pub(super) async fn exchange(&mut self, request: &reqwest::Request) -> Result<Answer, Missed> {
        let request = self.translate(request).map_err(Missed::Failed)?;
        self.exchange_raw(request).await
    }

    /// Sends `request` as it is, and reads all of the answer.
    pub(super) async fn exchange_raw(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Missed> {
        let answering = async {
            self.sender.ready().await.map_err(|_| Missed::NotSent)?;
            self.sender.send_request(request).await.map_err(|error| {
                if error.is_canceled() { Missed::NotSent } else { Missed::Failed(unreachable(&self.url, error)) }
            })
        };
        let answer = timeout(self.read_timeout, answering).await;
        let (parts, body) = answer.map_err(|_| Missed::Failed(self.silent()))??.into_parts();
        let body = self.read_limited(body).await.map_err(Missed::Failed)?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn translate(&self, request: &reqwest::Request) -> Result<Request<Full<Bytes>>, ClientError> {
        let unfit = |_| self.unexpected("it cannot be asked that");
        let target = &request.url()[Position::BeforePath..Position::AfterQuery];
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let body = Full::new(Bytes::copy_from_slice(body));
        let mut sent = Request::builder().method(request.method()).uri(target).body(body).map_err(unfit)?;
        *sent.headers_mut() = request.headers().clone();
        let host = HeaderValue::from_str(self.url.authority()).map_err(|_| self.unexpected("it has no host"))?;
        sent.headers_mut().insert(HOST, host);
        sent.headers_mut().insert(USER_AGENT, HeaderValue::from_static(http::USER_AGENT));
        Ok(sent)
    }

    /// Reads a body up to the limit; the announced length is not believed.
    async fn read_limited(&self, mut incoming: Incoming) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        loop {
            let frame = timeout(self.read_timeout, incoming.frame()).await.map_err(|_| self.silent())?;
            let Some(frame) = frame else { return Ok(body) };
            let frame = frame.map_err(|error| unreachable(&self.url, error))?;
            let Some(chunk) = frame.data_ref() else { continue };
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(self.unexpected("it is larger than 1 MiB"));
            }
            body.extend_from_slice(chunk);
        }
    }

    fn silent(&self) -> ClientError {
        unreachable(&self.url, io::Error::from(io::ErrorKind::TimedOut))
    }

    fn unexpected(&self, reason: &'static str) -> ClientError {
        ClientError::UnexpectedAnswer { url: self.url.to_string(), reason }
    }
}

fn channel_of(stream: &TlsStream<TcpStream>) -> io::Result<Channel> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or_else(|| io::Error::other("the server showed no certificate"))?;
    let key = ParsedCertificate::try_from(certificate).map_err(io::Error::other)?.subject_public_key_info();
    let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL.as_bytes(), None);
    Ok(Channel { spki_sha256: Sha256::digest(&key).into(), exporter: exporter.map_err(io::Error::other)? })
}

/// Speaks TLS 1.3 only, and every handshake is a full one, so that each connection exports something of its own.
fn tls_config() -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(DangerousAnyKey(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

async fn reach(url: &Url) -> io::Result<(ServerName<'static>, TcpStream)> {
    let port = url.port_or_known_default().unwrap_or(443);
    match url.host() {
        Some(Host::Domain(name)) => {
            let server = name.to_owned().try_into().map_err(|error: InvalidDnsNameError| io::Error::other(error))?;
            Ok((server, TcpStream::connect((name, port)).await?))
        }
        Some(Host::Ipv4(address)) => Ok((address.into(), TcpStream::connect((address, port)).await?)),
        Some(Host::Ipv6(address)) => Ok((address.into(), TcpStream::connect((address, port)).await?)),
        None => Err(io::Error::other("the URL has no host")),
    }
}

fn unreachable(url: &ServerUrl, error: impl std::error::Error + Send + Sync + 'static) -> ClientError {
    ClientError::Unreachable { url: url.to_string(), source: Arc::new(error) }
}
