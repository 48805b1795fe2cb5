use std::{fmt::Display, path::Path, time::Duration};

use agentkeys_mock_server::AwsConfig;
use agentkeys_types::EvmAddress;

use super::{state::State, system::System};
use crate::output::Output;

/// What a person sees. It stands on stderr where stdout belongs to a program.
#[derive(Clone, Copy)]
pub(super) struct Screen<'o> {
    output: &'o Output,
    is_aside: bool,
}

impl<'o> Screen<'o> {
    pub(super) fn new(output: &'o Output, is_aside: bool) -> Self {
        Self { output, is_aside }
    }

    pub(super) fn header(self, notes: &[String], system: &System, state: &State) {
        self.line("agentkeys dev — everything on this machine, for development only\n");
        for note in notes {
            self.line(format_args!("  {note}"));
        }
        let part = |name: &str, url: &str, what: &str| self.line(format!("  {name:<14}{url:<26}{what}").trim_end());
        part("broker", &system.broker_at(), &format!("store  {}", from_home(&state.database())));
        part("signer (DEV)", &system.signer_at(), "holds a throw-away key: keep no funds on it");
        part("mailbox", &format!("{}/mail", system.signer_at()), "");
        part("AWS stand-in", &system.aws_at(), "STS that verifies our OIDC JWT, S3 that enforces the session tags");
        self.line("");
    }

    /// A step of the walk: what was done, what more there is to say, how long it took.
    pub(super) fn step(self, is_done: bool, number: u8, what: &str, remark: &str, elapsed: Duration) {
        let mark = self.output.mark(is_done, self.is_aside);
        let milliseconds = elapsed.as_secs_f64() * 1e3;
        let took = if milliseconds < 10.0 { format!("{milliseconds:.1} ms") } else { format!("{milliseconds:.0} ms") };
        self.line(format_args!("{mark} {number} {what:<43} {remark:<44} {took:>8}"));
    }

    /// A line beyond the steps.
    pub(super) fn check(self, is_done: bool, what: &str, detail: &str) {
        let mark = self.output.mark(is_done, self.is_aside);
        self.line(format_args!("{mark}   {what:<15} {detail}"));
    }

    pub(super) fn footer(self, program: &str, wallet: &EvmAddress) {
        self.line("\nTry it in another terminal:");
        self.line(format_args!(
            "  eval \"$({program} --profile dev aws export)\"; aws s3 ls s3://{}/bots/{}/",
            AwsConfig::DEFAULT_BUCKET,
            wallet.to_lowercase()
        ));
        self.line("Ctrl-C stops it.");
    }

    pub(super) fn line(self, text: impl Display) {
        if self.is_aside { self.output.note(text) } else { self.output.line(text) }
    }

    /// The one document of `--json`, where stdout is ours.
    pub(super) fn document(self, document: &impl serde::Serialize) {
        if self.output.is_json() && !self.is_aside {
            self.output.document(document);
        }
    }
}

/// As people write paths below their home.
fn from_home(path: &Path) -> String {
    let below = std::env::home_dir().and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned));
    below.map_or_else(|| path.display().to_string(), |below| format!("~/{}", below.display()))
}
