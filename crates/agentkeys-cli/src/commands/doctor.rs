//! `agentkeys doctor`: one file for each thing that is looked at.

mod agents;
mod broker;
mod clock;
mod daemon;
mod finding;
mod leaks;
mod memory;
mod openid;
mod role;
mod service;
mod session;
mod signer;
mod store;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::Serialize;

use self::finding::{Finding, Status};
use crate::{context::Context, output::Output};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The flags of `agentkeys doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The history of the shell that calls, if it is kept in another place than usual
    #[arg(long, env = "HISTFILE", hide = true, value_name = "PATH")]
    histfile: Option<PathBuf>,
}

/// All that was found, as a program reads it.
#[derive(Serialize)]
struct Report {
    checks: Vec<Finding>,
    ok: bool,
}

impl DoctorArgs {
    /// Looks at everything, whatever else fails, and gives the code of the first failure.
    pub(crate) async fn run(self, context: &Context, output: &Output) -> u8 {
        let (clock, broker, ready, discovery, keys, signer, store, session, daemon, leaks, service, agents) = tokio::join!(
            limited("clock", clock::check(context)),
            limited("broker", broker::check_reachable(context)),
            limited("ready", broker::check_ready(context)),
            limited("discovery", openid::check_discovery(context)),
            limited("keys", openid::check_keys(context)),
            limited("signer", signer::check(context)),
            limited("store", store::check(context)),
            limited("session", session::check(context)),
            limited("daemon", daemon::check(context)),
            limited("leaks", leaks::check(context, self.histfile)),
            limited("service", service::check(context)),
            limited("agents", agents::check(context)),
        );
        let (memory, role) = (memory::check(), role::check(context));
        let connection = [clock, broker, ready, discovery, keys, signer, store, session];
        let checks: Vec<Finding> =
            connection.into_iter().chain([memory, role, daemon, service, agents, leaks]).collect();
        let first = checks.iter().find(|finding| finding.status() == Status::Failure);
        let code = first.map_or(0, Finding::exit);
        let report = Report { checks, ok: code == 0 };
        output.result(&report, |output| report.checks.iter().for_each(|finding| finding.print(output)));
        code
    }
}

async fn limited(name: &'static str, check: impl Future<Output = Finding>) -> Finding {
    within(LIMIT, name, check).await
}

async fn within(limit: Duration, name: &'static str, check: impl Future<Output = Finding>) -> Finding {
    tokio::time::timeout(limit, check).await.unwrap_or_else(|_| Finding::timed_out(name, limit))
}

#[cfg(test)]
mod tests {
    use agentkeys_client::Exit;

    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_is_a_failure_of_its_own() {
        let finding = within(Duration::ZERO, "clock", std::future::pending()).await;

        assert_eq!((finding.status(), finding.exit()), (Status::Failure, Exit::Unreachable.code()));
    }
}
