use agentkeys_client::{Conformance, Exit, Flow, Outcome, ServerUrl, SpareSessions};
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
        // Sessions that must be refused take another sign-in, which is a person's to make.
        let conformance = Conformance::check(&flow, &session, SpareSessions::default()).await?;
        output.result(&conformance, |output| print(&conformance, output));
        Ok(if conformance.passed() { Exit::Ok.code() } else { Exit::Other.code() })
    }
}

fn print(conformance: &Conformance, output: &Output) {
    let mut group = "";
    for checked in &conformance.checks {
        if checked.group != group {
            group = checked.group;
            output.line(group);
        }
        match &checked.outcome {
            Outcome::Passed => output.done(checked.check),
            Outcome::Failed { reason } => output.failed(format_args!("{}\n  {reason}", checked.check)),
            Outcome::LeftOut { reason } => output.line(format_args!("- {}\n  left out: {reason}", checked.check)),
        }
    }
    let (failed, left_out) = (conformance.failures().count(), conformance.left_out().count());
    let total = conformance.checks.len();
    output.line(format_args!("{} checks of {}: {failed} failed, {left_out} left out", total, conformance.signer));
}
