use agentkeys_api::paths;
use agentkeys_crypto::random;
use agentkeys_types::SessionId;
use async_trait::async_trait;
use serde_json::json;

use super::{
    Kind, Pair,
    bench::{SOURCE, TimingBroker},
    client::Client,
};

/// How many sessions are revoked to ask for.
const REVOKED: usize = 256;

/// Asks for the standing of sessions that are revoked, and of ones that never were, as a client does.
pub(super) struct UnknownSession {
    _bench: TimingBroker,
    revoked: Vec<SessionId>,
    client: Client,
}

impl UnknownSession {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        let mut revoked = Vec::new();
        // Every other one goes on standing, as in a store that is in use.
        for (token, session) in bench.sign_in(&TimingBroker::people(2 * REVOKED)?).await?.into_iter().step_by(2) {
            let caller = bench.caller(&token).await?;
            bench.broker().revoke_session(&caller, session, SOURCE).await?;
            revoked.push(session);
        }
        let client = Client::connect(bench.address(), paths::SESSIONS_STANDING, None, 200).await?;
        Ok(Self { _bench: bench, revoked, client })
    }
}

#[async_trait]
impl Pair for UnknownSession {
    fn name(&self) -> &'static str {
        "standing: of an unknown or a revoked session"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let session = |kind: &Kind| match kind {
            Kind::First => SessionId::from_bytes(random()),
            Kind::Second => self.revoked[usize::from(random::<1>()[0]) % REVOKED],
        };
        self.client.prepare(kinds.iter().map(|kind| json!({"session_id": session(kind).to_string()})));
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.client.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.client.run().await
    }
}
