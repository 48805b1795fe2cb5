#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use agentkeys_api::{AgentGrant, AgentView, Audience, Audiences};
use agentkeys_client::Agent;
use agentkeys_types::{AgentName, RoleName, Timestamp};
use clap::Args;
use serde::Serialize;

use super::{doors::Doors, end, joined};
use crate::{context::Context, duration, error::CliError, output::Output};

/// An end that is so much nearer or further than the one that is set is the same one.
const SAME: Duration = Duration::from_mins(1);

/// The flags of `agentkeys agent create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name, which goes into its JWTs and into AWS's logs: a-z, 0-9 and hyphen
    #[arg(value_name = "NAME")]
    name: AgentName,

    /// A role of the settings that it may have; `default` unless given; more by further flags
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,

    /// An audience that it may have JWTs for by itself; none unless given; more by further flags
    ///
    /// Its roles need none. With a JWT for `sts.amazonaws.com` it can assume every role that trusts the wallet.
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<Audience>,

    /// How long it may have them from now on, such as 30d; `never` for no end
    ///
    /// AWS credentials that it takes just before the end live on for their duration.
    #[arg(long, value_name = "DURATION")]
    expires: Option<Expiry>,

    /// Have the daemon keep a file with a JWT for it, for sts.amazonaws.com or `--token-file=AUDIENCE`
    ///
    /// With a JWT for sts.amazonaws.com it can assume every role that trusts the wallet, whatever `--role` says. What
    /// narrows that is the tag `agentkeys_agent` in the trust policy of a role.
    #[arg(
        long,
        value_name = "AUDIENCE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sts.amazonaws.com"
    )]
    token_file: Option<Audience>,

    /// Have the daemon keep no such file any more
    ///
    /// The audience of the file goes with it, unless `--audience` names it.
    #[arg(long, conflicts_with = "token_file")]
    no_token_file: bool,
}

/// When an agent is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    After(Duration),
    Never,
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            _ => match duration::parse(text)? {
                Duration::ZERO => Err("an agent that ends at once could not be used"),
                duration => Ok(Self::After(duration)),
            },
        }
    }
}

/// What an agent is to have; what is not said stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) name: AgentName,
    pub(crate) roles: BTreeSet<RoleName>,
    pub(crate) audiences: BTreeSet<Audience>,
    pub(crate) expires: Option<Expiry>,
    pub(crate) token_file: TokenFile,
}

/// Whether the daemon is to keep a file with a JWT for an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokenFile {
    /// As it is.
    #[default]
    Unchanged,
    /// One for this audience.
    For(Audience),
    /// None.
    None,
}

/// An agent as it is now.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) agent: Agent,
    pub(crate) is_new: bool,
    /// What is not as it was before, for a person.
    pub(crate) changes: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    name: &'a AgentName,
    #[serde(flatten)]
    agent: &'a Agent,
    created: bool,
    changes: &'a [String],
    doors: Doors,
}

impl CreateArgs {
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), CliError> {
        let token_file = match &self.token_file {
            Some(audience) => TokenFile::For(audience.clone()),
            None if self.no_token_file => TokenFile::None,
            None => TokenFile::Unchanged,
        };
        let wish = Wish {
            name: self.name.clone(),
            roles: self.roles.iter().cloned().collect(),
            audiences: self.audiences.iter().cloned().collect(),
            expires: self.expires,
            token_file,
        };
        let put = wish.fulfil(context, output).await?;
        let doors = Doors::of(context, &self.name, &put.agent);
        let document =
            Document { name: &self.name, agent: &put.agent, created: put.is_new, changes: &put.changes, doors };
        output.result(&document, |output| {
            put.print(&self.name, output);
            document.doors.print(output);
        });
        if !matches!(super::daemon_status(context).await, Ok(Some(_))) {
            let command = context.command();
            output.note(format_args!(
                "Its socket and its files are there while the daemon runs: {command} daemon install"
            ));
        }
        Ok(())
    }
}

impl Put {
    pub(crate) fn print(&self, name: &AgentName, output: &Output) {
        let roles = joined(&self.agent.roles);
        if self.is_new {
            let jwts = match &self.agent.audiences {
                none if none.is_empty() => "no JWTs of its own".to_owned(),
                audiences => format!("JWTs for {}", joined(audiences)),
            };
            output.done(format_args!("Agent {name} may have: roles {roles}; {jwts}"));
        } else if self.changes.is_empty() {
            output.line(format_args!("Agent {name} is so already."));
        } else {
            output.done(format_args!("Agent {name} changed"));
            for change in &self.changes {
                output.line(format_args!("  {change}"));
            }
        }
    }
}

impl Wish {
    /// Makes it so: at the broker, then in the book, then in the daemon, if one runs.
    pub(crate) async fn fulfil(self, context: &Context, output: &Output) -> Result<Put, CliError> {
        let before = super::read(context)?.agents.remove(&self.name);
        let now = context.clock.now();
        // Before anybody is asked for a passphrase.
        self.check_roles(context, before.as_ref())?;
        let session = context.session().await?;
        let broker = context.broker();
        let known = broker.agents(&session).await?.agents.into_iter().find(|agent| agent.name == self.name);
        let mut agent = self.agent(before.as_ref(), known.as_ref(), now)?;
        let audiences = self.granted(before.as_ref(), known.as_ref(), &agent);
        let is_so = |known: &&AgentView| known.audiences == audiences && known.expires_at == agent.expires_at;
        let view = if let Some(known) = known.as_ref().filter(is_so) {
            known.clone()
        } else {
            let grant = AgentGrant { audiences: Some(audiences), expires_at: agent.expires_at };
            broker.put_agent(&session, &self.name, &grant).await?
        };
        (agent.expires_at, agent.created_at) = (view.expires_at, view.created_at);
        super::change(context, |pages| pages.agents.insert(self.name.clone(), agent.clone()))?;
        super::reload_or_tell(context, output).await;
        let changes = changes(before.as_ref(), known.as_ref(), &agent, &view, now);
        Ok(Put { agent, is_new: before.is_none() && known.is_none(), changes })
    }

    fn check_roles(&self, context: &Context, before: Option<&Agent>) -> Result<(), CliError> {
        let default = BTreeSet::from([RoleName::default()]);
        let roles = match before {
            _ if !self.roles.is_empty() => &self.roles,
            Some(_) => return Ok(()),
            None => &default,
        };
        roles.iter().try_for_each(|role| check_role(context, role))
    }

    /// The agent as it is to be on this machine.
    fn agent(&self, before: Option<&Agent>, known: Option<&AgentView>, now: Timestamp) -> Result<Agent, CliError> {
        let roles = match before {
            _ if !self.roles.is_empty() => self.roles.clone(),
            Some(before) => before.roles.clone(),
            None => BTreeSet::from([RoleName::default()]),
        };
        let token_file = match &self.token_file {
            TokenFile::For(audience) => Some(audience.clone()),
            TokenFile::None => None,
            TokenFile::Unchanged => before.and_then(|before| before.token_file.clone()),
        };
        let audiences = self.audiences(before, known, token_file.as_ref());
        let end = known.map_or_else(|| before.and_then(|before| before.expires_at), |known| known.expires_at);
        let expires_at = match self.expires {
            Some(Expiry::Never) => None,
            Some(Expiry::After(duration)) => {
                let asked = now.after(duration);
                let is_same = |end: &Timestamp| end.since(asked).max(asked.since(*end)) <= SAME;
                Some(end.filter(is_same).unwrap_or(asked))
            }
            None => end,
        };
        if let Some(end) = expires_at.filter(|end| now >= *end) {
            let message =
                format!("the time of agent `{}` is over since {end}: say for how long with `--expires`", self.name);
            return Err(CliError::Usage(message));
        }
        Ok(Agent { roles, audiences, created_at: now, expires_at, token_file })
    }
}

impl Wish {
    /// The audiences that the agent may have JWTs for by itself: those that a person named, and that of its file.
    fn audiences(
        &self,
        before: Option<&Agent>,
        known: Option<&AgentView>,
        token_file: Option<&Audience>,
    ) -> BTreeSet<Audience> {
        let mut audiences = match (before, known) {
            _ if !self.audiences.is_empty() => self.audiences.clone(),
            // What was taken away elsewhere does not come back by this.
            (Some(before), Some(known)) => &before.audiences & &known.audiences.0,
            (Some(before), None) => before.audiences.clone(),
            // The one of AWS may be there for the roles alone.
            (None, Some(known)) => &known.audiences.0 - &Audiences::default().0,
            (None, None) => BTreeSet::new(),
        };
        let former = before.and_then(|before| before.token_file.as_ref()).filter(|_| self.audiences.is_empty());
        if let Some(former) = former {
            audiences.remove(former);
        }
        audiences.extend(token_file.cloned());
        audiences
    }

    /// The audiences that the broker is to mint JWTs of the agent for: also what the daemon needs for its roles, and
    /// what it has on other machines.
    fn granted(&self, before: Option<&Agent>, known: Option<&AgentView>, agent: &Agent) -> Audiences {
        let mut granted = agent.audiences.clone();
        if let Some(known) = known.filter(|_| self.audiences.is_empty()) {
            let dropped = before.map(|before| &before.audiences - &agent.audiences).unwrap_or_default();
            granted.extend(&known.audiences.0 - &dropped);
        }
        // An agent without any audience, the broker does not know.
        if !agent.roles.is_empty() || granted.is_empty() {
            granted.extend(Audiences::default().0);
        }
        Audiences(granted)
    }
}

/// That the settings have this role.
pub(crate) fn check_role(context: &Context, role: &RoleName) -> Result<(), CliError> {
    let aws = &context.settings.aws;
    if aws.role(role).is_some() {
        return Ok(());
    }
    let known: Vec<RoleName> = aws.roles().into_iter().map(|role| role.name).collect();
    if known.is_empty() {
        return Err(CliError::NoRole { config: context.places.config_file() });
    }
    Err(CliError::Usage(format!("the settings have no role `{role}`, only: {}", joined(known))))
}

/// What is not as it was: `view` is what the broker knows now, and `known` what it knew.
fn changes(
    before: Option<&Agent>,
    known: Option<&AgentView>,
    agent: &Agent,
    view: &AgentView,
    now: Timestamp,
) -> Vec<String> {
    let mut changes = Vec::new();
    let mut tell = |what: &str, was: String, is: String| {
        if was != is {
            changes.push(format!("{what}: {is} (before: {was})"));
        }
    };
    let file = |agent: &Agent| agent.token_file.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let nothing = || "nothing on this machine".to_owned();
    tell("roles", before.map_or_else(nothing, |before| joined(&before.roles)), joined(&agent.roles));
    tell("audiences", before.map_or_else(nothing, |before| joined(&before.audiences)), joined(&agent.audiences));
    let audiences = known.map_or_else(|| "unknown to it".to_owned(), |known| joined(&known.audiences.0));
    tell("audiences at the broker", audiences, joined(&view.audiences.0));
    if let Some(known) = known {
        tell("ends", end(known.expires_at, now), end(agent.expires_at, now));
    }
    if let Some(before) = before {
        tell("JWT file", file(before), file(agent));
    }
    changes
}
