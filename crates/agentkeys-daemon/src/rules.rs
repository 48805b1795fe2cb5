use std::{collections::BTreeMap, fmt, sync::Arc};

use agentkeys_api::{Audience, ErrorCode, Problem};
use agentkeys_client::{Agent, AgentPages, AwsSettings, DaemonSettings, Role};
use agentkeys_types::{AgentName, RoleName, Timestamp};

use crate::{Consumer, Peer, PeerPolicy, RunError};

/// Who may have what: the person's settings, and what they gave to agents.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The roles.
    pub aws: AwsSettings,
    /// Whom the daemon answers.
    pub daemon: DaemonSettings,
    /// The agents.
    pub agents: BTreeMap<AgentName, Agent>,
    person: PeerPolicy,
    agent: PeerPolicy,
}

/// Reads the rules anew.
pub type ReadRules = dyn Fn() -> Result<Rules, RunError> + Send + Sync;

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish<'w> {
    Audience(&'w Audience),
    Role(&'w RoleName),
}

impl Rules {
    /// The rules of these settings and this book.
    pub fn new(aws: AwsSettings, daemon: DaemonSettings, pages: AgentPages) -> Self {
        let person = PeerPolicy::new([], daemon.allow_executables.clone());
        let agent = PeerPolicy::new(daemon.allow_uids.iter().copied(), None);
        Self { aws, daemon, agents: pages.agents, person, agent }
    }

    /// The rules of a daemon without settings of its own, and without agents.
    pub fn of_aws(aws: AwsSettings) -> Self {
        Self::new(aws, DaemonSettings::default(), AgentPages::default())
    }

    /// Rules that never change.
    pub fn fixed(self) -> Arc<ReadRules> {
        Arc::new(move || Ok(self.clone()))
    }

    /// Whether `peer` is answered where `consumer` asks: for a hand-out it must be one of the programs, if there is a
    /// list of them, and for anything else of the users.
    pub(crate) fn admits(&self, consumer: &Consumer, peer: &Peer, is_hand_out: bool) -> bool {
        let policy = match consumer {
            Consumer::Agent(_) => &self.agent,
            Consumer::Person => &self.person,
        };
        if is_hand_out { policy.allows(peer) } else { policy.allows_user(peer) }
    }

    /// The agents whose time is not over by `now`.
    pub(crate) fn live_agents(&self, now: Timestamp) -> impl Iterator<Item = (&AgentName, &Agent)> {
        self.agents.iter().filter(move |(_, agent)| !agent.is_over(now))
    }

    /// In whose name `consumer` asks who names `agent`.
    ///
    /// # Errors
    ///
    /// `agent_not_allowed` where an agent names another one.
    pub(crate) fn speaker<'a>(
        consumer: &'a Consumer,
        agent: Option<&'a AgentName>,
    ) -> Result<Option<&'a AgentName>, Problem> {
        match (consumer, agent) {
            (Consumer::Agent(own), Some(other)) if own != other => {
                Err(Problem::new(ErrorCode::AgentNotAllowed, "an agent asks in its own name only"))
            }
            (Consumer::Agent(own), _) => Ok(Some(own)),
            (Consumer::Person, agent) => Ok(agent),
        }
    }

    /// Decides whether `agent`, or the person where it is none, may have `wish`.
    ///
    /// # Errors
    ///
    /// `agent_unknown` where there is no such agent here, or its time is over; `agent_not_allowed` where the person did
    /// not give it that; `not_found` where no setting names the role.
    pub(crate) fn decide(&self, agent: Option<&AgentName>, wish: Wish<'_>, now: Timestamp) -> Result<(), Problem> {
        if let Some(name) = agent {
            let agent = self.agent(name, now)?;
            let is_given = match wish {
                Wish::Audience(audience) => agent.audiences.contains(audience),
                Wish::Role(role) => agent.roles.contains(role),
            };
            if !is_given {
                let detail = format!("the agent `{name}` was not given {wish}");
                return Err(Problem::new(ErrorCode::AgentNotAllowed, detail));
            }
        }
        match wish {
            Wish::Role(role) => self.role(role).map(drop),
            Wish::Audience(_) => Ok(()),
        }
    }

    /// The agent of that name.
    ///
    /// # Errors
    ///
    /// `agent_unknown` where there is none here, or its time is over.
    pub(crate) fn agent(&self, name: &AgentName, now: Timestamp) -> Result<&Agent, Problem> {
        self.agents.get(name).filter(|agent| !agent.is_over(now)).ok_or_else(|| {
            Problem::new(ErrorCode::AgentUnknown, format!("there is no agent `{name}` here, or its time is over"))
        })
    }

    /// The role of that name.
    ///
    /// # Errors
    ///
    /// `not_found` where no setting names it.
    pub(crate) fn role(&self, name: &RoleName) -> Result<Role, Problem> {
        self.aws.role(name).ok_or_else(|| {
            let detail = if name.is_default() {
                "no role is set: `role_arn` in the section [aws] of the settings names it".to_owned()
            } else {
                format!("no role is called `{name}` in the section [aws.roles] of the settings")
            };
            Problem::new(ErrorCode::NotFound, detail)
        })
    }
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audience(audience) => write!(formatter, "JWTs for `{audience}`"),
            Self::Role(role) => write!(formatter, "the role `{role}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn rules() -> Rules {
        let aws = AwsSettings {
            role_arn: Some("arn:aws:iam::000000000000:role/agentkeys-dev".parse().unwrap()),
            ..AwsSettings::default()
        };
        let agent = |roles: &[&str]| Agent {
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            audiences: BTreeSet::from([Audience::aws_sts()]),
            created_at: NOW,
            expires_at: Some(NOW.after(std::time::Duration::from_mins(1))),
            token_file: None,
        };
        let mut pages = AgentPages::default();
        pages.agents.insert(name("claude"), agent(&["default", "gone"]));
        pages.agents.insert(name("codex"), agent(&["other"]));
        Rules::new(aws, DaemonSettings::default(), pages)
    }

    fn name(text: &str) -> AgentName {
        text.parse().unwrap()
    }

    fn decide(agent: Option<&str>, wish: Wish<'_>, now: Timestamp) -> Option<ErrorCode> {
        let agent = agent.map(name);
        rules().decide(agent.as_ref(), wish, now).err().map(|problem| problem.error)
    }

    #[test]
    fn an_agent_has_what_a_person_gave_it_and_nothing_else() {
        let (default, gone) = (RoleName::default(), "gone".parse().unwrap());
        let vault = "vault".parse().unwrap();

        assert_eq!(decide(None, Wish::Role(&default), NOW), None);
        assert_eq!(decide(None, Wish::Audience(&vault), NOW), None);
        assert_eq!(decide(Some("claude"), Wish::Role(&default), NOW), None);
        assert_eq!(decide(Some("claude"), Wish::Audience(&Audience::aws_sts()), NOW), None);
        assert_eq!(decide(Some("claude"), Wish::Audience(&vault), NOW), Some(ErrorCode::AgentNotAllowed));
        assert_eq!(decide(Some("codex"), Wish::Role(&default), NOW), Some(ErrorCode::AgentNotAllowed));
        assert_eq!(decide(Some("mallory"), Wish::Role(&default), NOW), Some(ErrorCode::AgentUnknown));
        assert_eq!(decide(Some("claude"), Wish::Role(&gone), NOW), Some(ErrorCode::NotFound));
    }

    #[test]
    fn an_agent_has_nothing_once_its_time_is_over() {
        let later = NOW.after(std::time::Duration::from_mins(1));

        assert_eq!(decide(Some("claude"), Wish::Role(&RoleName::default()), later), Some(ErrorCode::AgentUnknown));
    }

    #[test]
    fn an_agent_asks_in_its_own_name_only() {
        let (claude, codex) = (name("claude"), name("codex"));
        let agent = Consumer::Agent(claude.clone());

        assert_eq!(Rules::speaker(&agent, None), Ok(Some(&claude)));
        assert_eq!(Rules::speaker(&agent, Some(&claude)), Ok(Some(&claude)));
        assert_eq!(Rules::speaker(&agent, Some(&codex)).unwrap_err().error, ErrorCode::AgentNotAllowed);
        assert_eq!(Rules::speaker(&Consumer::Person, Some(&codex)), Ok(Some(&codex)));
        assert_eq!(Rules::speaker(&Consumer::Person, None), Ok(None));
    }
}
