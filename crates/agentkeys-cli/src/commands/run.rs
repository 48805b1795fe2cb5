mod door;
mod endpoint;
mod private_folder;

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use self::door::OpenDoor;
use crate::{
    child::{self, Environment, Signals},
    context::Context,
    dispensary::RoleArgs,
    error::CliError,
};

/// The flags of `agentkeys run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    role: RoleArgs,

    /// How the program gets its credentials
    #[arg(long, value_enum, default_value_t, value_name = "DOOR")]
    door: Door,

    /// Start it with PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_*, TERM, TZ and TMPDIR alone
    #[arg(long)]
    clean_env: bool,

    /// Another variable that stays in a clean environment
    #[arg(long, requires = "clean_env", value_name = "NAME")]
    keep: Vec<OsString>,

    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How a program gets its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Door {
    /// From an address of this machine, fresh each time, for as long as it runs
    #[default]
    Endpoint,
    /// As variables, which are good for some minutes
    Environment,
    /// By a file with a web-identity JWT, which is kept fresh for as long as it runs
    WebIdentity,
}

impl RunArgs {
    /// Runs the program; gives its exit code.
    pub(crate) async fn run(&self, context: &Context) -> Result<u8, CliError> {
        let mut signals = Signals::listen()?;
        let mut door = tokio::select! {
            door = self.open(context) => door?,
            code = signals.asked_to_end() => return Ok(code),
        };
        let inherited = Environment::inherited();
        let inherited = if self.clean_env { inherited.cleaned(&self.keep) } else { inherited };
        let program = child::run(&self.command, inherited.with(door.take_variables()), signals);
        tokio::select! {
            code = program => Ok(code?),
            never = door.keep_open() => match never {},
        }
    }

    async fn open(&self, context: &Context) -> Result<OpenDoor, CliError> {
        match self.door {
            Door::Endpoint => OpenDoor::endpoint(&self.role, context).await,
            Door::Environment => OpenDoor::environment(&self.role, context).await,
            Door::WebIdentity => OpenDoor::web_identity(&self.role, context).await,
        }
    }
}
