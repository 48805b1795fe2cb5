use agentkeys_api::paths;
use agentkeys_crypto::random;
use agentkeys_types::RequestId;
use anyhow::Context;
use async_trait::async_trait;
use serde_json::json;

use super::{Kind, Pair, bench::TimingBroker, client::Client};

/// How many requests of others are open.
const REQUESTS: usize = 256;

/// Codes that a session brings for requests of others, and for none, as a client sees it.
pub(super) struct OthersRequest {
    _bench: TimingBroker,
    open: Vec<(RequestId, String)>,
    client: Client,
}

impl OthersRequest {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        let mut sessions = bench.sign_in(&["mallory@example.com".parse()?]).await?;
        let (token, _) = sessions.pop().context("somebody signed in")?;
        // A code that comes with a foreign session does not count, so these stay open.
        let open = bench.begin(&TimingBroker::people(REQUESTS)?).await?;
        let client = Client::connect(bench.address(), paths::IDENTITIES_EMAIL_VERIFY, Some(token), 401).await?;
        Ok(Self { _bench: bench, open, client })
    }
}

#[async_trait]
impl Pair for OthersRequest {
    fn name(&self) -> &'static str {
        "link: with the right code of another's request, or for an unknown one"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let body = |kind: &Kind| {
            let (request, code) = &self.open[usize::from(random::<1>()[0]) % REQUESTS];
            let unknown = RequestId::from_bytes(random());
            let request = if *kind == Kind::First { request } else { &unknown };
            json!({"request_id": request.expose(), "code": code})
        };
        self.client.prepare(kinds.iter().map(body));
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.client.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        self.client.run().await
    }
}
