use std::path::PathBuf;

use agentkeys_api::attestation::{Backend, SigningPurpose};
use agentkeys_attestation::{Check, Outcome};
use agentkeys_client::{AttestationPolicy, Examined, Exit};
use clap::Args;
use serde::Serialize;

use super::kept_checkpoint;
use crate::{context::Context, error::CliError, output::Output};

/// The flags of `agentkeys attestation show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Show every check, not only what came of them
    #[arg(long)]
    explain: bool,

    /// Keep the checkpoint of the signing log in a file, which `agentkeys audit verify --checkpoint` takes
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// What a signer shows, as a program reads it.
#[derive(Serialize)]
struct Shown<'a> {
    signer_url: String,
    accepted: bool,
    backend: Backend,
    release: Option<&'a str>,
    checks: Vec<ShownCheck<'a>>,
    restoring: bool,
    identity_pub: &'a str,
    ak_name: Option<&'a str>,
    log_vkey: &'a str,
    log_checkpoint: &'a str,
    boot_counter: u64,
    purpose: SigningPurpose,
    policy_version: u64,
    policy_is_signed: bool,
}

#[derive(Serialize)]
struct ShownCheck<'a> {
    check: &'static str,
    outcome: &'static str,
    detail: &'a str,
}

impl ShowArgs {
    /// Exits as one who was denied where the signer is refused.
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<u8, CliError> {
        let signer = context.signer()?;
        let (Some(policy), Some(examined)) = (signer.policy(), signer.examine().await?) else {
            return Err(context.unjudged(signer.url()));
        };
        let shown = Shown::of(signer.url().to_string(), policy, &examined);
        // One that is not accepted can show whichever log it likes.
        if let Some(file) = self.checkpoint.as_deref().filter(|_| examined.is_accepted) {
            kept_checkpoint::keep(file, &shown.signer_url, shown.log_vkey, shown.log_checkpoint)?;
        }
        output.result(&shown, |output| self.print(&shown, &examined, policy, output));
        Ok(if examined.is_accepted { Exit::Ok.code() } else { Exit::Denied.code() })
    }

    fn print(&self, shown: &Shown<'_>, examined: &Examined, policy: &AttestationPolicy, output: &Output) {
        match examined.refusal() {
            None => output.done(format_args!("{} is accepted", shown.signer_url)),
            Some((check, detail)) => {
                output.failed(format_args!("{} is refused: {detail} ({check})", shown.signer_url));
            }
        }
        if self.explain {
            for check in &examined.checks {
                output.line(format_args!("{} {:<18} {}", mark(check.outcome), check.name.as_str(), check.detail));
            }
        }
        output.line(format_args!("backend   {}", in_words(examined.backend)));
        output.line(format_args!("release   {}", examined.release.as_deref().unwrap_or("none that the policy lists")));
        if shown.restoring {
            let waits = "it says that it waits for the shares of a backup (`agentkeys backup restore`)";
            output.line(format_args!("identity  none yet: {waits}"));
            output.line(format_args!("log       none while it waits"));
        } else {
            let mut checkpoint = shown.log_checkpoint.lines();
            let (origin, entries) = (checkpoint.next().unwrap_or("?"), checkpoint.next().unwrap_or("?"));
            output.line(format_args!("identity  {}", shown.identity_pub));
            output.line(format_args!("log       {origin}, {entries} entries"));
            output.line(format_args!("vkey      {}", shown.log_vkey));
        }
        match &self.checkpoint {
            Some(file) if examined.is_accepted => output.line(format_args!("kept      {}", file.display())),
            Some(_) => output.failed("its checkpoint was not kept: it is that of a signer which is not accepted"),
            None => {}
        }
        output.line(format_args!("counter   {} when it started", shown.boot_counter));
        output.line(format_args!(
            "signs     {}",
            match shown.purpose {
                SigningPurpose::WalletProof => "proofs of a wallet, and nothing else",
                SigningPurpose::AnyMessage => "any message",
            }
        ));
        output.line(format_args!("policy    {}", policy.in_words()));
    }
}

impl<'a> Shown<'a> {
    fn of(signer_url: String, policy: &AttestationPolicy, examined: &'a Examined) -> Self {
        let bound = &examined.bound;
        Self {
            signer_url,
            accepted: examined.is_accepted,
            backend: examined.backend,
            release: examined.release.as_deref(),
            checks: examined.checks.iter().map(ShownCheck::of).collect(),
            restoring: bound.restoring_key().is_some(),
            identity_pub: &bound.identity_pub,
            ak_name: examined.ak_name.as_deref(),
            log_vkey: &bound.log_vkey,
            log_checkpoint: &bound.log_checkpoint,
            boot_counter: bound.boot_counter,
            purpose: bound.purpose,
            policy_version: examined.policy_version,
            policy_is_signed: policy.is_signed(),
        }
    }
}

impl<'a> ShownCheck<'a> {
    fn of(check: &'a Check) -> Self {
        let outcome = match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Pending => "pending",
            Outcome::NotApplicable => "not_applicable",
        };
        Self { check: check.name.as_str(), outcome, detail: &check.detail }
    }
}

fn mark(outcome: Outcome) -> char {
    match outcome {
        Outcome::Passed => '✓',
        Outcome::Failed | Outcome::Pending => '✗',
        Outcome::NotApplicable => '-',
    }
}

/// What vouches for a signer, for a person.
pub(crate) fn in_words(backend: Backend) -> &'static str {
    match backend {
        Backend::Tpm2 => "tpm2",
        Backend::AzureVtpm => "azure-vtpm",
        Backend::SevSnp => "sev-snp",
        Backend::Tdx => "tdx",
        Backend::Nitro => "nitro",
        _ => "unknown",
    }
}

/// An accepted signer, for a person.
pub(crate) fn release_in_words(examined: &Examined) -> String {
    let release = examined.release.as_deref().unwrap_or("unknown");
    format!("attested: {}, release {release}, checked now", in_words(examined.backend))
}

#[cfg(test)]
mod tests {
    use agentkeys_attestation::CheckName;

    use super::*;

    #[test]
    fn each_check_has_its_mark_and_its_word() {
        let check = |outcome| Check { name: CheckName::Nonce, outcome, detail: "…".to_owned() };
        for (outcome, character, word) in [
            (Outcome::Passed, '✓', "passed"),
            (Outcome::Failed, '✗', "failed"),
            (Outcome::Pending, '✗', "pending"),
            (Outcome::NotApplicable, '-', "not_applicable"),
        ] {
            assert_eq!((mark(outcome), ShownCheck::of(&check(outcome)).outcome), (character, word));
        }
    }
}
