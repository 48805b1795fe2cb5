use std::{fmt, io, sync::Arc};

use agentkeys_api::attestation::EXPORTER_LABEL;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use zeroize::Zeroize;

use crate::TlsChannel;

/// Why a server has no TLS key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A name that no certificate can bear, or a key that could not be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The key or the versions do not suit the TLS library.
    #[error("TLS cannot be served: {0}")]
    Tls(#[from] rustls::Error),
}

/// A server's TLS key, and the certificate that it signed itself. Both are gone with the process.
///
/// The certificate vouches for nothing: who is at the other end is shown by evidence that binds the key.
#[derive(Clone)]
pub struct TlsIdentity {
    acceptor: TlsAcceptor,
    certificate: CertificateDer<'static>,
    spki_sha256: [u8; 32],
}

impl TlsIdentity {
    /// A new P-256 key, and a certificate for `names`: DNS names or addresses.
    pub fn generate(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, TlsError> {
        let params = CertificateParams::new(names.into_iter().map(Into::into).collect::<Vec<_>>())?;
        let mut key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let spki_sha256 = Sha256::digest(key.subject_public_key_info()).into();
        let signing_key =
            aws_lc_rs::sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialized_der())));
        key.zeroize();
        let certified = CertifiedKey::new(vec![certificate.clone()], signing_key?);
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each connection has a handshake, and so an exporter, of its own.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, spki_sha256 })
    }

    /// The SHA-256 of the key's `SubjectPublicKeyInfo`.
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.spki_sha256
    }

    /// The certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, TlsChannel)> {
        let stream = self.acceptor.accept(stream).await?;
        let exporter = stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL.as_bytes(), None);
        let exporter = exporter.map_err(io::Error::other)?;
        Ok((stream, TlsChannel { spki_sha256: self.spki_sha256, exporter }))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spki_sha256 = hex::encode(self.spki_sha256);
        formatter.debug_struct("TlsIdentity").field("spki_sha256", &spki_sha256).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::{Extension, Json, routing::get};
    use rustls::{
        ClientConfig, RootCertStore,
        pki_types::ServerName,
        version::{TLS12, TLS13},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::{Running, Server, Target};

    /// A server that tells each request which channel and which name it came by, in hex.
    async fn serve() -> (Running, TlsIdentity) {
        let identity = TlsIdentity::generate(["127.0.0.1"]).unwrap();
        let server = Server::bind("test", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let show = async |Extension(channel): Extension<TlsChannel>, Extension(target): Extension<Target>| {
            Json([hex::encode(channel.spki_sha256), hex::encode(channel.exporter), target.url("/")])
        };
        (server.with_tls(identity.clone()).serve(crate::router().route("/channel", get(show))), identity)
    }

    async fn connect(
        server: &Running,
        identity: &TlsIdentity,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(identity.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(server.address()).await?;
        let name = ServerName::from(server.address().ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn ask(stream: &mut tokio_rustls::client::TlsStream<TcpStream>, address: std::net::SocketAddr) -> String {
        let request = format!("GET /channel HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn both_ends_of_a_connection_know_the_same_channel_and_no_other_connection_has_it() {
        let (server, identity) = serve().await;

        let mut exporters = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(&server, &identity, &TLS13).await.unwrap();
            let exporter = stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL.as_bytes(), None);
            let exporter = hex::encode(exporter.unwrap());
            let answer = ask(&mut stream, server.address()).await;

            assert!(answer.contains(&exporter), "{answer}");
            assert!(answer.contains(&hex::encode(identity.spki_sha256())), "{answer}");
            assert!(answer.contains(&format!("https://{}/", server.address())), "{answer}");
            exporters.push(exporter);
        }

        assert_ne!(exporters[0], exporters[1]);
    }

    #[tokio::test]
    async fn an_older_tls_is_not_spoken() {
        let (server, identity) = serve().await;

        let refused = connect(&server, &identity, &TLS12).await;

        assert!(refused.is_err());
    }

    #[tokio::test]
    async fn one_who_says_nothing_keeps_nobody_waiting_not_even_the_stop() {
        let (server, identity) = serve().await;
        let silent = TcpStream::connect(server.address()).await.unwrap();

        let mut stream = connect(&server, &identity, &TLS13).await.unwrap();
        let answer = ask(&mut stream, server.address()).await;
        let stopped = tokio::time::timeout(std::time::Duration::from_secs(4), server.stop()).await;

        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(stopped.is_ok());
        drop(silent);
    }
}
