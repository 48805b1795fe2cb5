//! A TPM in plain memory, and evidence of a worker on it.

use std::collections::{BTreeMap, BTreeSet};

use agentkeys_api::attestation::{
    AttestationEvidence, Backend, Bound, EXPORTER_LABEL, Endorsements, RawEvidence, SigningPurpose,
};
use agentkeys_crypto::ReportData;
use agentkeys_tlog::{Checkpoint, Hash, SignerKey};
use agentkeys_tpm::{Attributes, EccPoint, KeyParameters, PcrValues, Pcrs as _, Public, Scheme, Signature};
use agentkeys_types::Timestamp;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, date_time_ymd,
};
use sha2::{Digest as _, Sha256};

use crate::{Channel, Check, CheckName, Expected, Pinned, Policy, Stage, Verdict, Verifier, report::Context};

pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_767_225_600);
pub(crate) const NONCE: [u8; 32] = [1; 32];
pub(crate) const CHANNEL: Channel = Channel { spki_sha256: [2; 32], exporter: [3; 32] };
pub(crate) const ORIGIN: &str = "agentkeys.example/signer";

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A maker of TPMs.
pub(crate) struct Vendor {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a maker of TPMs");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    pub(crate) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.der))
    }

    pub(crate) fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("CERTIFICATE", self.der.clone()))
    }

    /// The certificate of a new endorsement key, valid for 2025 and 2026.
    pub(crate) fn endorse(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 31);
        change(&mut params);
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }
}

/// A worker on a TPM, with everything about it that a test may want to change.
pub(crate) struct Worker {
    pub(crate) vendor: Vendor,
    pub(crate) ek_cert: Vec<u8>,
    ak: EcdsaKeyPair,
    pub(crate) ak_attributes: u32,
    pub(crate) pcrs: PcrValues,
    pub(crate) log_size: u64,
    pub(crate) log_seed: [u8; 32],
    pub(crate) identity: [u8; 33],
    pub(crate) purpose: SigningPurpose,
}

impl Worker {
    pub(crate) fn new() -> Self {
        let vendor = Vendor::new();
        let mut identity = [7; 33];
        identity[0] = 2;
        Self {
            ek_cert: vendor.endorse(|_| {}),
            vendor,
            ak: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ak_attributes: 0x0005_0472,
            pcrs: BTreeMap::from([(4, [4; 32]), (7, [7; 32]), (11, [11; 32]), (12, [0; 32])]),
            log_size: 5,
            log_seed: [9; 32],
            identity,
            purpose: SigningPurpose::WalletProof,
        }
    }

    pub(crate) fn ak_public(&self) -> Vec<u8> {
        let point = EccPoint::from_sec1(self.ak.public_key().as_ref()).unwrap();
        let parameters = KeyParameters::P256 { protects: false, scheme: Scheme::Ecdsa, point };
        Public { attributes: Attributes(self.ak_attributes), auth_policy: Vec::new(), parameters }.to_bytes()
    }

    /// The key of its log, and what that is at; neither where it has no entries.
    pub(crate) fn checkpoint(&self) -> (String, String) {
        if self.log_size == 0 {
            return (String::new(), String::new());
        }
        let key = SignerKey::from_seed(ORIGIN, &self.log_seed).unwrap();
        let root = Hash::from_bytes([u8::try_from(self.log_size).unwrap(); 32]);
        let note = Checkpoint::new(ORIGIN, self.log_size, root, Some(3)).sign(&key).unwrap();
        (key.verifier().to_string(), note)
    }

    pub(crate) fn policy_text(&self) -> String {
        let pcr = |number: u8| format!("{number} = [\"{}\"]", hex::encode(self.pcrs[&number]));
        format!(
            "version = 7\nmin_release = \"0.4.0\"\nrevoked = []\n[log]\norigin = \"{ORIGIN}\"\n\
             [[accept]]\nbackend = \"tpm2\"\nrelease = \"0.4.0\"\nbank = \"sha256\"\n\
             pcr = {{ {}, {}, {}, {} }}\nanchor = {{ ek_ca_sha256 = [\"{}\"] }}\n",
            pcr(4),
            pcr(7),
            pcr(11),
            pcr(12),
            self.vendor.sha256()
        )
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy_text()).unwrap()
    }

    /// What it binds on that connection, hashed both ways.
    pub(crate) fn report_data(&self, nonce: &[u8; 32], channel: &Channel) -> ([u8; 32], [u8; 64]) {
        let (log_vkey, log_checkpoint) = self.checkpoint();
        let data = ReportData {
            nonce,
            tls_spki_sha256: &channel.spki_sha256,
            exporter: &channel.exporter,
            identity_pub: &self.identity,
            log_vkey: &log_vkey,
            log_checkpoint: &log_checkpoint,
            boot_counter: 3,
            signs_any_message: self.purpose == SigningPurpose::AnyMessage,
        };
        (data.sha256(), data.sha512())
    }

    pub(crate) fn evidence(&self) -> AttestationEvidence {
        self.evidence_on(&NONCE, &CHANNEL)
    }

    pub(crate) fn evidence_on(&self, nonce: &[u8; 32], channel: &Channel) -> AttestationEvidence {
        let (log_vkey, log_checkpoint) = self.checkpoint();
        let (report_data, _) = self.report_data(nonce, channel);
        let attest = self.quote(&report_data);
        AttestationEvidence {
            v: 1,
            backend: Backend::Tpm2,
            eat_nonce: hex::encode(nonce),
            swname: "agentkeys-tee-worker".to_owned(),
            swversion: "0.4.0".to_owned(),
            dbgstat: "disabled-since-boot".to_owned(),
            bound: Bound {
                tls_spki_sha256: hex::encode(channel.spki_sha256),
                exporter_label: EXPORTER_LABEL.to_owned(),
                identity_pub: hex::encode(self.identity),
                log_vkey,
                log_checkpoint,
                boot_counter: 3,
                purpose: self.purpose,
            },
            report_data: hex::encode(report_data),
            evidence: RawEvidence {
                signature: Some(b64(self.sign(&attest))),
                attest: Some(b64(attest)),
                pcrs: self.pcrs.iter().map(|(number, value)| (*number, hex::encode(value))).collect(),
                ..RawEvidence::default()
            },
            endorsements: Endorsements {
                ak_pub: Some(b64(self.ak_public())),
                ek_cert: Some(b64(&self.ek_cert)),
                chain: vec![b64(&self.vendor.der)],
                ..Endorsements::default()
            },
        }
    }

    pub(crate) fn sign(&self, attest: &[u8]) -> Vec<u8> {
        let signature = self.ak.sign(&SystemRandom::new(), attest).unwrap();
        Signature::EcdsaP256(signature.as_ref().try_into().unwrap()).to_bytes()
    }

    fn quote(&self, extra: &[u8]) -> Vec<u8> {
        let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let mut selected = [0; 3];
        for number in self.pcrs.keys() {
            selected[usize::from(number / 8)] |= 1 << (number % 8);
        }
        let head = [&[0xFF, 0x54, 0x43, 0x47, 0x80, 0x18][..], &sized(&[0; 34]), &sized(extra)].concat();
        let clock = [&[0; 16][..], &[1], &[0; 8]].concat();
        let pcrs = [&[0, 0, 0, 1, 0, 0x0B, 3][..], &selected, &sized(&self.pcrs.digest())].concat();
        [head, clock, pcrs].concat()
    }

    pub(crate) fn verdict(&self, pinned: &Pinned) -> Verdict {
        judge(&self.policy(), &self.evidence(), pinned, NOW)
    }
}

pub(crate) fn judge(policy: &Policy, evidence: &AttestationEvidence, pinned: &Pinned, now: Timestamp) -> Verdict {
    judge_in(Stage::Signing, policy, evidence, pinned, now)
}

pub(crate) fn judge_in(
    stage: Stage,
    policy: &Policy,
    evidence: &AttestationEvidence,
    pinned: &Pinned,
    now: Timestamp,
) -> Verdict {
    let expected = Expected { nonce: NONCE, channel: CHANNEL, pinned, stage };
    Verifier::new(policy.clone()).verify(evidence, &expected, now)
}

/// What genuine evidence is judged by: it binds something else than our workers do.
pub(crate) fn context(now: Timestamp) -> Context<'static> {
    static NOTHING: BTreeSet<[u8; 32]> = BTreeSet::new();
    Context {
        now,
        revoked: &NOTHING,
        pinned_ak: None,
        activated_ek: None,
        sha256: None,
        sha512: None,
        nonce: &NONCE,
        stage: Stage::Signing,
    }
}

pub(crate) fn failed_checks(checks: &[Check]) -> Vec<CheckName> {
    checks.iter().filter(|check| check.has_failed()).map(|check| check.name).collect()
}

pub(crate) fn failures(verdict: &Verdict) -> Vec<CheckName> {
    failed_checks(verdict.checks())
}

/// The evidence of a worker, vouched for by other hardware.
pub(crate) fn evidence_by(backend: Backend, evidence: RawEvidence, endorsements: Endorsements) -> AttestationEvidence {
    let worker = Worker::new();
    let (_, report_data) = worker.report_data(&NONCE, &CHANNEL);
    let report_data = hex::encode(report_data);
    AttestationEvidence { backend, evidence, endorsements, report_data, ..worker.evidence() }
}
