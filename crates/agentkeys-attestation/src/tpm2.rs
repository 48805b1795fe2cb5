//! Quotes of a TPM 2.0, and who vouches for the TPM.

use agentkeys_api::attestation::{AttestationEvidence, RawEvidence};
use agentkeys_tpm::{
    AttestationKey, CAPPED_PCR, PcrValues as Registers, Pcrs as _, Quote, Signature, VerifyingKey, capped,
};

use crate::{
    AcceptTpm2, ActivationRequest, Check, CheckName, PcrValues, Stage, TpmAnchor,
    certificate::{Anchors, Certificate, EK_CERTIFICATE},
    report::{Context, Report, best, registers},
    wire,
};

/// The register that shows what came from outside the measured image.
const COMMAND_LINE: u8 = 12;
/// As many certificates as may come with an endorsement key's.
const MAX_ABOVE: usize = 4;

pub(crate) fn verify<'a>(
    evidence: &AttestationEvidence,
    context: &Context<'_>,
    entries: impl Iterator<Item = &'a AcceptTpm2>,
) -> Option<Report> {
    let quote = match SignedQuote::read(&evidence.evidence) {
        Ok(quote) => quote,
        Err(reason) => return Some(Report::unreadable(CheckName::Signature, reason)),
    };
    let key = wire::base64("ak_pub", evidence.endorsements.ak_pub.as_deref());
    let key = match key.and_then(|public| AttestationKey::parse(&public).map_err(|error| error.to_string())) {
        Ok(key) => key,
        Err(reason) => return Some(Report::unreadable(CheckName::AttestationKey, reason)),
    };
    best(entries, |entry| {
        let endorsed = endorsement(evidence, &key, &entry.anchor, context);
        let mut checks = endorsed.checks;
        checks.push(known(&key, context));
        checks.extend(quote.checks(key.key(), &entry.pcr, context));
        checks.push(Check::not_applicable(
            CheckName::Debug,
            "a TPM does not tell; only the image can, which is measured",
        ));
        checks.push(Check::not_applicable(CheckName::Tcb, "a TPM does not tell how new its firmware must be"));
        Report {
            release: Some(entry.release),
            ak_name: Some(key.name().as_bytes().to_vec()),
            ek_sha256: endorsed.ek_sha256,
            activation: endorsed.activation,
            ..Report::new(checks)
        }
    })
}

/// A quote with its signature and the values that it is said to be of.
pub(crate) struct SignedQuote {
    attest: Vec<u8>,
    quote: Quote,
    signature: Signature,
    registers: Registers,
}

impl SignedQuote {
    pub(crate) fn read(evidence: &RawEvidence) -> Result<Self, String> {
        let attest = wire::base64("attest", evidence.attest.as_deref())?;
        let signature = wire::base64("signature", evidence.signature.as_deref())?;
        let register = |(number, value): (&u8, &String)| Ok((*number, wire::hex("pcrs", value)?));
        Ok(Self {
            quote: Quote::parse(&attest).map_err(|error| error.to_string())?,
            signature: Signature::parse(&signature).map_err(|error| error.to_string())?,
            registers: evidence.pcrs.iter().map(register).collect::<Result<_, String>>()?,
            attest,
        })
    }

    pub(crate) fn is_signed(&self, key: &VerifyingKey) -> bool {
        key.verify(&self.attest, &self.signature).is_ok()
    }

    /// The values that the TPM quoted: those that were sent are worth something only where they hash to the quote.
    pub(crate) fn registers(&self) -> Result<&Registers, String> {
        let selection = self.registers.selection().map_err(|error| error.to_string())?;
        if selection != self.quote.selection {
            return Err("the registers are not the quoted ones".to_owned());
        }
        if self.registers.digest() != self.quote.pcr_digest {
            return Err("the values of the registers are not the quoted ones".to_owned());
        }
        Ok(&self.registers)
    }

    pub(crate) fn checks(&self, key: &VerifyingKey, policy: &PcrValues<32>, context: &Context<'_>) -> [Check; 4] {
        let judge = |policy: &PcrValues<32>| {
            let found = self.registers()?;
            registers("PCR", policy, |number| Some(as_listed(number, found.get(&number)?, context.stage)))
        };
        let (command_line, measured) = policy.clone().into_iter().partition(|(number, _)| *number == COMMAND_LINE);
        let signed =
            if self.is_signed(key) { Ok("signed by the attestation key") } else { Err("the signature is wrong") };
        [
            Check::of(CheckName::Signature, signed),
            context.bound(&self.quote.extra_data),
            Check::of(CheckName::Pcrs, judge(&measured)),
            Check::of(CheckName::CommandLine, judge(&command_line)),
        ]
    }
}

/// The value as policies list it, which is the one that a worker shows once it has closed its secret away.
///
/// One that restores must not have done so: it could not seal what it restores.
fn as_listed(number: u8, found: &[u8; 32], stage: Stage) -> [u8; 32] {
    match stage {
        Stage::Restoring { .. } if number == CAPPED_PCR => capped(found),
        _ => *found,
    }
}

fn known(key: &AttestationKey, context: &Context<'_>) -> Check {
    let name = CheckName::AttestationKey;
    match context.pinned_ak {
        Some(pinned) if pinned != key.name().as_bytes() => {
            Check::failed(name, "another attestation key than the one that is remembered of this signer")
        }
        Some(_) => Check::passed(name, format!("the one that is remembered: {}", key.name())),
        None => Check::passed(name, format!("restricted to its TPM, seen for the first time: {}", key.name())),
    }
}

struct Endorsed {
    checks: Vec<Check>,
    /// The endorsement key, where it is one that vouches.
    ek_sha256: Option<[u8; 32]>,
    activation: Option<ActivationRequest>,
}

fn endorsement(
    evidence: &AttestationEvidence,
    key: &AttestationKey,
    anchor: &TpmAnchor,
    context: &Context<'_>,
) -> Endorsed {
    if anchor.ak_name.contains(key.name().as_bytes().as_slice()) {
        let checks = vec![
            Check::passed(CheckName::EndorsementChain, "the policy names the attestation key"),
            Check::not_applicable(CheckName::Revocation, "there is no chain to look at"),
            Check::not_applicable(CheckName::Activation, "the policy names the attestation key"),
        ];
        return Endorsed { checks, ek_sha256: None, activation: None };
    }
    let ek = match certificates(evidence) {
        Ok((ek, above)) => {
            let mut checks = endorsement_chain(&ek, &above, anchor, context);
            let (check, activation) = activation(&ek, key, context);
            checks.push(check);
            return Endorsed { checks, ek_sha256: ek.key_sha256(), activation };
        }
        Err(reason) => Check::failed(CheckName::EndorsementChain, reason),
    };
    Endorsed { checks: vec![ek], ek_sha256: None, activation: None }
}

fn certificates(evidence: &AttestationEvidence) -> Result<(Certificate, Vec<Certificate>), String> {
    let read = |name: &str, text: Option<&str>| {
        Certificate::parse(&wire::base64(name, text)?).map_err(|error| error.to_string())
    };
    let endorsements = &evidence.endorsements;
    if endorsements.chain.len() > MAX_ABOVE {
        return Err("the chain is too long".to_owned());
    }
    let above = endorsements.chain.iter().map(|text| read("chain", Some(text))).collect::<Result<_, String>>()?;
    Ok((read("ek_cert", endorsements.ek_cert.as_deref())?, above))
}

fn endorsement_chain(ek: &Certificate, above: &[Certificate], anchor: &TpmAnchor, context: &Context<'_>) -> Vec<Check> {
    if ek.key_sha256().is_some_and(|key| anchor.ek_pub_sha256.contains(&key)) {
        return vec![
            Check::passed(CheckName::EndorsementChain, "the policy names the endorsement key"),
            context.revocation(&[ek]),
        ];
    }
    if !ek.is_for(EK_CERTIFICATE) || ek.is_authority() {
        return vec![Check::failed(CheckName::EndorsementChain, "the certificate is not that of an endorsement key")];
    }
    let roots: Vec<_> = anchor.ek_ca.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    let anchors = Anchors { certificates: &roots, sha256: Some(&anchor.ek_ca_sha256) };
    context.chain(ek, above, &anchors).into()
}

fn activation(ek: &Certificate, key: &AttestationKey, context: &Context<'_>) -> (Check, Option<ActivationRequest>) {
    let name = CheckName::Activation;
    let is_remembered = context.pinned_ak == Some(key.name().as_bytes().as_slice());
    if is_remembered && context.activated_ek.is_some() && context.activated_ek == ek.key_sha256() {
        let detail = "the attestation key was activated before, with this endorsement key and under this policy";
        return (Check::passed(name, detail), None);
    }
    match ActivationRequest::new(ek, *key.name()) {
        Ok(request) => (Check::pending(name, "the TPM must show that it holds the attestation key"), Some(request)),
        Err(error) => (Check::failed(name, error.to_string()), None),
    }
}
