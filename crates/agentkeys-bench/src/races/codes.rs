use agentkeys_testing::CommandSignIn;
use anyhow::Context;
use async_trait::async_trait;
use serde_json::json;

use super::{
    Race,
    fleet::{Fleet, Round, Visitor},
};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A code from a mail, which opens one session.
pub(super) struct EmailCode;

#[async_trait]
impl Race for EmailCode {
    fn name(&self) -> &'static str {
        "e-mail code"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let answer = fleet.system.mailed_code(&fleet.email()).await?;
        Round::of(&fleet.system.http().post(fleet.url("/v1/auth/email/verify")).json(&answer).build()?)
    }
}

/// A code that a browser brings to the command, which opens one session.
pub(super) struct AuthorizationCode;

#[async_trait]
impl Race for AuthorizationCode {
    fn name(&self) -> &'static str {
        "authorization code"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let sign_in = CommandSignIn::new(None);
        let (visitor, page) = Visitor::open(fleet, &sign_in.path()).await?;
        let question = visitor.prove_by_email(&page).await?;
        let sent = visitor.submit(&question, "/oauth/confirm", &[("decision", "approve")]).await.expect(303);
        let code = sent.brought("code").context("a code")?;
        Round::of(&fleet.form("/oauth/token", &sign_in.exchange(&code)).build()?)
    }
}

/// The secret of a device that a person has approved, which opens one session.
pub(super) struct DeviceCode;

#[async_trait]
impl Race for DeviceCode {
    fn name(&self) -> &'static str {
        "device code"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let start = fleet.form("/oauth/device_authorization", &[("client_id", "agentkeys-cli")]);
        let started = agentkeys_testing::Answer::read(start.send().await?).await.expect(200);
        let (visitor, page) = Visitor::open(fleet, "/device").await?;
        let page = visitor.submit(&page, "/device", &[("user_code", started.text("user_code"))]).await.expect(200);
        let question = visitor.prove_by_email(&page).await?;
        visitor.submit(&question, "/oauth/confirm", &[("decision", "approve")]).await.expect(200);
        let fields =
            [("grant_type", DEVICE_CODE), ("client_id", "agentkeys-cli"), ("device_code", started.text("device_code"))];
        Round::of(&fleet.form("/oauth/token", &fields).build()?)
    }
}

/// A signed challenge, which opens one wallet session.
pub(super) struct WalletChallenge;

#[async_trait]
impl Race for WalletChallenge {
    fn name(&self) -> &'static str {
        "wallet challenge"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (token, account) = fleet.system.sign_in(&fleet.email()).await?;
        let address = fleet.system.link_wallet(&token, &account).await?;
        let signed = fleet.system.signed_challenge(&token, &account, &address).await?;
        Round::of(&fleet.json("/v1/auth/wallet/verify", &token, &json!(signed)).build()?)
    }
}
