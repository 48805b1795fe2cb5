use agentkeys_client::{Attestation, ClientError};

use super::finding::Finding;
use crate::context::Context;

const NAME: &str = "signer";

/// Whether the signer answers, and what it shows of where it runs.
pub(super) async fn check(context: &Context) -> Finding {
    match ask(context).await {
        Ok((attestation, is_loopback)) => judge(&attestation, is_loopback),
        Err(error) => Finding::of_error(NAME, error, context),
    }
}

async fn ask(context: &Context) -> Result<(Attestation, bool), ClientError> {
    let signer = context.signer()?;
    let mut nonce = [0; 32];
    // Evidence that might be an old one is still evidence: nothing is made of it here.
    let _ = getrandom::fill(&mut nonce);
    Ok((signer.attestation(&nonce).await?, signer.url().is_loopback()))
}

fn judge(attestation: &Attestation, is_loopback: bool) -> Finding {
    let trusted = "it gets your session token, and signs for your wallet: use one that you run yourself";
    match (attestation, is_loopback) {
        (Attestation::Development, true) => {
            Finding::warning(NAME, "a development signer, on this machine", "keep no funds on its wallets")
        }
        (Attestation::Development, false) => Finding::warning(
            NAME,
            "a development signer on another machine, and nothing attests what runs there",
            trusted,
        ),
        (Attestation::Unverified(_), _) => {
            Finding::warning(NAME, "shows evidence of where it runs, which nothing here has verified", trusted)
        }
    }
}
