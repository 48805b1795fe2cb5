use agentkeys_api::{DaemonState, DaemonStatus};

use crate::{context::Context, error::CliError, output::Output};

/// `agentkeys daemon status`
pub(super) async fn run(context: &Context, output: &Output) -> Result<(), CliError> {
    let status = context.daemon().status().await?;
    output.result(&status, |output| print(&status, output));
    Ok(())
}

/// For a person.
pub(crate) fn in_words(state: DaemonState) -> &'static str {
    match state {
        DaemonState::Idle => "idle",
        DaemonState::Ready => "ready",
        DaemonState::Retrying => "retrying",
        DaemonState::SignInNeeded => "sign-in needed",
        DaemonState::Starting => "starting",
    }
}

fn print(status: &DaemonStatus, output: &Output) {
    output.line(format_args!("profile      {}", status.profile));
    output.line(format_args!("state        {}", in_words(status.state)));
    if status.pid != 0 {
        output.line(format_args!("process      {}, version {}", status.pid, status.version));
    }
    if let Some(account) = status.account {
        output.line(format_args!("account      {account}"));
    }
    if let Some(wallet) = status.wallet {
        output.line(format_args!("wallet       {wallet}"));
    }
    if let Some(endpoint) = &status.endpoint {
        output.line(format_args!("endpoint     {endpoint}"));
    }
    if let (Some(end), true) = (status.credentials_expire_at, status.roles.is_empty()) {
        output.line(format_args!("credentials  until {end}"));
    }
    for kept in &status.roles {
        let whose = kept.agent.as_ref().map(|agent| format!(" for agent {agent}")).unwrap_or_default();
        let end = kept.expires_at.map_or_else(|| "none at hand".to_owned(), |end| format!("until {end}"));
        output.line(format_args!("credentials  {}{whose}: {end}", kept.role));
        if let Some(error) = &kept.last_error {
            output.line(format_args!("             {error}"));
        }
    }
    for agent in &status.agents {
        output.line(format_args!("agent        {agent}"));
    }
    if let Some(error) = &status.last_error {
        output.line(format_args!("last error   {error}"));
    }
    if let Some(notice) = &status.notice {
        output.line(format_args!("notice       {notice}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::recorded;

    #[test]
    fn everything_that_is_kept_has_its_line() {
        let (output, results, _) = recorded(false);
        let status = serde_json::from_value(serde_json::json!({
            "profile": "default", "state": "ready", "account": null, "wallet": null, "last_error": null,
            "credentials_expire_at": "2026-12-22T10:00:00Z", "pid": 7, "version": "0.1.0",
            "roles": [
                {"role": "default", "expires_at": "2026-12-22T10:00:00Z", "last_error": null},
                {"role": "deploy", "agent": "claude", "expires_at": null, "last_error": "no broker answered"},
            ],
            "agents": ["claude"],
        }));

        print(&status.unwrap(), &output);

        assert_eq!(
            results.text(),
            "profile      default\nstate        ready\nprocess      7, version 0.1.0\n\
             credentials  default: until 2026-12-22T10:00:00Z\ncredentials  deploy for agent claude: none at hand\n             \
             no broker answered\nagent        claude\n"
        );
    }
}
