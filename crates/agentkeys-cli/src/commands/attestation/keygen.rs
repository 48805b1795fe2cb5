use std::path::PathBuf;

use agentkeys_attestation::{PolicyError, ReleaseKeyPair};
use agentkeys_crypto::private_file;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

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
        let refused = |reason: String| CliError::TextFile { path: self.file.clone(), reason };
        let unusable = |error: PolicyError| refused(error.to_string());
        let pem = Zeroizing::new(ReleaseKeyPair::generate_pem().map_err(unusable)?);
        let public = ReleaseKeyPair::from_pem(&pem).and_then(|key| key.public()).map_err(unusable)?;
        private_file::create_new(&self.file, pem.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let public = hex(public.as_sec1());
        output.result(&json!({"file": self.file, "release_key": public}), |output| {
            output.done(format_args!("The release key is in `{}`: keep it offline", self.file.display()));
            output.line(format_args!("release_key = \"{public}\""));
        });
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
