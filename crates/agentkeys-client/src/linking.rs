use agentkeys_api::{LinkEmail, LinkOauth, LinkedIdentity};
use agentkeys_types::{EmailAddress, ProviderName};

use crate::{
    BrokerClient, BrowserScreen, ClientError, CodePrompt, Session,
    patience::wait_for_a_person,
    sign_in::{answer_with_code, check_provider, while_shown},
};

/// What came of linking an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The identity, as it opens the account now.
    pub identity: LinkedIdentity,
    /// Whether it did not do so before.
    pub is_new: bool,
}

/// Links an address to the account: asks for a code, has it typed, and answers with it.
///
/// A wrong code is asked for again, until the broker ends the request.
pub async fn link_email(
    broker: &BrokerClient,
    session: &Session,
    email: EmailAddress,
    prompt: &mut dyn CodePrompt,
) -> Result<Linked, ClientError> {
    let started = broker.start_email_link(session, &LinkEmail { email }).await?;
    let verify = async |request| broker.verify_email_link(session, &request).await;
    answer_with_code(&started, prompt, verify).await
}

/// Links an identity at a provider to the account: has a person prove it on a page of the broker, and waits for that.
pub async fn link_oauth(
    broker: &BrokerClient,
    session: &Session,
    provider: ProviderName,
    screen: &mut dyn BrowserScreen,
) -> Result<Linked, ClientError> {
    check_provider(&broker.authorization_server().await?, Some(&provider))?;
    let started = broker.start_oauth_link(session, &LinkOauth { provider }).await?;
    let url = broker.own_page(&started.authorize_url)?;
    let ask = || broker.verify_oauth_link(session, started.request_id.clone());
    while_shown(screen, &url, wait_for_a_person(started.interval, started.expires_in, ask)).await
}
