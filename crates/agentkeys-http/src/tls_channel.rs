/// The TLS connection that a request came in by: among its extensions, where there is TLS.
///
/// Evidence that names both is worth nothing on any other connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsChannel {
    /// The SHA-256 of the server key's `SubjectPublicKeyInfo`.
    pub spki_sha256: [u8; 32],
    /// What the connection exports under `agentkeys_api::attestation::EXPORTER_LABEL`, without context (RFC 9266).
    pub exporter: [u8; 32],
}
