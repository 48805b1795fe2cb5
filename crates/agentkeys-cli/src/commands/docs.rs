use std::fmt::Write;

use clap::{Arg, Command, CommandFactory, Subcommand};

use crate::{cli::Cli, output::Output};

/// The pages of the reference that this program knows.
#[derive(Debug, Subcommand)]
pub(crate) enum DocsCommand {
    /// All commands, as Markdown
    Commands,
}

impl DocsCommand {
    pub(crate) fn run(&self, output: &Output) {
        let Self::Commands = self;
        output.raw(commands_page().as_bytes());
    }
}

fn commands_page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = "# Commands\n".to_owned();
    write_command(&mut page, &root, root.get_name());
    page
}

fn write_command(page: &mut String, command: &Command, path: &str) {
    let is_root = !path.contains(' ');
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## `{path}`\n\n{about}.\n");
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = write!(page, "\nAlso: {}.\n", aliases.join(", "));
    }
    let usage = command.clone().render_usage().to_string();
    let _ = write!(page, "\n```\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    // What every command takes stands once, at the top.
    let shown = |arg: &&Arg| !arg.is_hide_set() && (is_root || !arg.is_global_set()) && arg.get_id() != "help";
    let args: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    if !args.is_empty() {
        page.push_str("\n| argument | meaning |\n|---|---|\n");
        for arg in args {
            let _ = writeln!(page, "| {} | {} |", name(arg), meaning(arg));
        }
    }
    for subcommand in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        write_command(page, subcommand, &format!("{path} {}", subcommand.get_name()));
    }
}

fn name(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let values = arg.get_value_names().unwrap_or_default();
    let takes_one = arg.get_action().takes_values();
    let value = values.first().filter(|_| takes_one).map(|value| format!("<{value}>")).unwrap_or_default();
    match arg.get_long() {
        Some(long) if value.is_empty() => format!("{short}`--{long}`"),
        Some(long) => format!("{short}`--{long} {value}`"),
        None => format!("`{value}`"),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, ": {}", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(text, " (default {})", defaults.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, "; `{}`", variable.to_string_lossy());
    }
    text
}
