use agentkeys_client::{Checked, Conformance, Exit, Flow, Outcome, ServerUrl, SpareSessions};
use clap::Args;

use crate::{context::Context, error::CliError, output::Output};

/// The flags of `agentkeys signer conformance`.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// The signer to check, if it is another than that of the settings
    #[arg(long, value_name = "URL")]
    url: Option<ServerUrl>,
}

impl ConformanceArgs {
    /// Makes every check that the signed-in session allows; the code to exit with says whether all passed.
    pub(crate) async fn run(self, context: &Context, output: &Output) -> Result<u8, CliError> {
        let session = context.session().await?;
        let url = self.url.unwrap_or_else(|| context.settings.signer_url.clone());
        let flow = Flow::new(&context.http, context.settings.broker_url.clone(), context.signer_at(url)?);
        let mut report = Report { output, group: "" };
        // Sessions that must be refused take another sign-in, which is a person's to make.
        let spare = SpareSessions::default();
        let conformance = Conformance::check_and_show(&flow, &session, spare, |checked| report.show(checked)).await?;
        output.result(&conformance, |output| sum_up(&conformance, output));
        Ok(if conformance.passed() { Exit::Ok.code() } else { Exit::Other.code() })
    }
}

/// What a person reads while the checks are made.
struct Report<'o> {
    output: &'o Output,
    group: &'static str,
}

impl Report<'_> {
    fn show(&mut self, checked: &Checked) {
        if checked.group != self.group {
            self.group = checked.group;
            self.output.line(self.group);
        }
        match &checked.outcome {
            Outcome::Passed => self.output.done(checked.check),
            Outcome::Failed { reason } => self.output.failed(format_args!("{}\n  {reason}", checked.check)),
            Outcome::LeftOut { reason } => self.output.line(format_args!("- {}\n  left out: {reason}", checked.check)),
        }
    }
}

fn sum_up(conformance: &Conformance, output: &Output) {
    let (failed, left_out) = (conformance.failures().count(), conformance.left_out().count());
    let total = conformance.checks.len();
    output.line(format_args!("{} checks of {}: {failed} failed, {left_out} left out", total, conformance.signer));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::recorded;

    #[test]
    fn each_check_is_printed_when_it_was_made_and_a_program_reads_none_of_that() {
        let checks = [
            ("gate", "one", Outcome::Passed),
            ("gate", "two", Outcome::Failed { reason: "not so".to_owned() }),
            ("log", "three", Outcome::LeftOut { reason: "no log".to_owned() }),
        ];
        let [(person, seen, _), (program, read, _)] = [recorded(false), recorded(true)];
        let mut printed = Vec::new();
        let mut reports = [&person, &program].map(|output| Report { output, group: "" });

        for (group, check, outcome) in checks {
            for report in &mut reports {
                report.show(&Checked { group, check, outcome: outcome.clone() });
            }
            printed.push(seen.text().lines().count());
        }

        assert_eq!(printed, [2, 4, 7]);
        assert_eq!(seen.text(), "gate\n✓ one\n✗ two\n  not so\nlog\n- three\n  left out: no log\n");
        assert_eq!(read.text(), "");
    }
}
