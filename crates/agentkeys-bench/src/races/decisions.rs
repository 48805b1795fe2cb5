use agentkeys_testing::CommandSignIn;
use async_trait::async_trait;

use super::{
    REQUESTS, Race,
    fleet::{Fleet, Round, Visitor, callback},
};

/// The two buttons of one page, of which one counts.
pub(super) struct Decision;

#[async_trait]
impl Race for Decision {
    fn name(&self) -> &'static str {
        "decision"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (visitor, page) = Visitor::open(fleet, &CommandSignIn::new(None).path()).await?;
        let form = visitor.prove_by_email(&page).await?.form("/oauth/confirm");
        let press = |decision| visitor.post(&form.clone().with("decision", decision));
        Round::mixed(&[press("approve")?, press("refuse")?])
    }
}

/// What a provider answers, each time with a code that it would take: the sign-in at the broker counts once.
pub(super) struct ProviderAnswer;

#[async_trait]
impl Race for ProviderAnswer {
    fn name(&self) -> &'static str {
        "provider's answer"
    }

    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round> {
        let (visitor, page) = Visitor::open(fleet, &CommandSignIn::new(None).path()).await?;
        let url = visitor.leave_for_provider(&page).await;
        let provider = fleet.provider().await;
        let mut answers = Vec::new();
        for _ in 0..REQUESTS {
            answers.push(visitor.get(&callback(&provider, &url).await?)?);
        }
        Round::mixed(&answers)
    }
}
