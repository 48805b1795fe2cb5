use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{cli::Cli, error::CliError, failure::Failure, output::Output};

/// Logs to stderr: what a server does, what `-v` asks for, or what `AGENTKEYS_LOG` says.
pub(crate) fn start(cli: &Cli, output: &Output) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "read before anything else, like the flags")]
    let variable = std::env::var("AGENTKEYS_LOG").ok();
    let filter = variable.unwrap_or_else(|| level(cli).to_owned());
    let unusable = |_| CliError::Usage(format!("AGENTKEYS_LOG is not a log filter such as debug: `{filter}`"));
    let filter = EnvFilter::try_new(&filter).map_err(unusable).map_err(|error| Failure::of(&error, None))?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(output.colors_stderr()).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(repeats_no_messages)))).init();
    Ok(())
}

/// Whether a line is none of those in which rmcp repeats whole messages: a URL that is pre-signed stands in some.
fn repeats_no_messages(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || !metadata.target().starts_with("rmcp")
}

fn level(cli: &Cli) -> &'static str {
    match (cli.global.verbose, cli.command.is_server()) {
        (0, false) => "off",
        (0, true) | (1, false) => "info",
        (1, true) | (2, _) => "debug",
        _ => "trace",
    }
}
