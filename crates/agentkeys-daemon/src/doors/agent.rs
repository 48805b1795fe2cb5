use std::sync::Arc;

use agentkeys_api::Audience;
use agentkeys_client::{AgentFolder, TokenFileSettings};
use agentkeys_crypto::private_file::create_folder;
use agentkeys_types::AgentName;

use super::{
    files::{self, KeptFile},
    remove_token,
    unix::UnixDoor,
};
use crate::{ConsumerToken, Desk, RunError, Socket, TokenFile, routes::Station};

/// What one agent has beside the daemon's socket: a socket of its own, and perhaps a file with a JWT.
pub(super) struct AgentDoors {
    folder: AgentFolder,
    socket: UnixDoor,
    /// Whether users besides this one may come in.
    others: bool,
    file: Option<KeptFile>,
}

impl AgentDoors {
    pub(super) async fn open(folder: AgentFolder, station: Station, others: bool) -> Result<Self, RunError> {
        let path = folder.socket();
        let socket = if others { Socket::open_to_others(&path).await? } else { Socket::open(&path).await? };
        Ok(Self { folder, socket: UnixDoor::open(socket, station), others, file: None })
    }

    /// Whether users besides this one may come in.
    pub(super) fn are_for_others(&self) -> bool {
        self.others
    }

    pub(super) fn folder(&self) -> &AgentFolder {
        &self.folder
    }

    /// Keeps a JWT for `audience` in the agent's file; none, and no file, where there is no audience.
    pub(super) async fn keep_token_file(
        &mut self,
        desk: &Arc<Desk>,
        agent: &AgentName,
        audience: Option<&Audience>,
    ) -> Result<(), RunError> {
        if self.file.as_ref().map(|file| &file.settings().audience) == audience {
            return Ok(());
        }
        if let Some(file) = self.file.take() {
            file.close().await;
        }
        let Some(audience) = audience.cloned() else { return Ok(()) };
        let path = self.folder.token_file();
        if let Some(folder) = path.parent() {
            create_folder(folder).map_err(RunError::Process)?;
        }
        let settings = TokenFileSettings { path, audience, agent: Some(agent.clone()) };
        self.file = Some(KeptFile::keep(settings, files::of_agent(agent), Arc::clone(desk)));
        Ok(())
    }

    /// Closes the socket, and takes everything away that lay beside it.
    pub(super) async fn close(self) {
        let Self { folder, socket, file, .. } = self;
        if let Some(file) = file {
            file.close().await;
        }
        remove_token(&folder.authorization_token());
        socket.close().await;
        remove_folder(&folder);
    }

    /// Takes everything away that a daemon which was killed has left of an agent that is none any more.
    pub(super) async fn clear(folder: &AgentFolder) -> Result<(), RunError> {
        // Whoever may open the socket is alone with what lies beside it.
        drop(Socket::open(&folder.socket()).await?);
        ConsumerToken::remove(&folder.authorization_token())?;
        let token_file = folder.token_file();
        if token_file.parent().is_some_and(std::path::Path::exists) {
            TokenFile::new(&token_file).remove()?;
        }
        remove_folder(folder);
        Ok(())
    }
}

/// Removes an agent's folders. What else lies there is not ours, and keeps them.
fn remove_folder(folder: &AgentFolder) {
    let _ = folder.token_file().parent().map(std::fs::remove_dir);
    let _ = std::fs::remove_dir(folder.path());
    let _ = folder.path().parent().map(std::fs::remove_dir);
}
