use std::path::PathBuf;

use agentkeys_attestation::ReleaseKeyPair;
use agentkeys_crypto::private_file;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::offline_key;
use crate::{error::CliError, output::Output};

/// The flags of `agentkeys attestation keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// The new file of the private key (PKCS#8 in PEM), which only you may read
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl KeygenArgs {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        let unusable = |error| offline_key::unusable(&self.file, error);
        let pem = Zeroizing::new(ReleaseKeyPair::generate_pem().map_err(unusable)?);
        let public = ReleaseKeyPair::from_pem(&pem).and_then(|key| key.public()).map_err(unusable)?;
        private_file::create_new(&self.file, pem.as_bytes()).map_err(|error| {
            let next = "name a new file: a key that has signed something is never replaced here";
            CliError::key_not_written(&self.file, &error, next)
        })?;
        let public = hex::encode(public.as_sec1());
        output.result(&json!({"file": self.file, "release_key": public}), |output| {
            output.done(format_args!("The release key is in `{}`: keep it offline", self.file.display()));
            output.line(format_args!("release_key = \"{public}\""));
        });
        Ok(())
    }
}
