use zeroize::Zeroizing;

use super::{OauthSignIn, check_provider};
use crate::{BrokerClient, ClientError, Session, patience::wait_for_a_person};

/// Shows a person what to type, and on which page.
pub trait DeviceScreen: Send {
    /// The code is to be typed on the page.
    fn show(&mut self, page: &DevicePage);
}

/// Where a person signs in for this machine, on any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePage {
    /// The page: one of the broker's own.
    pub url: String,
    /// What is typed there: letters, digits and hyphens.
    pub user_code: String,
    /// For how many seconds it works.
    pub expires_in: u64,
}

/// Signs in by a browser on any machine: shows a code, and waits until a person has typed it there (RFC 8628).
pub async fn sign_in_by_device(
    broker: &BrokerClient,
    sign_in: &OauthSignIn,
    screen: &mut dyn DeviceScreen,
) -> Result<Session, ClientError> {
    check_provider(&broker.authorization_server().await?, sign_in.provider.as_ref())?;
    let key = sign_in.binding.key()?;
    let started = broker.start_device(sign_in.client_name.as_deref(), key.as_ref()).await?;
    let device_code = Zeroizing::new(started.device_code);

    let user_code = started.user_code;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !(1..=32).contains(&user_code.len()) || !is_plain(&user_code) {
        return Err(broker.unexpected("nobody could type its code"));
    }
    let url = broker.own_page(&started.verification_uri)?;
    screen.show(&DevicePage { url, user_code, expires_in: started.expires_in });

    let ask = || async { broker.exchange_device(&device_code, key.as_ref()).await.map(Some) };
    let reply = wait_for_a_person(started.interval, started.expires_in, ask).await?;
    Session::opened(reply.signed_in, key, broker.url().clone(), broker.now())
}
