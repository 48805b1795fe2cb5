mod keygen;
mod restore;

use clap::Subcommand;

use self::{keygen::KeygenArgs, restore::RestoreArgs};

/// What the holder of a share of a worker's backup can do.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make the key that your share will be sealed to
    Keygen(KeygenArgs),
    /// Give your share to a worker that restores, once the policy accepts it
    Restore(RestoreArgs),
}
