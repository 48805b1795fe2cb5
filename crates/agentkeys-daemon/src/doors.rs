mod agent;
mod consumers;
mod files;
mod unix;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use agentkeys_api::Audience;
use agentkeys_client::AgentFolder;
use agentkeys_types::AgentName;
use futures_util::future::join_all;

use self::{
    agent::AgentDoors,
    consumers::{Consumers, EndpointDoor},
    files::KeptFile,
    unix::UnixDoor,
};
use crate::{
    Consumer, ConsumerToken, Desk, Endpoint, RunError, RunningEndpoint, Socket, control::Controls, routes::Station,
};

/// The file with the person's own token for the endpoint, beside their socket.
const PERSON_TOKEN: &str = "authorization-token";

/// Every way into the daemon: the person's socket, each agent's, the endpoint, and the files that it keeps.
pub(crate) struct Doors {
    desk: Arc<Desk>,
    controls: Controls,
    path: PathBuf,
    person: UnixDoor,
    agents: BTreeMap<AgentName, AgentDoors>,
    endpoint: Option<OpenEndpoint>,
    consumers: Arc<Consumers>,
    files: Vec<KeptFile>,
}

struct OpenEndpoint {
    listen: SocketAddr,
    running: RunningEndpoint,
}

impl Doors {
    /// Opens the person's socket. The other doors follow the rules: see [`Doors::follow`].
    pub(crate) fn open(socket: Socket, desk: Arc<Desk>, controls: Controls) -> Self {
        let path = socket.path().to_owned();
        let station = Station { desk: Arc::clone(&desk), consumer: Consumer::Person, controls: controls.clone() };
        Self {
            desk,
            controls,
            path,
            person: UnixDoor::open(socket, station),
            agents: BTreeMap::new(),
            endpoint: None,
            consumers: Arc::default(),
            files: Vec::new(),
        }
    }

    /// Opens what the rules want, and closes what they no longer want; what stays as it was notices nothing.
    ///
    /// # Errors
    ///
    /// When the endpoint cannot be opened, or a token not be put where it is looked for; all else is done nevertheless.
    pub(crate) async fn follow(&mut self) -> Result<(), RunError> {
        let rules = self.desk.rules();
        let endpoint = self.follow_endpoint(rules.daemon.listen).await;

        let now = self.desk.clock().now();
        let wanted: BTreeMap<_, _> =
            rules.live_agents(now).map(|(name, agent)| (name.clone(), agent.clone())).collect();
        let others = !rules.daemon.allow_uids.is_empty();
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.agents)
            .into_iter()
            .partition(|(name, doors)| wanted.contains_key(name) && doors.are_for_others() == others);
        self.agents = kept;
        for name in gone.keys() {
            self.consumers.remove(&Consumer::Agent(name.clone()));
        }
        join_all(gone.into_values().map(AgentDoors::close)).await;
        for (name, agent) in wanted {
            let opened = self.open_agent(&name, agent.token_file.as_ref(), others);
            if let Err(error) = opened.await {
                // The others must not suffer from a folder that is not as it should be, or a path that is too long.
                tracing::warn!(%error, agent = %name, "an agent's doors cannot be opened");
            }
        }
        self.clear_leftovers().await;
        self.follow_files(&rules).await;
        let tokens = self.give_tokens();
        endpoint.and(tokens)
    }

    /// Takes away what a daemon that was killed has left of agents that are none any more.
    async fn clear_leftovers(&self) {
        let Ok(folders) = std::fs::read_dir(self.path.with_file_name("agents")) else { return };
        let names = folders.filter_map(|folder| folder.ok()?.file_name().to_str()?.parse::<AgentName>().ok());
        for name in names.filter(|name| !self.agents.contains_key(name)) {
            if let Err(error) = AgentDoors::clear(&AgentFolder::beside(&self.path, &name)).await {
                tracing::warn!(%error, agent = %name, "what a daemon has left of an agent stays behind");
            }
        }
    }

    async fn open_agent(
        &mut self,
        name: &AgentName,
        token_file: Option<&Audience>,
        others: bool,
    ) -> Result<(), RunError> {
        let doors = match self.agents.entry(name.clone()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => {
                let folder = AgentFolder::beside(&self.path, name);
                let consumer = Consumer::Agent(name.clone());
                let station = Station { desk: Arc::clone(&self.desk), consumer, controls: self.controls.clone() };
                vacant.insert(AgentDoors::open(folder, station, others).await?)
            }
        };
        doors.keep_token_file(&self.desk, name, token_file).await
    }

    async fn follow_endpoint(&mut self, listen: Option<SocketAddr>) -> Result<(), RunError> {
        if self.endpoint.as_ref().map(|open| open.listen) == listen {
            return Ok(());
        }
        // Before the one that is open closes: where this one cannot open, that one stays.
        let opened = match listen {
            None => None,
            Some(listen) => {
                let door = EndpointDoor { desk: Arc::clone(&self.desk), consumers: Arc::clone(&self.consumers) };
                Some(OpenEndpoint { listen, running: Endpoint::open(listen, Arc::new(door)).await? })
            }
        };
        let address = opened.as_ref().map(|open| format!("http://{}", open.running.address()));
        self.controls.set_endpoint(address);
        let closed = std::mem::replace(&mut self.endpoint, opened);
        if self.endpoint.is_none() {
            self.consumers.clear();
            self.remove_tokens();
        }
        if let Some(open) = closed {
            open.running.stop().await;
        }
        Ok(())
    }

    /// Removes the files with tokens, which open nothing any more.
    fn remove_tokens(&self) {
        let agents = self.agents.values().map(|doors| doors.folder().authorization_token());
        [self.person_token()].into_iter().chain(agents).for_each(|path| remove_token(&path));
    }

    /// Gives a token to everybody who has none yet, while there is an endpoint to show it at.
    fn give_tokens(&self) -> Result<(), RunError> {
        if self.endpoint.is_none() {
            return Ok(());
        }
        let agents = self.agents.iter();
        let agents = agents.map(|(name, doors)| (Consumer::Agent(name.clone()), doors.folder().authorization_token()));
        for (consumer, path) in [(Consumer::Person, self.person_token())].into_iter().chain(agents) {
            self.consumers.give(consumer, &path)?;
        }
        Ok(())
    }

    fn person_token(&self) -> PathBuf {
        self.path.with_file_name(PERSON_TOKEN)
    }

    async fn follow_files(&mut self, rules: &crate::Rules) {
        let wanted: Vec<_> = rules.daemon.token_files.values().cloned().collect();
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|file| wanted.contains(file.settings()));
        self.files = kept;
        join_all(gone.into_iter().map(KeptFile::close)).await;
        for settings in wanted {
            if !self.files.iter().any(|file| *file.settings() == settings) {
                let visitor = files::of_person();
                self.files.push(KeptFile::keep(settings, visitor, Arc::clone(&self.desk)));
            }
        }
    }

    /// Closes every door, and returns when the answers under way have left. What lay beside them is removed.
    pub(crate) async fn close(self) {
        let Self { person, agents, endpoint, files, path, .. } = self;
        let agents = join_all(agents.into_values().map(AgentDoors::close));
        let endpoint = async {
            if let Some(open) = endpoint {
                remove_token(&path.with_file_name(PERSON_TOKEN));
                open.running.stop().await;
            }
        };
        let files = join_all(files.into_iter().map(KeptFile::close));
        tokio::join!(person.close(), agents, endpoint, files);
    }
}

/// Removes a file with a token, if it is there.
fn remove_token(path: &Path) {
    if let Err(error) = ConsumerToken::remove(path) {
        tracing::warn!(%error, "a token file stays behind");
    }
}
