use std::{hint::black_box, time::Duration};

use agentkeys_broker::Caller;
use agentkeys_crypto::random;
use agentkeys_types::SessionId;
use anyhow::bail;
use async_trait::async_trait;

use super::{
    Kind, Pair,
    bench::{SOURCE, TimingBroker},
};

/// How many sessions are revoked to ask for.
const REVOKED: usize = 256;

/// Asks for the standing of sessions that are revoked, and of ones that never were.
pub(super) struct UnknownSession {
    bench: TimingBroker,
    revoked: Vec<SessionId>,
    inputs: Vec<SessionId>,
    session: SessionId,
}

impl UnknownSession {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        let mut revoked = Vec::new();
        // Every other one goes on standing, as in a store that is in use.
        for (token, session) in bench.sign_in(&TimingBroker::people(2 * REVOKED)?).await?.into_iter().step_by(2) {
            let Caller::Session(caller) = bench.authenticate(token.expose()).await? else {
                bail!("a session token opens a session");
            };
            bench.broker().revoke_session(&caller, session, SOURCE).await?;
            revoked.push(session);
        }
        Ok(Self { bench, revoked, inputs: Vec::new(), session: SessionId::from_bytes([0; 16]) })
    }
}

#[async_trait]
impl Pair for UnknownSession {
    fn name(&self) -> &'static str {
        "standing: of an unknown or a revoked session"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let input = |kind: &Kind| match kind {
            Kind::First => SessionId::from_bytes(random()),
            Kind::Second => self.revoked[usize::from(random::<1>()[0]) % REVOKED],
        };
        self.inputs = kinds.iter().map(input).collect();
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.session = self.inputs[index];
    }

    async fn run(&mut self) {
        black_box(self.bench.broker().standing_session_after(self.session, Duration::ZERO).await.is_ok());
    }
}
