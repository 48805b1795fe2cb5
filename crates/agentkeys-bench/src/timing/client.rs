use std::net::SocketAddr;

use agentkeys_types::SessionToken;
use anyhow::ensure;

use crate::load::{Connection, post};

/// A client that sends one request after another on one connection.
pub(super) struct Client {
    address: SocketAddr,
    path: &'static str,
    token: Option<SessionToken>,
    status: u16,
    connection: Connection,
    inputs: Vec<Vec<u8>>,
    request: Vec<u8>,
}

impl Client {
    /// Connects, as whoever has the token. Every answer under `path` must have the status `status`.
    pub(super) async fn connect(
        address: SocketAddr,
        path: &'static str,
        token: Option<SessionToken>,
        status: u16,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self { address, path, token, status, connection, inputs: Vec::new(), request: Vec::with_capacity(1024) })
    }

    /// Makes requests with these bodies ready.
    pub(super) fn prepare(&mut self, bodies: impl Iterator<Item = serde_json::Value>) {
        let token = self.token.as_ref().map(SessionToken::expose);
        self.inputs = bodies.map(|body| post(self.address, self.path, token, &body.to_string())).collect();
    }

    /// Takes up a request.
    pub(super) fn load(&mut self, index: usize) {
        self.request.clone_from(&self.inputs[index]);
    }

    /// Sends it, and waits for the answer.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        let status = self.connection.ask(&self.request).await?;
        ensure!(status == self.status, "the answer was {status}, which is not what is measured");
        Ok(())
    }
}
