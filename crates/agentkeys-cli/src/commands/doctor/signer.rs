use agentkeys_client::{Attestation, ClientError, Examined, SignerClient};

use super::finding::Finding;
use crate::{commands::attestation, context::Context};

const NAME: &str = "signer";

/// Whether the signer answers, and what it shows of where it runs.
pub(super) async fn check(context: &Context) -> Finding {
    let signer = match context.signer() {
        Ok(signer) => signer,
        Err(error) => return Finding::of_error(NAME, error, context),
    };
    match signer.examine().await {
        Ok(Some(examined)) => judged(&examined, &signer, context),
        Ok(None) => match ask(&signer).await {
            Ok(attestation) => judge(&attestation, signer.url().is_loopback()),
            Err(error) => Finding::of_error(NAME, error, context),
        },
        Err(error) => Finding::of_error(NAME, error, context),
    }
}

async fn ask(signer: &SignerClient) -> Result<Attestation, ClientError> {
    let mut nonce = [0; 32];
    // Evidence that might be an old one is still evidence: nothing is made of it here.
    let _ = getrandom::fill(&mut nonce);
    signer.attestation(&nonce).await
}

fn judged(examined: &Examined, signer: &SignerClient, context: &Context) -> Finding {
    if let Some((check, detail)) = examined.refusal() {
        let (url, check, detail) = (signer.url().to_string(), check.to_owned(), detail.to_owned());
        let error = ClientError::AttestationInvalid { url, check, detail };
        return Finding::of_error(NAME, error, context);
    }
    let message = attestation::release_in_words(examined);
    if signer.policy().is_some_and(|policy| !policy.is_signed()) {
        let hint = "set `release_key`, so that nobody else can change what is accepted";
        return Finding::warning(NAME, format!("{message}; no release key vouches for the policy"), hint);
    }
    Finding::ok(NAME, message)
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
        (Attestation::Unverified(_), _) => Finding::warning(
            NAME,
            "shows evidence of where it runs, which nothing here has verified",
            "have a policy judge it: `--attestation-policy FILE`, or the setting `attestation_policy`",
        ),
    }
}
