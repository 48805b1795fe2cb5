use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::TlsConnection;
use crate::load::Connection;

/// A TLS server of ours, whose certificate says nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnyServer(SocketAddr);

impl AnyServer {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self(address)
    }

    pub(super) async fn connect(self) -> anyhow::Result<TlsConnection> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(DangerousAnyKey(provider)))
            .with_no_client_auth();
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.0.ip());
        Ok(Connection::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }
}

/// Takes whoever has the key of the certificate that was shown.
#[derive(Debug)]
struct DangerousAnyKey(Arc<CryptoProvider>);

impl ServerCertVerifier for DangerousAnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
