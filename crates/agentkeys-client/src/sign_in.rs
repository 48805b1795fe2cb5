mod browser;
mod device;
mod loopback;

use agentkeys_api::{AuthorizationServer, EmailStart, EmailStarted, EmailVerify, ErrorCode};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{EmailAddress, ProviderName};
use async_trait::async_trait;

pub(crate) use self::browser::while_shown;
pub use self::{
    browser::{BrowserScreen, sign_in_by_browser},
    device::{DevicePage, DeviceScreen, sign_in_by_device},
};
use crate::{BrokerClient, ClientError, Session};

/// Gets the code of a mail from whoever can read it: a prompt for a person, a mailbox in development.
#[async_trait]
pub trait CodePrompt: Send {
    /// The code as it was typed. `attempt` counts from 1, and more than 1 means that the last code was wrong.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoCode`] when nobody gives one.
    async fn code(&mut self, started: &EmailStarted, attempt: u32) -> Result<String, ClientError>;
}

/// Who signs in, and on which machine.
#[derive(Clone, Debug)]
pub struct EmailSignIn {
    /// The address that gets the code.
    pub email: EmailAddress,
    /// This machine's name, for the mail and the list of sessions.
    pub client_name: Option<String>,
    /// Whether the session is bound to a key of this device, and to which.
    pub binding: Binding,
}

/// How a person signs in on a page of the broker, and on which machine.
#[derive(Clone, Debug)]
pub struct OauthSignIn {
    /// Where: one of the broker's identity providers, or `email`; the person chooses unless given.
    pub provider: Option<ProviderName>,
    /// This machine's name, for the page and the list of sessions.
    pub client_name: Option<String>,
    /// Whether the session is bound to a key of this device, and to which.
    pub binding: Binding,
}

/// Whether a session is bound to a device key, without which its token is worth nothing.
#[derive(Clone, Debug, Default)]
pub enum Binding {
    /// It is, to one that is made for it: whoever pins keys sees another device.
    #[default]
    DeviceKey,
    /// It is, to the one that this device has from an earlier sign-in.
    KeptKey(DeviceKey),
    /// It is not: whoever has the token is the person, for the few hours that the broker gives it.
    None,
}

impl Binding {
    /// The key of this device for one session, if that is to be bound.
    pub(crate) fn key(&self) -> Result<Option<DeviceKey>, ClientError> {
        match self {
            Self::KeptKey(key) => Ok(Some(key.clone())),
            Self::DeviceKey => DeviceKey::generate().map(Some).map_err(|_| ClientError::DeviceKey),
            Self::None => Ok(None),
        }
    }
}

/// Signs in by e-mail: asks for a code, has it typed, and answers with it.
///
/// A wrong code is asked for again, until the broker ends the request.
pub async fn request_session_token(
    broker: &BrokerClient,
    sign_in: &EmailSignIn,
    prompt: &mut dyn CodePrompt,
) -> Result<Session, ClientError> {
    let EmailSignIn { email, client_name, binding } = sign_in.clone();
    let key = binding.key()?;
    let started = broker.start_email(&EmailStart { email, client_name }, key.as_ref()).await?;
    let verify = async |request| broker.verify_email(&request, key.as_ref()).await;
    let signed_in = answer_with_code(&started, prompt, verify).await?;
    Session::opened(signed_in, key, broker.url().clone(), broker.now())
}

/// Has the code of a mail typed and answers with it by `verify`, until the broker takes it or ends the request.
pub(crate) async fn answer_with_code<T>(
    started: &EmailStarted,
    prompt: &mut dyn CodePrompt,
    verify: impl AsyncFn(EmailVerify) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut attempt = 1;
    loop {
        let code = prompt.code(started, attempt).await?;
        match verify(EmailVerify { request_id: started.request_id.clone(), code }).await {
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::InvalidCode => attempt += 1,
            answer => return answer,
        }
    }
}

/// Nothing that the broker does not have can be asked for.
pub(crate) fn check_provider(server: &AuthorizationServer, asked: Option<&ProviderName>) -> Result<(), ClientError> {
    let Some(provider) = asked else { return Ok(()) };
    let known = &server.agentkeys_identity_providers;
    if known.iter().any(|name| name == provider.as_str()) {
        return Ok(());
    }
    // Of the answer only what is a name: nothing else belongs on a screen.
    let known = known.iter().filter(|name| name.parse::<ProviderName>().is_ok()).cloned().collect();
    Err(ClientError::UnknownProvider { provider: provider.clone(), known })
}
