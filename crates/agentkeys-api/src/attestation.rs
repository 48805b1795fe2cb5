//! Evidence of where a signer runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, Problem, Value};

/// The exporter that binds evidence to one TLS connection (RFC 8446 section 7.5, RFC 9266), 32 bytes without context.
pub const EXPORTER_LABEL: &str = "EXPORTER-agentkeys-attest";

/// What vouches for a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Backend {
    /// A TPM 2.0 whose endorsement key is certified.
    Tpm2,
    /// The vTPM of an Azure confidential machine, vouched for by its SEV-SNP or TDX report.
    AzureVtpm,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel TDX.
    Tdx,
    /// An AWS Nitro Enclave.
    Nitro,
}

/// What a signer would sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningPurpose {
    /// Nothing but the broker's challenges that prove a wallet.
    WalletProof,
    /// Any message: it was started with `--allow-any-message`.
    AnyMessage,
}

/// Where a signer runs, what it is, and the proof: an Attestation Result is made of it by the client (RFC 9334).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestationEvidence {
    /// The version of this form: 1.
    pub v: u8,
    /// What vouches.
    pub backend: Backend,
    /// The nonce that was asked with, 64 hex digits.
    pub eat_nonce: String,
    /// `agentkeys-tee-worker`
    pub swname: String,
    /// Its version.
    pub swversion: String,
    /// Whether anyone could debug it, in the words of EAT (RFC 9711 section 4.2.9): `disabled-since-boot`.
    pub dbgstat: String,
    /// What the evidence binds.
    pub bound: Bound,
    /// The hash of all that is bound: 128 hex digits (SHA-512), of which TPMs quote the SHA-256 form, 64 digits.
    pub report_data: String,
    /// The proof itself.
    pub evidence: RawEvidence,
    /// Who vouches for who vouches.
    pub endorsements: Endorsements,
}

/// What evidence binds besides the nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The SHA-256 of the TLS key (`SubjectPublicKeyInfo`), 64 hex digits.
    pub tls_spki_sha256: String,
    /// `EXPORTER-agentkeys-attest`; the exported value itself is never sent.
    pub exporter_label: String,
    /// The public key that only this master secret gives: 33 bytes of secp256k1 (SEC1), hex.
    pub identity_pub: String,
    /// The verifier key of the signing log (C2SP signed-note).
    pub log_vkey: String,
    /// The log's latest checkpoint (C2SP tlog-checkpoint).
    pub log_checkpoint: String,
    /// The counter of this machine's TPM as the worker started, which cannot go back; 0 where nothing counts.
    pub boot_counter: u64,
    /// What it would sign.
    pub purpose: SigningPurpose,
}

impl Bound {
    /// The key (X25519) that shares of a backup are to be sealed to; nothing, where this binds an identity.
    ///
    /// A worker that restores binds it behind a 0, with which no identity begins.
    pub fn restoring_key(&self) -> Option<[u8; 32]> {
        let mut identity = [0; 33];
        hex::decode_to_slice(&self.identity_pub, &mut identity).ok()?;
        let [0, key @ ..] = identity else { return None };
        Some(key)
    }
}

/// A quote, a report or a document, by backend; what another backend would give is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEvidence {
    /// TPM: the `TPMS_ATTEST` of the quote, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attest: Option<String>,
    /// TPM: the `TPMT_SIGNATURE` over it, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// TPM: the quoted registers of the SHA-256 bank, hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pcrs: BTreeMap<u8, String>,
    /// TPM: the firmware's event log, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log: Option<String>,
    /// SEV-SNP and TDX: the report or quote, base64. Nitro: the attestation document (`COSE_Sign1`), base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// What vouches for the key that signed the evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Endorsements {
    /// TPM: the attestation key's `TPMT_PUBLIC`, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ak_pub: Option<String>,
    /// TPM: the endorsement key's certificate, base64 of DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ek_cert: Option<String>,
    /// The chain above it, or above the key that signed a report, from the leaf on: base64 of DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Azure: the HCL report that binds the attestation key to the machine, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hcl_report: Option<String>,
    /// TDX: Intel's collateral (TCB info, QE identity, revocation lists), as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collateral: Option<String>,
}

/// Up to 4 KiB of base64 or hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded(pub String);

impl Field for Encoded {
    const CODE: ErrorCode = ErrorCode::CredentialInvalid;
    const EXPECTED: &'static str = "must be 1 to 4096 characters of base64 or hex";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        let is_encoded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        ((1..=4096).contains(&text.len()) && text.bytes().all(is_encoded)).then_some(Self(text))
    }
}

/// Proves that the attestation key is in the TPM whose endorsement key is certified (TPM 2.0 Part 1, section 24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivateCredential {
    /// The attestation key's name, hex.
    #[schema(value_type = String)]
    pub ak_name: Encoded,
    /// The `TPM2B_ID_OBJECT` without its size, base64.
    #[schema(value_type = String)]
    pub credential_blob: Encoded,
    /// The `TPM2B_ENCRYPTED_SECRET` without its size, base64.
    #[schema(value_type = String)]
    pub encrypted_secret: Encoded,
}

impl Body for ActivateCredential {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            ak_name: fields.required("ak_name")?,
            credential_blob: fields.required("credential_blob")?,
            encrypted_secret: fields.required("encrypted_secret")?,
        })
    }
}

/// The secret that only the right TPM could read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActivatedCredential {
    /// In base64.
    pub secret: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_and_a_key_is_what_a_worker_that_restores_binds_and_nothing_else_is() {
        let key = "ab".repeat(32);
        let bound = |identity_pub: String| Bound {
            tls_spki_sha256: String::new(),
            exporter_label: String::new(),
            identity_pub,
            log_vkey: String::new(),
            log_checkpoint: String::new(),
            boot_counter: 0,
            purpose: SigningPurpose::WalletProof,
        };

        assert_eq!(bound(format!("00{key}")).restoring_key(), Some([0xab; 32]));
        for other in [format!("02{key}"), format!("00{key}00"), "00".to_owned(), String::new(), format!("0x{key}")] {
            assert_eq!(bound(other.clone()).restoring_key(), None, "{other}");
        }
    }
}
