mod approve;
mod kept_checkpoint;
mod keygen;
mod offline_key;
mod policy;
mod show;

use clap::Subcommand;

pub(crate) use self::show::{in_words, release_in_words};
use self::{approve::ApproveArgs, keygen::KeygenArgs, policy::PolicyCommand, show::ShowArgs};

/// What can be done with evidence, and with the policy by which it is judged.
#[derive(Debug, Subcommand)]
pub(crate) enum AttestationCommand {
    /// Ask the signer for evidence, and judge it
    Show(ShowArgs),
    /// For an operator: check and sign a policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// For an operator: approve of an image, offline, so that the worker in it can unseal
    Approve(ApproveArgs),
    /// For an operator: make the key that signs policies and releases; keep it offline
    Keygen(KeygenArgs),
}
