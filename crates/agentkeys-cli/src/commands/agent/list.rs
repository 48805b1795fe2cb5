use std::collections::BTreeSet;

use agentkeys_api::{AgentView, Audience};
use agentkeys_client::{Agent, AgentPages};
use agentkeys_types::{AgentName, RoleName, Timestamp};
use serde::Serialize;

use super::{end, joined};
use crate::{context::Context, error::CliError, output::Output};

#[derive(Serialize)]
struct Document {
    agents: Vec<Row>,
}

/// An agent as the broker and this machine know it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) name: AgentName,
    /// Those that it may have on this machine.
    pub(super) roles: BTreeSet<RoleName>,
    /// Those that it may have JWTs for by itself on this machine.
    pub(super) audiences: BTreeSet<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
    at_broker: bool,
    on_this_machine: bool,
    /// What keeps it from getting something here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
}

/// `agentkeys agent list`
pub(super) async fn run(context: &Context, output: &Output) -> Result<(), CliError> {
    let pages = super::read(context)?;
    let session = context.session().await?;
    let known = context.broker().agents(&session).await?.agents;
    let document = Document { agents: rows(context, &known, &pages) };
    output.result(&document, |output| print(&document.agents, context.clock.now(), output));
    Ok(())
}

/// The agents that the broker or the book knows, by name.
pub(super) fn rows(context: &Context, known: &[AgentView], pages: &AgentPages) -> Vec<Row> {
    let names: BTreeSet<&AgentName> = known.iter().map(|agent| &agent.name).chain(pages.agents.keys()).collect();
    let has_role = |role: &RoleName| context.settings.aws.role(role).is_some();
    let row = |name: &AgentName| {
        let known = known.iter().find(|agent| agent.name == *name);
        Row::of(name, known, pages.agents.get(name), has_role, context.clock.now())
    };
    names.into_iter().map(row).collect()
}

impl Row {
    fn of(
        name: &AgentName,
        known: Option<&AgentView>,
        here: Option<&Agent>,
        has_role: impl Fn(&RoleName) -> bool,
        now: Timestamp,
    ) -> Self {
        let expires_at = known.map_or_else(|| here.and_then(|here| here.expires_at), |known| known.expires_at);
        let mut missing = Vec::new();
        if known.is_none() {
            missing.push("the broker does not know it (any more)".to_owned());
        }
        match here {
            None => missing.push(format!("nothing is set on this machine: agent create {name}")),
            Some(here) => {
                let roles = here.roles.iter().filter(|role| !has_role(role));
                missing.extend(roles.map(|role| format!("the settings have no role `{role}`")));
                let minted = known.map(|known| &known.audiences.0);
                let lacks = |audience: &&Audience| minted.is_some_and(|minted| !minted.contains(*audience));
                let audiences = here.audiences.iter().filter(lacks);
                missing.extend(audiences.map(|audience| format!("the broker mints it no JWTs for `{audience}`")));
                if !here.roles.is_empty()
                    && lacks(&&Audience::aws_sts())
                    && !here.audiences.contains(&Audience::aws_sts())
                {
                    missing.push("the broker mints it no JWTs for its roles".to_owned());
                }
            }
        }
        if expires_at.is_some_and(|end| now >= end) {
            missing.push("its time is over".to_owned());
        }
        Self {
            name: name.clone(),
            roles: here.map(|here| here.roles.clone()).unwrap_or_default(),
            audiences: here.map(|here| here.audiences.clone()).unwrap_or_default(),
            expires_at,
            at_broker: known.is_some(),
            on_this_machine: here.is_some(),
            missing,
        }
    }
}

fn print(rows: &[Row], now: Timestamp, output: &Output) {
    if rows.is_empty() {
        return output.line("No agents yet: `agentkeys agent create NAME` makes one.");
    }
    let cells = rows
        .iter()
        .map(|row| [row.name.to_string(), joined(&row.roles), joined(&row.audiences), end(row.expires_at, now)]);
    let table: Vec<[String; 4]> =
        [["NAME", "ROLES", "AUDIENCES", "ENDS"].map(str::to_owned)].into_iter().chain(cells).collect();
    let width = |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
    let [name, roles, audiences] = [width(0), width(1), width(2)];
    for (index, cells) in table.iter().enumerate() {
        let [first, second, third, last] = cells;
        output.line(format_args!("{first:<name$}  {second:<roles$}  {third:<audiences$}  {last}"));
        for lack in index.checked_sub(1).map(|index| &rows[index].missing).into_iter().flatten() {
            output.line(format_args!("  ! {lack}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use agentkeys_api::Audiences;

    use super::*;
    use crate::output::tests::recorded;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn here(role: &str) -> Agent {
        Agent {
            roles: BTreeSet::from([role.parse().unwrap()]),
            audiences: Audiences::default().0,
            created_at: NOW,
            expires_at: None,
            token_file: None,
        }
    }

    fn known(name: &str, expires_at: Option<Timestamp>) -> AgentView {
        AgentView { name: name.parse().unwrap(), audiences: Audiences::default(), created_at: NOW, expires_at }
    }

    fn row(name: &str, known: Option<&AgentView>, here: Option<&Agent>) -> Row {
        Row::of(&name.parse().unwrap(), known, here, RoleName::is_default, NOW)
    }

    #[test]
    fn what_keeps_an_agent_from_something_is_told() {
        let (claude, over) = (known("claude", None), known("claude", Some(NOW)));

        assert_eq!(row("claude", Some(&claude), Some(&here("default"))).missing, Vec::<String>::new());
        assert!(row("claude", None, Some(&here("default"))).missing[0].contains("the broker does not know it"));
        assert!(row("claude", Some(&claude), None).missing[0].contains("agent create claude"));
        assert_eq!(row("claude", Some(&claude), Some(&here("deploy"))).missing, ["the settings have no role `deploy`"]);
        let other = AgentView { audiences: Audiences(["vault".parse().unwrap()].into()), ..known("claude", None) };
        assert_eq!(
            row("claude", Some(&other), Some(&here("default"))).missing,
            ["the broker mints it no JWTs for `sts.amazonaws.com`"]
        );
        let without = Agent { audiences: BTreeSet::new(), ..here("default") };
        assert_eq!(row("claude", Some(&other), Some(&without)).missing, ["the broker mints it no JWTs for its roles"]);
        assert_eq!(row("claude", Some(&over), Some(&here("default"))).missing, ["its time is over"]);
    }

    #[test]
    fn a_table_lines_up() {
        let (output, results, _) = recorded(false);
        let rows = [
            row("ci", Some(&known("ci", None)), Some(&here("default"))),
            row("claude", Some(&known("claude", None)), None),
        ];

        print(&rows, NOW, &output);

        assert_eq!(
            results.text(),
            "NAME    ROLES    AUDIENCES          ENDS\n\
             ci      default  sts.amazonaws.com  never\n\
             claude  none     none               never\n  \
             ! nothing is set on this machine: agent create claude\n"
        );
    }
}
