//! Quotes of Intel TDX, verified by `dcap-qvl` with the collateral that comes with them.

use agentkeys_api::attestation::AttestationEvidence;
use dcap_qvl::{QuoteCollateralV3, configs::RustCryptoConfig, quote::TDReport10, verify::QuoteVerifier};

use crate::{
    AcceptTdx, Check, CheckName, TcbStatus,
    report::{Context, Report, best, registers},
    wire,
};

const MAX_COLLATERAL: usize = 128 * 1024;

/// What Intel's keys have vouched for.
#[derive(Clone, Debug)]
pub(crate) struct TdQuote {
    report: TDReport10,
    status: String,
    advisories: Vec<String>,
}

/// Which check a quote did not get through, and why.
pub(crate) type Refused = (CheckName, String);

impl TdQuote {
    /// Verifies the quote, the chain of the platform's key, the revocation lists and the age of all of them.
    pub(crate) fn verify(quote: &[u8], collateral: &QuoteCollateralV3, context: &Context<'_>) -> Result<Self, Refused> {
        let now = u64::try_from(context.now.as_unix()).unwrap_or(0);
        // Debugging is allowed here and judged below, so that the verdict can tell it from a wrong signature.
        let intel = QuoteVerifier::new_prod().with_config::<RustCryptoConfig>().allow_debug(true);
        let verified = intel.verify(quote, collateral, now).map_err(|error| refused(&error.to_string()))?;
        let report = *verified.report.as_td10().ok_or((CheckName::Form, "the quote is not one of TDX".to_owned()))?;
        Ok(Self { report, status: verified.status, advisories: verified.advisory_ids })
    }

    pub(crate) fn report_data(&self) -> [u8; 64] {
        self.report.report_data
    }

    fn is_debugged(&self) -> bool {
        const DEBUG_OR_PROFILE: u8 = 0x71;
        self.report.td_attributes[0] & DEBUG_OR_PROFILE != 0
    }

    pub(crate) fn judge(&self, entry: &AcceptTdx) -> Vec<Check> {
        let TDReport10 { mr_td, rt_mr0, rt_mr1, rt_mr2, rt_mr3, .. } = self.report;
        let found = |number: u8| [rt_mr0, rt_mr1, rt_mr2, rt_mr3].get(usize::from(number)).copied();
        let measured = if entry.mr_td.contains(&mr_td) {
            Ok("MRTD is one of the policy".to_owned())
        } else {
            Err(format!("MRTD is {}, which the policy does not list", hex::encode(mr_td)))
        };
        let debug = if self.is_debugged() && !entry.debug {
            Err("the host may debug or profile the guest")
        } else {
            Ok("the host may not debug the guest")
        };
        vec![
            Check::passed(CheckName::EndorsementChain, "certificates lead to Intel's root"),
            Check::passed(CheckName::Revocation, "Intel's lists, which came with the quote, revoke nothing of it"),
            Check::passed(CheckName::Signature, "signed by the platform's quoting enclave"),
            Check::of(CheckName::Tcb, self.tcb(entry)),
            Check::of(CheckName::Measurement, measured),
            if entry.rtmr.is_empty() {
                Check::not_applicable(CheckName::Pcrs, "the policy names no runtime register")
            } else {
                Check::of(CheckName::Pcrs, registers("RTMR", &entry.rtmr, found))
            },
            Check::of(CheckName::Debug, debug),
        ]
    }

    fn tcb(&self, entry: &AcceptTdx) -> Result<String, String> {
        let status = serde_json::from_value::<TcbStatus>(self.status.as_str().into()).ok();
        let advisories =
            if self.advisories.is_empty() { String::new() } else { format!(" ({})", self.advisories.join(", ")) };
        match status {
            Some(status) if entry.tcb_status.contains(&status) => Ok(format!("{}{advisories}", self.status)),
            _ => Err(format!("Intel says {}{advisories}, which the policy does not accept", self.status)),
        }
    }
}

/// Sorts a reason under the check that it belongs to; one that is not recognised counts against the signature.
fn refused(reason: &str) -> Refused {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let name = if has(&["CRL", "Crl", "evoked", "Revocation"]) {
        CheckName::Revocation
    } else if has(&["TCB", "TCBInfo", "QE Identity"]) {
        CheckName::Tcb
    } else if has(&["ertificate", "chain"]) {
        CheckName::EndorsementChain
    } else {
        CheckName::Signature
    };
    (name, reason.to_owned())
}

/// Reads and verifies the quote that came with evidence.
pub(crate) fn read(evidence: &AttestationEvidence, context: &Context<'_>) -> Result<TdQuote, Refused> {
    let quote = wire::base64("report", evidence.evidence.report.as_deref());
    let quote = quote.map_err(|reason| (CheckName::Signature, reason))?;
    let missing = |reason: &str| (CheckName::Revocation, reason.to_owned());
    let collateral = evidence.endorsements.collateral.as_deref().ok_or_else(|| missing("`collateral` is missing"))?;
    if collateral.len() > MAX_COLLATERAL {
        return Err(missing("`collateral` is too long"));
    }
    let collateral = serde_json::from_str(collateral).map_err(|_| missing("`collateral` is malformed"))?;
    TdQuote::verify(&quote, &collateral, context)
}

pub(crate) fn verify<'a>(
    evidence: &AttestationEvidence,
    context: &Context<'_>,
    entries: impl Iterator<Item = &'a AcceptTdx>,
) -> Option<Report> {
    match read(evidence, context) {
        Err((name, reason)) => Some(Report::unreadable(name, reason)),
        Ok(quote) => best(entries, |entry| {
            let mut checks = quote.judge(entry);
            checks.push(context.bound(&quote.report_data()));
            Report { release: Some(entry.release), ..Report::new(checks) }
        }),
    }
}

#[cfg(test)]
mod tests;
