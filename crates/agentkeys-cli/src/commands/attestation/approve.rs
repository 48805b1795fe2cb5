use std::{fs, path::PathBuf};

use agentkeys_attestation::{Approval, ImageRegisters};
use clap::Args;
use serde_json::json;

use super::offline_key;
use crate::{
    error::CliError,
    output::Output,
    public_file::{self, Existing},
};

/// The flags of `agentkeys attestation approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The `pcrs.json` that was made with the image
    #[arg(value_name = "PCRS")]
    pcrs: PathBuf,

    /// The file of the release key, from `agentkeys attestation keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The image's epoch: how often a release before it had to be locked out
    #[arg(long, value_name = "N")]
    epoch: u32,

    /// The new file of the approval, which goes onto the image's disk
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
}

impl ApproveArgs {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        let image = self.image()?;
        let key = offline_key::read(&self.key)?;
        let approval = key.approve(&image, self.epoch).map_err(|error| {
            CliError::operators_file(&self.pcrs, error, "see that `--epoch` and the image are the right ones")
        })?;
        let text = serde_json::to_string_pretty(&approval).unwrap_or_default();
        self.write(&format!("{text}\n"))?;
        let release_key = hex::encode(approval.release_key().to_sec1());
        let document = json!({
            "approval": self.out,
            "release": approval.release(),
            "epoch": approval.epoch(),
            "image_sha256": image.image_sha256(),
            "release_key": release_key,
            "pcrs": registers(&approval).collect::<serde_json::Map<_, _>>(),
        });
        output.result(&document, |output| {
            let (release, epoch) = (approval.release(), approval.epoch());
            output.done(format_args!("Approved of release {release}, epoch {epoch}: `{}`", self.out.display()));
            output.line(format_args!("image        sha256 {}", image.image_sha256()));
            for (register, value) in registers(&approval) {
                output.line(format_args!("register {register:<4}{}", value.as_str().unwrap_or_default()));
            }
            output.line(format_args!("release key  {release_key}"));
            output.note("Compare that with an image that you have built yourself: `cargo xtask image`");
        });
        Ok(())
    }

    fn write(&self, text: &str) -> Result<(), CliError> {
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        public_file::write(&self.out, text, existing).map_err(|error| {
            let next = "`--out` takes another name, `--force` replaces what is there";
            CliError::operators_file(&self.out, error, next)
        })
    }

    fn image(&self) -> Result<ImageRegisters, CliError> {
        let next = "`cargo xtask image` writes it, beside the image";
        let text = fs::read_to_string(&self.pcrs).map_err(|error| CliError::operators_file(&self.pcrs, error, next))?;
        ImageRegisters::parse(&text).map_err(|error| CliError::operators_file(&self.pcrs, error, next))
    }
}

fn registers(approval: &Approval) -> impl Iterator<Item = (String, serde_json::Value)> {
    approval.pcrs().iter().map(|(register, value)| (register.to_string(), hex::encode(value).into()))
}
