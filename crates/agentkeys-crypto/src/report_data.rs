use sha2::{Digest, Sha256, Sha512};

/// Separates this hash from every other.
const DOMAIN: &[u8] = b"agentkeys/tee-attest/v1\0";

/// Everything that evidence of trusted execution binds: to one question, one TLS connection, one master secret and one log.
#[derive(Clone, Copy, Debug)]
pub struct ReportData<'a> {
    /// The asker's nonce, which makes the evidence fresh.
    pub nonce: &'a [u8; 32],
    /// The SHA-256 of the TLS key's `SubjectPublicKeyInfo`.
    pub tls_spki_sha256: &'a [u8; 32],
    /// What this very connection exports (RFC 9266), which stops a relay even with a stolen TLS key.
    pub exporter: &'a [u8; 32],
    /// The public key that only this master secret gives (SEC1, compressed).
    pub identity_pub: &'a [u8],
    /// The verifier key of the signing log (C2SP signed-note).
    pub log_vkey: &'a str,
    /// The log's latest checkpoint.
    pub log_checkpoint: &'a str,
    /// How often the worker has started on this machine.
    pub boot_counter: u64,
    /// Whether it signs any message.
    pub signs_any_message: bool,
}

impl ReportData<'_> {
    /// The form that a TPM quotes.
    pub fn sha256(&self) -> [u8; 32] {
        self.hash::<Sha256>().into()
    }

    /// The form that fills the 64 bytes of a report.
    pub fn sha512(&self) -> [u8; 64] {
        self.hash::<Sha512>().into()
    }

    fn hash<D: Digest>(&self) -> sha2::digest::Output<D> {
        let digest = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        D::new()
            .chain_update(DOMAIN)
            .chain_update(self.nonce)
            .chain_update(self.tls_spki_sha256)
            .chain_update(self.exporter)
            .chain_update(digest(self.identity_pub))
            .chain_update(digest(self.log_vkey.as_bytes()))
            .chain_update(digest(self.log_checkpoint.as_bytes()))
            .chain_update(self.boot_counter.to_be_bytes())
            .chain_update([u8::from(self.signs_any_message)])
            .finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_bound_changes_the_hash() {
        let plain = ReportData {
            nonce: &[1; 32],
            tls_spki_sha256: &[2; 32],
            exporter: &[3; 32],
            identity_pub: &[4; 33],
            log_vkey: "log",
            log_checkpoint: "checkpoint",
            boot_counter: 5,
            signs_any_message: false,
        };
        let others = [
            ReportData { nonce: &[9; 32], ..plain },
            ReportData { tls_spki_sha256: &[9; 32], ..plain },
            ReportData { exporter: &[9; 32], ..plain },
            ReportData { identity_pub: &[9; 33], ..plain },
            ReportData { log_vkey: "other", ..plain },
            ReportData { log_checkpoint: "other", ..plain },
            ReportData { boot_counter: 9, ..plain },
            ReportData { signs_any_message: true, ..plain },
        ];

        for other in others {
            assert_ne!(other.sha256(), plain.sha256(), "{other:?}");
            assert_ne!(other.sha512(), plain.sha512(), "{other:?}");
        }
    }
}
