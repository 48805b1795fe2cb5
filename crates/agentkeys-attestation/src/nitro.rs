//! Attestation documents of AWS Nitro Enclaves: `COSE_Sign1` with ES384, under a PKI of AWS's own.

use std::collections::{BTreeMap, BTreeSet};

use agentkeys_api::attestation::AttestationEvidence;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED;
use ciborium::Value;
use coset::{Algorithm, CborSerializable as _, CoseSign1, iana};
use sha2::{Digest as _, Sha256};

use crate::{
    AcceptNitro, Check, CheckName, NitroRoot,
    certificate::{Anchors, Certificate},
    report::{Context, Report, best, registers},
    signature, wire,
};

/// The SHA-256 of the root of the AWS Nitro Attestation PKI, G1, in DER.
/// <https://docs.aws.amazon.com/enclaves/latest/user/verify-root.html>
const AWS_ROOT_G1: &str = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";

const MAX_DOCUMENT: usize = 32 * 1024;
const MAX_CABUNDLE: usize = 5;

pub(crate) fn is_aws_root(der: &[u8]) -> bool {
    hex::encode(Sha256::digest(der)) == AWS_ROOT_G1
}

/// What a document says, whoever signed it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    sign1: CoseSign1,
    pcrs: BTreeMap<u8, Vec<u8>>,
    certificate: Certificate,
    /// From the certificate's issuer up to the root.
    cabundle: Vec<Certificate>,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

impl Document {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_DOCUMENT {
            return None;
        }
        let sign1 = CoseSign1::from_slice(bytes).ok()?;
        if sign1.protected.header.alg != Some(Algorithm::Assigned(iana::Algorithm::ES384)) {
            return None;
        }
        let mut payload = sign1.payload.as_deref()?;
        let Value::Map(entries) = ciborium::from_reader::<Value, _>(&mut payload).ok()? else { return None };
        if !payload.is_empty() {
            return None;
        }
        let mut fields = Fields::new(entries)?;
        if fields.take("digest")?.into_text().ok()? != "SHA384" {
            return None;
        }
        fields.take("module_id")?.into_text().ok()?;
        fields.take("timestamp")?.into_integer().ok()?;
        let pcrs = fields.take("pcrs")?.into_map().ok()?;
        let cabundle = fields.take("cabundle")?.into_array().ok()?;
        if pcrs.len() > 32 || cabundle.is_empty() || cabundle.len() > MAX_CABUNDLE {
            return None;
        }
        let certificate = |value: Value| Certificate::parse(&value.into_bytes().ok()?).ok();
        let mut registers = BTreeMap::new();
        for (number, value) in pcrs {
            let number = u8::try_from(number.into_integer().ok()?).ok()?;
            if registers.insert(number, value.into_bytes().ok()?).is_some() {
                return None;
            }
        }
        let document = Self {
            pcrs: registers,
            certificate: certificate(fields.take("certificate")?)?,
            cabundle: cabundle.into_iter().rev().map(certificate).collect::<Option<_>>()?,
            user_data: fields.optional("user_data")?,
            nonce: fields.optional("nonce")?,
            sign1,
        };
        fields.optional("public_key")?;
        fields.0.is_empty().then_some(document)
    }

    pub(crate) fn is_signed(&self) -> bool {
        let verify = |signed: &[u8], message: &[u8]| {
            let key = self.certificate.key();
            signature::verifies(&ECDSA_P384_SHA384_FIXED, key, message, signed).then_some(()).ok_or(())
        };
        self.sign1.verify_signature(b"", verify).is_ok()
    }

    pub(crate) fn chain(&self, root: &NitroRoot, context: &Context<'_>) -> [Check; 2] {
        let root = match root {
            NitroRoot::AwsG1 => hex::decode(AWS_ROOT_G1).ok().and_then(|root| root.try_into().ok()).unwrap_or([0; 32]),
            NitroRoot::Test(der) => Sha256::digest(der).into(),
        };
        let roots = BTreeSet::from([root]);
        context.chain(&self.certificate, &self.cabundle, &Anchors { certificates: &[], sha256: Some(&roots) })
    }

    /// An enclave in debug mode shows registers of nothing but zeros.
    fn is_debugged(&self) -> bool {
        self.pcrs.get(&0).is_none_or(|image| image.iter().all(|byte| *byte == 0))
    }
}

/// The fields of a map, each taken once.
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn new(entries: Vec<(Value, Value)>) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for (name, value) in entries {
            if fields.insert(name.into_text().ok()?, value).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// `Some(None)` where there is none.
    #[expect(clippy::option_option, reason = "absent is not malformed")]
    fn optional(&mut self, name: &str) -> Option<Option<Vec<u8>>> {
        match self.take(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => Some(Some(value.into_bytes().ok()?)),
        }
    }
}

pub(crate) fn verify<'a>(
    evidence: &AttestationEvidence,
    context: &Context<'_>,
    entries: impl Iterator<Item = &'a AcceptNitro>,
) -> Option<Report> {
    let document = wire::base64("report", evidence.evidence.report.as_deref());
    let document = document.and_then(|bytes| Document::parse(&bytes).ok_or("the document is malformed".to_owned()));
    match document {
        Ok(document) => best(entries, |entry| judge(&document, entry, context)),
        Err(reason) => Some(Report::unreadable(CheckName::Signature, reason)),
    }
}

pub(crate) fn judge(document: &Document, entry: &AcceptNitro, context: &Context<'_>) -> Report {
    let found = |number: u8| document.pcrs.get(&number).and_then(|value| value.as_slice().try_into().ok());
    let signed =
        if document.is_signed() { Ok("signed by the Nitro hypervisor") } else { Err("the signature is wrong") };
    let debug = if document.is_debugged() { Err("the enclave is in debug mode") } else { Ok("not in debug mode") };
    let mut checks = Vec::from(document.chain(&entry.root, context));
    if let NitroRoot::Test(_) = entry.root {
        checks[0].detail.push_str(" (a test root: no hardware vouches)");
    }
    let is_answer = document.nonce.as_deref().is_none_or(|nonce| nonce == context.nonce);
    checks.extend([
        Check::of(CheckName::Signature, signed),
        if is_answer {
            context.bound(document.user_data.as_deref().unwrap_or_default())
        } else {
            Check::failed(CheckName::ReportData, "the document has another nonce")
        },
        Check::of(CheckName::Pcrs, registers("PCR", &entry.pcr, found)),
        Check::of(CheckName::Debug, debug),
        Check::not_applicable(CheckName::Tcb, "AWS keeps the firmware up to date"),
    ]);
    Report { release: Some(entry.release), ..Report::new(checks) }
}

#[cfg(test)]
mod tests;
