use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use agentkeys_api::{AccessKind, Audience};
use agentkeys_crypto::private_file;
use agentkeys_types::{AgentName, RoleName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Places, ProfileName};

/// What a person lets agents of this machine have, and what agents have asked for: one file for each profile.
///
/// The broker knows an agent's name, audiences and end, and decides over its JWTs; roles are this machine's affair.
/// Nothing in it is secret. Commands and the daemon change it under one lock, and readers see a whole book always.
#[derive(Clone, Debug)]
pub struct AgentBook {
    path: PathBuf,
}

/// What the book says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentPages {
    /// The agents, by name.
    #[serde(default)]
    pub agents: BTreeMap<AgentName, Agent>,
    /// What agents have asked for and nobody has answered, oldest first.
    #[serde(default)]
    pub requests: Vec<AgentRequest>,
}

/// What one agent may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The roles of the settings that it may have.
    pub roles: BTreeSet<RoleName>,
    /// The audiences of its JWTs.
    pub audiences: BTreeSet<Audience>,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the daemon keeps a file with a JWT for it, and for whom that JWT is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<Audience>,
}

impl Agent {
    /// Whether its time is over by `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// Something that an agent has asked a person for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRequest {
    /// Names the request.
    pub id: String,
    /// The agent.
    pub agent: AgentName,
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: AccessKind,
    /// Which one.
    pub name: String,
    /// What for, in the agent's words: shown to a person with every control character taken out.
    pub reason: String,
}

impl AgentBook {
    /// How many unanswered requests are kept; further ones are refused.
    pub const MOST_REQUESTS: usize = 100;
    /// How many of one agent.
    pub const MOST_REQUESTS_OF_ONE: usize = 10;

    /// The book of this profile.
    pub fn of(places: &Places, profile: &ProfileName) -> Self {
        Self { path: places.state().join("agents").join(format!("{profile}.json")) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; nothing where there is none yet.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not one.
    pub fn read(&self) -> io::Result<AgentPages> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AgentPages::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Changes it: what `change` made of it is on disk when this returns. Blocks while another process changes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut AgentPages) -> T) -> io::Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        private_file::create_folder(folder)?;
        let lock = self.open_lock()?;
        lock.lock()?;
        let mut pages = self.read()?;
        let before = pages.clone();
        let outcome = change(&mut pages);
        if pages != before {
            private_file::replace(&self.path, &serde_json::to_vec_pretty(&pages).map_err(io::Error::other)?)?;
        }
        Ok(outcome)
    }

    /// Made where it is missing. Whoever changes the book holds its lock.
    fn open_lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path.with_extension("lock"))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn agent() -> Agent {
        Agent {
            roles: BTreeSet::from([RoleName::default()]),
            audiences: BTreeSet::from([Audience::aws_sts()]),
            created_at: Timestamp::from_unix(0),
            expires_at: Some(Timestamp::from_unix(10)),
            token_file: None,
        }
    }

    fn book(home: &tempfile::TempDir) -> AgentBook {
        AgentBook::of(&Places::new(home.path(), None, None, None), &ProfileName::default())
    }

    #[test]
    fn a_book_that_nobody_has_written_is_empty() {
        let home = tempfile::tempdir().unwrap();

        assert_eq!(book(&home).read().unwrap(), AgentPages::default());
    }

    #[test]
    fn what_was_changed_is_read_again() {
        let home = tempfile::tempdir().unwrap();

        book(&home).change(|pages| pages.agents.insert("claude".parse().unwrap(), agent())).unwrap();

        assert_eq!(book(&home).read().unwrap().agents[&"claude".parse().unwrap()], agent());
    }

    #[test]
    fn no_change_is_lost_when_many_make_one_at_once() {
        let home = tempfile::tempdir().unwrap();
        let book = book(&home);

        thread::scope(|scope| {
            for number in 0..16 {
                let book = &book;
                let name: AgentName = format!("agent-{number}").parse().unwrap();
                scope.spawn(move || book.change(|pages| pages.agents.insert(name, agent())).unwrap());
            }
        });

        assert_eq!(book.read().unwrap().agents.len(), 16);
    }

    #[test]
    fn an_agent_ends_at_its_time_and_not_before() {
        assert!(!agent().is_over(Timestamp::from_unix(9)));
        assert!(agent().is_over(Timestamp::from_unix(10)));
    }
}
