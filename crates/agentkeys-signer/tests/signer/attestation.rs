//! `GET /attestation` and `POST /attestation/activate` of a signer that has something to show.

use std::sync::{Arc, Condvar, Mutex, atomic::Ordering};

use agentkeys_api::{
    ErrorCode,
    attestation::{
        ActivateCredential, ActivatedCredential, AttestationEvidence, Backend, Bound, Endorsements, RawEvidence,
        SigningPurpose,
    },
    paths,
};
use agentkeys_http::TlsChannel;
use agentkeys_signer::{AttestError, Attester, SignerConfig};
use serde_json::{Value, json};

use crate::{
    bench::{ADA, Bench, ISSUER, outcome, problem},
    worker::MemoryRecord,
};

const NONCE: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const CHANNEL: TlsChannel = TlsChannel { spki_sha256: [1; 32], exporter: [2; 32] };

/// Repeats what it is asked with, as slowly as it is told to.
#[derive(Debug, Default)]
struct Echo {
    is_stuck: Mutex<bool>,
    changed: Condvar,
}

impl Echo {
    fn set_stuck(&self, is_stuck: bool) {
        *self.is_stuck.lock().unwrap() = is_stuck;
        self.changed.notify_all();
    }
}

impl Attester for Echo {
    fn evidence(&self, nonce: &[u8; 32], channel: &TlsChannel) -> Result<AttestationEvidence, AttestError> {
        let _free = self.changed.wait_while(self.is_stuck.lock().unwrap(), |is_stuck| *is_stuck).unwrap();
        Ok(AttestationEvidence {
            v: 1,
            backend: Backend::Tpm2,
            eat_nonce: hex::encode(nonce),
            swname: "agentkeys-tee-worker".to_owned(),
            swversion: "0.1.0".to_owned(),
            dbgstat: "disabled-since-boot".to_owned(),
            bound: Bound {
                tls_spki_sha256: hex::encode(channel.spki_sha256),
                exporter_label: "EXPORTER-agentkeys-attest".to_owned(),
                identity_pub: String::new(),
                log_vkey: String::new(),
                log_checkpoint: String::new(),
                boot_counter: 1,
                purpose: SigningPurpose::WalletProof,
            },
            report_data: hex::encode(channel.exporter),
            evidence: RawEvidence::default(),
            endorsements: Endorsements::default(),
        })
    }

    fn activate(&self, credential: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        match credential.ak_name.0.as_str() {
            "other" => Err(AttestError::CredentialInvalid),
            "away" => Err(AttestError::Unavailable),
            _ => Ok(ActivatedCredential { secret: credential.credential_blob.0.clone() }),
        }
    }
}

async fn attested() -> (Bench, Arc<Echo>) {
    let echo = Arc::new(Echo::default());
    let (config, record) = (SignerConfig::for_development(ISSUER.to_owned()), Arc::new(MemoryRecord::default()));
    let with_channel = |routes: axum::Router| routes.layer(axum::Extension(CHANNEL));
    (Bench::start_as(config, record, echo.clone(), Arc::default(), with_channel).await, echo)
}

fn evidence_path(nonce: &str) -> String {
    format!("{}?nonce={nonce}", paths::ATTESTATION)
}

#[tokio::test]
async fn evidence_is_for_the_nonce_and_the_connection() {
    let (bench, _) = attested().await;

    let evidence = outcome(bench.get(&evidence_path(NONCE))).await.unwrap();

    assert_eq!(evidence["eat_nonce"], NONCE.to_lowercase());
    assert_eq!(evidence["bound"]["tls_spki_sha256"], hex::encode(CHANNEL.spki_sha256));
    assert_eq!(evidence["report_data"], hex::encode(CHANNEL.exporter));
}

#[tokio::test]
async fn a_nonce_is_exactly_64_hex_digits_and_all_that_is_asked() {
    let (bench, _) = attested().await;
    for path in [
        paths::ATTESTATION.to_owned(),
        evidence_path(""),
        evidence_path(&NONCE[1..]),
        evidence_path(&format!("{NONCE}0")),
        evidence_path(&format!("0x{}", &NONCE[2..])),
        evidence_path(&format!("{}g", &NONCE[1..])),
        evidence_path(&format!("{NONCE}&nonce={NONCE}")),
        format!("{}?x=1&nonce={NONCE}", paths::ATTESTATION),
    ] {
        assert_eq!(outcome(bench.get(&path)).await, Err(ErrorCode::InvalidField), "{path}");
    }
}

#[tokio::test]
async fn without_tls_there_is_nothing_to_bind_evidence_to() {
    let bench = Bench::start().await;
    let body = json!({"ak_name": "00", "credential_blob": "AA==", "encrypted_secret": "AA=="});
    let activate = bench.client.post(bench.url(paths::ATTESTATION_ACTIVATE));

    assert_eq!(outcome(bench.get(&evidence_path(NONCE))).await, Err(ErrorCode::NotAttested));
    assert_eq!(outcome(activate.json(&body)).await, Err(ErrorCode::NotAttested));
}

#[tokio::test]
async fn a_credential_is_activated_or_refused_by_its_code() {
    let (bench, _) = attested().await;
    let activate = |name: &str| {
        let body = json!({"ak_name": name, "credential_blob": "YmxvYg==", "encrypted_secret": "AA=="});
        outcome(bench.client.post(bench.url(paths::ATTESTATION_ACTIVATE)).json(&body))
    };

    assert_eq!(activate("000b").await, Ok::<Value, _>(json!({"secret": "YmxvYg=="})));
    assert_eq!(activate("other").await, Err(ErrorCode::CredentialInvalid));
    assert_eq!(activate("away").await, Err(ErrorCode::SignerDisabled));
    assert_eq!(activate("").await, Err(ErrorCode::CredentialInvalid));
    assert_eq!(activate(&"0".repeat(4097)).await, Err(ErrorCode::CredentialInvalid));
    assert_eq!(activate("a b").await, Err(ErrorCode::CredentialInvalid));
    // It uses no wallet key, and whoever holds a share asks it of a worker that has none yet.
    bench.keys.disabled.store(true, Ordering::SeqCst);
    assert_eq!(activate("000b").await, Ok(json!({"secret": "YmxvYg=="})));
}

#[tokio::test]
async fn many_who_ask_for_evidence_do_not_keep_others_from_signing() {
    let (bench, echo) = attested().await;
    echo.set_stuck(true);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..64 {
        asking.spawn(bench.get(&evidence_path(NONCE)).send());
    }

    // A line of 16 from one address, and the others are refused at once.
    for _ in 16..64 {
        let response = asking.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(problem(response).await.error, ErrorCode::SignerDisabled);
    }
    bench.sign(&bench.session(ADA), ADA, b"hello").await.unwrap();
    echo.set_stuck(false);

    let answers = asking.join_all().await;
    assert!(answers.iter().any(|response| response.as_ref().unwrap().status() == 200));
    assert!(outcome(bench.get(&evidence_path(NONCE))).await.is_ok());
}
