use anyhow::Context;
use async_trait::async_trait;
use serde_json::json;

use super::{
    Race,
    fleet::{Fleet, Round, Visitor},
};

const VERIFY: &str = "/v1/identities/email/verify";

/// A code from a mail, which links one address to the account that asked.
pub(super) struct LinkedAddress;

#[async_trait]
impl Race for LinkedAddress {
    fn name(&self) -> &'static str {
        "link by e-mail"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (token, _) = fleet.system.sign_in(&fleet.email()).await?;
        let answer = fleet.link_code(&token, &fleet.email()).await?;
        Round::of(&fleet.json(VERIFY, &token, &answer).build()?)
    }
}

/// What was proved and approved on a page, which links one identity to the account that asked.
pub(super) struct LinkedAtProvider;

#[async_trait]
impl Race for LinkedAtProvider {
    fn name(&self) -> &'static str {
        "link at a provider"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (token, _) = fleet.system.sign_in(&fleet.email()).await?;
        let started = fleet.ask("/v1/identities/oauth/start", &token, &json!({"provider": "acme"})).await?;
        let (visitor, page) = Visitor::open(fleet, started.text("authorize_url")).await?;
        let question = visitor.prove_at_provider(&page).await?;
        visitor.submit(&question, "/oauth/confirm", &[("decision", "approve")]).await.expect(200);
        let answer = json!({"request_id": started.text("request_id")});
        Round::of(&fleet.json("/v1/identities/oauth/verify", &token, &answer).build()?)
    }
}

/// One address that two accounts link at once, each with a right code: it opens one of them.
pub(super) struct TwoAccounts;

#[async_trait]
impl Race for TwoAccounts {
    fn name(&self) -> &'static str {
        "one identity for two accounts"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let shared = fleet.email();
        let mut links = Vec::new();
        for _ in 0..2 {
            let (token, _) = fleet.system.sign_in(&fleet.email()).await?;
            let answer = fleet.link_code(&token, &shared).await?;
            links.push(fleet.json(VERIFY, &token, &answer).build()?);
        }
        Round::mixed(&links)
    }
}

/// The two identities of an account, which both are to go: one of them stays.
pub(super) struct LastIdentities;

#[async_trait]
impl Race for LastIdentities {
    fn name(&self) -> &'static str {
        "removal of the last two identities"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (first, second) = (fleet.email(), fleet.email());
        let (token, _) = fleet.system.sign_in(&first).await?;
        let linked = fleet.link_code(&token, &second).await?;
        fleet.ask(VERIFY, &token, &linked).await.context("linked")?;
        let remove = |email: &str| {
            let url = fleet.url(&format!("/v1/identities/email/{email}"));
            fleet.system.http().delete(url).bearer_auth(&token).build()
        };
        Round::mixed(&[remove(&first)?, remove(&second)?])
    }
}
