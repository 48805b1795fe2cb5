use agentkeys_daemon::{HandOut, Outcome, read_last};
use clap::Args;
use serde::Serialize;

use crate::{commands::agent::shown, context::Context, error::CliError, output::Output};

/// The flags of `agentkeys daemon log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// How many lines, of the newest ones
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    last: usize,
}

#[derive(Serialize)]
struct Document {
    entries: Vec<HandOut>,
}

impl LogArgs {
    pub(super) fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let path = context.places.hand_outs(&context.profile);
        let unreadable = |source| CliError::File { context: format!("cannot read `{}`", path.display()), source };
        let entries = read_last(&path, self.last).map_err(unreadable)?;
        let document = Document { entries };
        output.result(&document, |output| {
            if document.entries.is_empty() {
                output.line("Nothing has been handed out yet.");
            }
            document.entries.iter().for_each(|entry| output.line(line(entry)));
        });
        Ok(())
    }
}

fn line(entry: &HandOut) -> String {
    let door = word(&entry.door);
    let whose = entry.agent.as_ref().map_or_else(|| "person".to_owned(), |agent| format!("agent {agent}"));
    let what = match (&entry.role, &entry.audience) {
        (Some(role), _) => format!("role {role}"),
        (None, Some(audience)) => format!("JWT for {audience}"),
        (None, None) => "nothing by name".to_owned(),
    };
    let came = match &entry.outcome {
        Outcome::HandedOut => match (&entry.access_key_id, &entry.token_digest) {
            (Some(id), _) | (None, Some(id)) => format!("handed out {}", shown(id)),
            (None, None) => "handed out".to_owned(),
        },
        Outcome::Refused(code) => format!("refused: {code}"),
    };
    let who = match (entry.pid, &entry.executable) {
        (Some(pid), Some(program)) => format!(", to {} ({pid})", shown(program)),
        (Some(pid), None) => format!(", to process {pid}"),
        _ => String::new(),
    };
    format!("{}  {door:<12}  {whose}  {what}  {came}{who}", entry.at)
}

/// As it stands in the record.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map(str::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_went_to_whom_and_moves_no_cursor() {
        let entry = |json: &str| serde_json::from_str::<HandOut>(json).unwrap();

        let given = entry(
            r#"{"at":"2026-12-22T10:00:00Z","door":"agent-socket","outcome":"handed_out","agent":"claude","role":"default",
            "access_key_id":"ASIA1","uid":1000,"pid":7,"executable":"/bin/a\u001b[2J"}"#,
        );
        let refused = entry(r#"{"at":"2026-12-22T10:00:00Z","door":"endpoint","outcome":{"refused":"token_invalid"}}"#);

        assert_eq!(
            line(&given),
            "2026-12-22T10:00:00Z  agent-socket  agent claude  role default  handed out ASIA1, to /bin/a[2J (7)"
        );
        assert_eq!(
            line(&refused),
            "2026-12-22T10:00:00Z  endpoint      person  nothing by name  refused: token_invalid"
        );
    }
}
