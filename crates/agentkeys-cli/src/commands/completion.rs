use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, output::Output};

/// The flags of `agentkeys completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionArgs {
    pub(crate) fn run(&self, output: &Output) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "agentkeys", &mut script);
        output.raw(&script);
    }
}
