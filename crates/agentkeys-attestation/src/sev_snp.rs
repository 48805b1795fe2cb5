//! Reports of AMD SEV-SNP (SEV Secure Nested Paging Firmware ABI, 56860, section 7.3).

use agentkeys_api::attestation::AttestationEvidence;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED;
use x509_cert::der::{Decode as _, oid::ObjectIdentifier};

use crate::{
    AcceptSevSnp, Check, CheckName, SnpTcb,
    certificate::{Anchors, Certificate, CertificateError},
    report::{Context, Report, best},
    signature::{self, KeyKind},
    wire,
};

pub(crate) const REPORT_SIZE: usize = 1184;
const SIGNED: usize = 0x2A0;
/// `r` and `s`, little-endian, of 72 bytes each.
const SCALAR: usize = 72;

/// AMD's roots and intermediates by generation, from the package `sev`.
const PRODUCTS: [Product; 3] = [
    Product {
        root: include_str!("amd/milan-ark.pem"),
        signer: include_str!("amd/milan-ask.pem"),
        layout: Layout::Early,
    },
    Product {
        root: include_str!("amd/genoa-ark.pem"),
        signer: include_str!("amd/genoa-ask.pem"),
        layout: Layout::Early,
    },
    Product {
        root: include_str!("amd/turin-ark.pem"),
        signer: include_str!("amd/turin-ask.pem"),
        layout: Layout::Turin,
    },
];

const CHIP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
const BOOTLOADER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.1");
const TEE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.2");
const SNP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.3");
const MICROCODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.8");
const FMC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3.9");

struct Product {
    root: &'static str,
    signer: &'static str,
    layout: Layout,
}

/// How the security versions lie in their eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Early,
    Turin,
}

impl Layout {
    fn read(self, bytes: [u8; 8]) -> SnpTcb {
        match (self, bytes) {
            (Self::Early, [bootloader, tee, .., snp, microcode]) => SnpTcb { fmc: 0, bootloader, tee, snp, microcode },
            (Self::Turin, [fmc, bootloader, tee, snp, .., microcode]) => {
                SnpTcb { fmc, bootloader, tee, snp, microcode }
            }
        }
    }
}

impl SnpTcb {
    fn is_at_least(self, other: Self) -> bool {
        self.fmc >= other.fmc
            && self.bootloader >= other.bootloader
            && self.tee >= other.tee
            && self.snp >= other.snp
            && self.microcode >= other.microcode
    }
}

/// What a report says, whoever signed it.
#[derive(Clone, Debug)]
pub(crate) struct SnpReport(Box<[u8; REPORT_SIZE]>);

impl SnpReport {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let report = Self(Box::new(bytes.try_into().ok()?));
        let (version, algorithm) = (report.u32(0), report.u32(0x34));
        let signing_key = report.u32(0x48) >> 2 & 0b111;
        // ECDSA on P-384 with SHA-384, by the chip's own key: there is no other algorithm, and no other key is known here.
        ((2..=5).contains(&version) && algorithm == 1 && signing_key == 0).then_some(report)
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn policy(&self) -> u64 {
        u64::from_le_bytes(self.array(0x08))
    }

    fn is_debugged(&self) -> bool {
        self.policy() >> 19 & 1 == 1
    }

    fn may_migrate(&self) -> bool {
        self.policy() >> 18 & 1 == 1
    }

    fn privilege_level(&self) -> u32 {
        self.u32(0x30)
    }

    pub(crate) fn report_data(&self) -> [u8; 64] {
        self.array(0x50)
    }

    pub(crate) fn measurement(&self) -> [u8; 48] {
        self.array(0x90)
    }

    pub(crate) fn chip_id(&self) -> [u8; 64] {
        self.array(0x1A0)
    }

    fn tcb(&self, layout: Layout) -> SnpTcb {
        layout.read(self.array(0x180))
    }

    pub(crate) fn is_signed(&self, chip_key: &Certificate) -> bool {
        let scalar = |at: usize| {
            let mut bytes: [u8; SCALAR] = self.array(at);
            bytes.reverse();
            let (zeros, scalar) = bytes.split_at(SCALAR - 48);
            zeros.iter().all(|byte| *byte == 0).then(|| scalar.to_vec())
        };
        let (Some(mut signed), Some(s)) = (scalar(SIGNED), scalar(SIGNED + SCALAR)) else { return false };
        signed.extend(s);
        let key = chip_key.key();
        signature::kind_of(key) == Some(KeyKind::P384)
            && signature::verifies(&ECDSA_P384_SHA384_FIXED, key, &self.0[..SIGNED], &signed)
    }
}

/// A chip's own certificate, under AMD's root of its generation.
pub(crate) struct ChipKey {
    certificate: Certificate,
    signer: [Certificate; 1],
    root: [Certificate; 1],
    layout: Layout,
}

impl ChipKey {
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let certificate = Certificate::parse(der).map_err(|error| error.to_string())?;
        let built_in = |text: &str| {
            let block = pem::parse(text).map_err(|_| CertificateError::Malformed)?;
            Certificate::parse(block.contents())
        };
        for product in &PRODUCTS {
            let signer = built_in(product.signer).map_err(|error| error.to_string())?;
            if certificate.is_issued_by(&signer) {
                let root = built_in(product.root).map_err(|error| error.to_string())?;
                return Ok(Self { certificate, signer: [signer], root: [root], layout: product.layout });
            }
        }
        Err("the certificate is not that of a chip by AMD: Milan, Genoa and Turin are known".to_owned())
    }

    #[cfg(test)]
    pub(crate) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn chain(&self, context: &Context<'_>) -> [Check; 2] {
        context.chain(&self.certificate, &self.signer, &Anchors { certificates: &self.root, sha256: None })
    }

    /// Whether the certificate is for the chip and the firmware that the report is from.
    fn fits(&self, report: &SnpReport) -> Result<SnpTcb, &'static str> {
        let version = |id| {
            let value = self.certificate.extension(id).and_then(|value| u8::from_der(value).ok());
            value.ok_or("the chip's certificate does not say its firmware")
        };
        let certified = SnpTcb {
            fmc: if self.layout == Layout::Turin { version(FMC)? } else { 0 },
            bootloader: version(BOOTLOADER)?,
            tee: version(TEE)?,
            snp: version(SNP)?,
            microcode: version(MICROCODE)?,
        };
        if certified != report.tcb(self.layout) {
            return Err("the chip's certificate is for other firmware than the report's");
        }
        let chip = report.chip_id();
        let certified = self.certificate.extension(CHIP).ok_or("the chip's certificate does not say its chip")?;
        // Operators may mask the chip's number; its key still speaks for it.
        if chip != [0; 64] && !(chip.starts_with(certified) && matches!(certified.len(), 8 | 64)) {
            return Err("the chip's certificate is for another chip");
        }
        Ok(report.tcb(self.layout))
    }
}

pub(crate) fn verify<'a>(
    evidence: &AttestationEvidence,
    context: &Context<'_>,
    entries: impl Iterator<Item = &'a AcceptSevSnp>,
) -> Option<Report> {
    let bytes = wire::base64("report", evidence.evidence.report.as_deref());
    let report = match bytes.and_then(|bytes| SnpReport::parse(&bytes).ok_or("the report is malformed".to_owned())) {
        Ok(report) => report,
        Err(reason) => return Some(Report::unreadable(CheckName::Signature, reason)),
    };
    best(entries, |entry| {
        let mut checks = hardware(&report, evidence, entry, context);
        checks.push(context.bound(&report.report_data()));
        Report { release: Some(entry.release), ..Report::new(checks) }
    })
}

/// Everything that the report tells besides what it binds.
pub(crate) fn hardware(
    report: &SnpReport,
    evidence: &AttestationEvidence,
    entry: &AcceptSevSnp,
    context: &Context<'_>,
) -> Vec<Check> {
    let der = wire::base64("chain", evidence.endorsements.chain.first().map(String::as_str));
    match der.and_then(|der| ChipKey::read(&der)) {
        Ok(key) => judge(report, &key, entry, context),
        Err(reason) => vec![Check::failed(CheckName::EndorsementChain, reason)],
    }
}

pub(crate) fn judge(report: &SnpReport, key: &ChipKey, entry: &AcceptSevSnp, context: &Context<'_>) -> Vec<Check> {
    let signed =
        if report.is_signed(&key.certificate) { Ok("signed by the chip") } else { Err("the signature is wrong") };
    let tcb = key.fits(report).and_then(|found| {
        if found.is_at_least(entry.min_tcb) { Ok("the firmware is new enough") } else { Err("the firmware is too old") }
    });
    let measurement = report.measurement();
    let measured = if entry.measurement.contains(&measurement) {
        Ok("the launch measurement is one of the policy".to_owned())
    } else {
        Err(format!("the launch measurement is {}, which the policy does not list", hex::encode(measurement)))
    };
    let debug = match (report.is_debugged() && !entry.debug, report.may_migrate(), report.privilege_level()) {
        (true, ..) => Err("the host may debug the guest"),
        (_, true, _) => Err("the host may move the guest"),
        (.., level) if level != 0 => Err("the report is not from the most privileged level of the guest"),
        _ => Ok("the host may neither debug nor move the guest"),
    };
    let mut checks = Vec::from(key.chain(context));
    checks.extend([
        Check::of(CheckName::Signature, signed),
        Check::of(CheckName::Tcb, tcb),
        Check::of(CheckName::Measurement, measured),
        Check::of(CheckName::Debug, debug),
        match &entry.chip_id {
            None => Check::not_applicable(CheckName::Machine, "the policy names no chip"),
            Some(chips) if chips.contains(&report.chip_id()) => {
                Check::passed(CheckName::Machine, "the chip is one of the policy")
            }
            Some(_) => Check::failed(CheckName::Machine, "the policy does not list the chip"),
        },
    ]);
    checks
}

#[cfg(test)]
mod tests;
