use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};

use crate::{cli::Cli, error::CliError, output::Output};

/// The flags of `agentkeys man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for every command into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl ManArgs {
    pub(crate) fn run(&self, output: &Output) -> Result<(), CliError> {
        let command = Cli::command();
        let Some(folder) = &self.out else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            output.raw(&page);
            return Ok(());
        };
        let failed = |source| CliError::File { context: format!("`{}` cannot be written", folder.display()), source };
        fs::create_dir_all(folder).map_err(failed)?;
        clap_mangen::generate_to(command, folder).map_err(failed)
    }
}
