//! The vTPM of an Azure confidential machine: the report of the hardware binds its attestation key.
//!
//! The key is taken from that report alone. The certificate that Azure issues for it is not looked at, because an
//! administrator could replace the key under it (CVE-2025-49707).

use agentkeys_api::attestation::AttestationEvidence;
use agentkeys_tpm::VerifyingKey;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    AcceptAzureVtpm, AzureHardware, Check, CheckName,
    report::{Context, Report, best},
    sev_snp::{self, REPORT_SIZE, SnpReport},
    tdx,
    tpm2::SignedQuote,
    wire,
};

const MAGIC: &[u8; 4] = b"HCLA";
const HARDWARE_REPORT: usize = 0x20;
const REQUEST: usize = HARDWARE_REPORT + REPORT_SIZE;
const RUNTIME_DATA: usize = REQUEST + 0x14;
const TYPE_SNP: u32 = 2;
const TYPE_TDX: u32 = 4;
const HASH_SHA256: u32 = 1;
const ATTESTATION_KEY: &str = "HCLAkPub";

#[derive(Deserialize)]
struct RuntimeData {
    keys: Vec<RuntimeKey>,
}

#[derive(Deserialize)]
struct RuntimeKey {
    kid: String,
    kty: String,
    n: String,
    e: String,
}

/// What the host compatibility layer reports.
#[derive(Debug)]
pub(crate) struct HclReport {
    hardware: Vec<u8>,
    kind: u32,
    runtime_sha256: [u8; 32],
    modulus: Vec<u8>,
}

impl HclReport {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let kind = word(REQUEST + 0x08)?;
        if !bytes.starts_with(MAGIC) || word(REQUEST + 0x0C)? != HASH_SHA256 || ![TYPE_SNP, TYPE_TDX].contains(&kind) {
            return None;
        }
        let size = usize::try_from(word(REQUEST + 0x10)?).ok()?;
        let runtime = bytes.get(RUNTIME_DATA..RUNTIME_DATA.checked_add(size)?)?;
        let RuntimeData { keys } = serde_json::from_slice(runtime).ok()?;
        let mut attestation_keys = keys.iter().filter(|key| key.kid == ATTESTATION_KEY);
        let (key, others) = (attestation_keys.next()?, attestation_keys.next());
        if others.is_some() || key.kty != "RSA" || key.e != "AQAB" {
            return None;
        }
        Some(Self {
            hardware: bytes.get(HARDWARE_REPORT..REQUEST)?.to_vec(),
            kind,
            runtime_sha256: Sha256::digest(runtime).into(),
            modulus: BASE64_URL_SAFE_NO_PAD.decode(&key.n).ok()?,
        })
    }

    pub(crate) fn attestation_key(&self) -> VerifyingKey {
        VerifyingKey::Rsa { modulus: self.modulus.clone() }
    }

    /// Whether the hardware's report binds the attestation key.
    pub(crate) fn is_bound_by(&self, report_data: &[u8; 64]) -> bool {
        report_data.starts_with(&self.runtime_sha256) && report_data[32..] == [0; 32]
    }

    pub(crate) fn snp_report(&self) -> Option<SnpReport> {
        (self.kind == TYPE_SNP).then(|| SnpReport::parse(&self.hardware))?
    }

    /// What the local report of TDX binds, which proves nothing by itself: only a quote of it does.
    #[cfg(test)]
    pub(crate) fn td_report_data(&self) -> Option<[u8; 64]> {
        (self.kind == TYPE_TDX).then(|| self.hardware.get(0x80..0xC0)?.try_into().ok())?
    }
}

pub(crate) fn verify<'a>(
    evidence: &AttestationEvidence,
    context: &Context<'_>,
    entries: impl Iterator<Item = &'a AcceptAzureVtpm>,
) -> Option<Report> {
    let quote = match SignedQuote::read(&evidence.evidence) {
        Ok(quote) => quote,
        Err(reason) => return Some(Report::unreadable(CheckName::Signature, reason)),
    };
    let hcl = wire::base64("hcl_report", evidence.endorsements.hcl_report.as_deref());
    let hcl = match hcl.and_then(|bytes| HclReport::parse(&bytes).ok_or("the HCL report is malformed".to_owned())) {
        Ok(hcl) => hcl,
        Err(reason) => return Some(Report::unreadable(CheckName::AttestationKey, reason)),
    };
    let td_quote = (hcl.kind == TYPE_TDX).then(|| tdx::read(evidence, context));
    best(entries, |entry| {
        let (hardware, bound) = match (&entry.hardware, hcl.snp_report(), &td_quote) {
            (AzureHardware::SevSnp(entry), Some(report), _) => {
                (sev_snp::hardware(&report, evidence, entry, context), hcl.is_bound_by(&report.report_data()))
            }
            (AzureHardware::Tdx(entry), _, Some(Ok(quote))) => {
                (quote.judge(entry), hcl.is_bound_by(&quote.report_data()))
            }
            (AzureHardware::Tdx(_), _, Some(Err((name, reason)))) => {
                (vec![Check::failed(*name, reason.clone())], false)
            }
            _ => (vec![Check::failed(CheckName::Measurement, "the hardware is not that of the policy")], false),
        };
        let key = if bound { Ok("the hardware vouches for it") } else { Err("the hardware does not vouch for it") };
        // Both signatures must be good; the hardware's is told first.
        let mut checks = hardware;
        checks.push(Check::of(CheckName::AttestationKey, key));
        checks.extend(quote.checks(&hcl.attestation_key(), &entry.pcr, context));
        Report { release: Some(entry.release), ..Report::new(checks) }
    })
}

#[cfg(test)]
mod tests;
