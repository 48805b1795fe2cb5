use std::{
    io::{self, Write},
    path::PathBuf,
};

use agentkeys_tee_worker::backup::{RecipientKey, SealedShare, fingerprint};
use anyhow::{Context, ensure};
use clap::Subcommand;

/// What a holder of a share does with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Make a key pair that a share can be sealed to, and print its public part for `backup.recipients`.
    Keygen {
        /// The file to make, for its owner alone.
        file: PathBuf,
    },
    /// Seal a share anew to a worker that restores, and print what to post to its `/restore`.
    ///
    /// First look at that worker's evidence with `agentkeys attestation show`: while it restores, its identity is `00`
    /// and then the key to name here. A key from anywhere else may be anybody's, who then has the share.
    Reseal {
        /// The share.
        #[arg(long)]
        share: PathBuf,
        /// The file that `keygen` made.
        #[arg(long)]
        key: PathBuf,
        /// The worker's key out of its evidence: 64 hex digits.
        #[arg(long)]
        recipient: String,
    },
}

impl Share {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let line = match self {
            Self::Keygen { file } => {
                let key = RecipientKey::generate()?;
                key.write(&file).with_context(|| format!("{} cannot be made", file.display()))?;
                hex::encode(key.public())
            }
            Self::Reseal { share, key, recipient } => {
                let mut worker = [0; 32];
                hex::decode_to_slice(&recipient, &mut worker).context("--recipient: it is 64 hex digits")?;
                let key = RecipientKey::read(&key).with_context(|| format!("{}", key.display()))?;
                let share = SealedShare::read(&share).with_context(|| format!("{}", share.display()))?;
                ensure!(share.recipient == fingerprint(&key.public()), "the share is not sealed to this key");
                share.reseal(&key, &worker)?.to_string()
            }
        };
        writeln!(io::stdout(), "{line}")?;
        Ok(())
    }
}
