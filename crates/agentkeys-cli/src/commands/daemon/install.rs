use std::path::PathBuf;

use agentkeys_client::{StoreChoice, StoreKey};
use clap::Args;
use serde::Serialize;
use tokio::process::Command;

use super::service::{Job, Service};
use crate::{
    commands::{agent, code::confirm},
    context::Context,
    edits::print,
    error::CliError,
    output::Output,
    text_file::TextFile,
};

/// The flags of `agentkeys daemon install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// End it, and remove its files
    #[arg(long, conflicts_with_all = ["print", "session_key"])]
    uninstall: bool,

    /// Print the files instead of writing them
    #[arg(long)]
    print: bool,

    /// Do not ask whether the change is meant
    #[arg(long, short)]
    yes: bool,

    /// The file with the key of the session file, where systemd is to hand that over
    #[arg(long, value_name = "PATH")]
    session_key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    installed: bool,
    changed: Vec<PathBuf>,
    /// Whether the service manager has taken it over.
    taken_over: bool,
    /// What is left to be done by hand where it has not.
    commands: Vec<String>,
}

/// A file as it is, and as it is to be.
struct Change {
    path: PathBuf,
    file: TextFile,
    after: Option<String>,
}

impl InstallArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        if self.uninstall {
            return self.uninstall(&Service::of(context), context, output).await;
        }
        self.check_storage(context)?;
        check_work(context)?;
        let session_key = self.session_key.as_ref().map(std::path::absolute).transpose()?;
        let service = Service::running(&Job::of(context, session_key)?, context);
        if self.print {
            for (path, text) in &service.files {
                output.raw(format!("# {}\n{text}\n", path.display()).as_bytes());
            }
            return Ok(());
        }
        let changes = changes(&service, true)?;
        if !self.is_meant(&changes, context, output).await? {
            output.line("Nothing was changed.");
            return Ok(());
        }
        let is_first = changes.iter().all(|change| change.file.text().is_none());
        if is_first && context.daemon().stop().await.is_ok() {
            output.note("The daemon that ran here has ended: the service takes its place.");
        }
        for change in &changes {
            change.file.replace(change.after.as_deref())?;
        }
        let is_new = !changes.is_empty();
        if is_new && cfg!(target_os = "macos") {
            // It takes no second one of the same name.
            run_all(&service.stop).await;
        }
        let taken_over = run_all(&service.start).await;
        let commands = if taken_over { Vec::new() } else { lines(&service.start) };
        let written = changes.into_iter().map(|change| change.path).collect();
        let document = Document { installed: true, changed: written, taken_over, commands };
        output.result(&document, |output| {
            for path in &document.changed {
                output.done(format_args!("{} is written", path.display()));
            }
            match (taken_over, is_new) {
                (true, true) => output.done("The daemon runs from the first request on"),
                (true, false) => output.line("It is installed already."),
                (false, _) => document.tell_what_is_left(output),
            }
        });
        if taken_over && is_new && !is_first {
            output.note(format_args!(
                "One that runs goes on as it was; it takes the change after: {} daemon stop",
                context.command()
            ));
        }
        Ok(())
    }

    async fn uninstall(&self, service: &Service, context: &Context, output: &Output) -> Result<(), CliError> {
        let changes = changes(service, false)?;
        if changes.is_empty() {
            let document = Document { installed: false, changed: Vec::new(), taken_over: true, commands: Vec::new() };
            output.result(&document, |output| output.line("It is not installed."));
            return Ok(());
        }
        if !self.is_meant(&changes, context, output).await? {
            output.line("Nothing was changed.");
            return Ok(());
        }
        let mut taken_over = run_all(&service.stop).await;
        for change in &changes {
            change.file.replace(change.after.as_deref())?;
        }
        taken_over &= run_all(&service.forget).await;
        let commands = if taken_over { Vec::new() } else { lines(&[&service.stop[..], &service.forget].concat()) };
        let written = changes.into_iter().map(|change| change.path).collect();
        let document = Document { installed: false, changed: written, taken_over, commands };
        output.result(&document, |output| {
            for path in &document.changed {
                output.done(format_args!("{} is removed", path.display()));
            }
            if !taken_over {
                document.tell_what_is_left(output);
            }
        });
        Ok(())
    }

    /// That a service can open the session.
    fn check_storage(&self, context: &Context) -> Result<(), CliError> {
        let command = context.command();
        let fault = match (context.storage.choice(), context.storage.key(), &self.session_key) {
            (StoreChoice::Memory, _, _) => {
                format!("a service finds no session in memory: `{command} init` keeps it elsewhere")
            }
            (_, Some(StoreKey::Passphrase), _) => format!(
                "a service cannot ask for a passphrase: sign in with `{command} init --store file --store-key systemd`, or with \
                 `--store-key kernel`"
            ),
            (_, Some(StoreKey::Systemd), None) => {
                "systemd must hand over the key of the session file: say where it is by `--session-key PATH`".to_owned()
            }
            _ => return Ok(()),
        };
        Err(CliError::Usage(fault))
    }

    async fn is_meant(&self, changes: &[Change], context: &Context, output: &Output) -> Result<bool, CliError> {
        for Change { path, file, after } in changes {
            print(output, path, file.text(), after.as_deref());
        }
        if self.yes || changes.is_empty() {
            return Ok(true);
        }
        confirm("Write that?", context.no_input, output).await
    }
}

impl Document {
    fn tell_what_is_left(&self, output: &Output) {
        output.line("No service manager answered here. In a session that has one:");
        for command in &self.commands {
            output.line(format_args!("  {command}"));
        }
    }
}

/// That there is something to serve.
fn check_work(context: &Context) -> Result<(), CliError> {
    let (aws, daemon) = (&context.settings.aws, &context.settings.daemon);
    if aws.roles().is_empty() && daemon.token_files.is_empty() && agent::read(context)?.agents.is_empty() {
        return Err(CliError::NoRole { config: context.places.config_file() });
    }
    Ok(())
}

/// The files that are not as they should be. One that somebody else wrote is not touched.
fn changes(service: &Service, is_to_be: bool) -> Result<Vec<Change>, CliError> {
    let mut changes = Vec::new();
    for (path, text) in &service.files {
        let file = TextFile::open(path)?;
        if file.text().is_some_and(|before| !before.contains(Service::MARK)) {
            let message = format!("`{}` was not written by this command: move it away first", path.display());
            return Err(CliError::Usage(message));
        }
        let after = is_to_be.then(|| text.clone());
        if file.text() != after.as_deref() {
            changes.push(Change { path: path.clone(), file, after });
        }
    }
    Ok(changes)
}

/// Runs one after the other while they do what they should; whether all did.
async fn run_all(commands: &[Vec<String>]) -> bool {
    for command in commands {
        let Some((program, arguments)) = command.split_first() else { continue };
        match Command::new(program).args(arguments).output().await {
            Ok(ended) if ended.status.success() => {}
            _ => return false,
        }
    }
    true
}

fn lines(commands: &[Vec<String>]) -> Vec<String> {
    commands.iter().map(|words| words.join(" ")).collect()
}
