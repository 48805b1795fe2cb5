use std::{sync::Arc, time::Duration};

use agentkeys_api::IdentityView;
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{OmniAccount, SessionId, SessionToken, Timestamp};
use async_trait::async_trait;
use keyring_core::{CredentialStore, Entry, Error};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{SessionTokenKeyStore, StorageError};
use crate::{ProfileName, ServerUrl, Session};

const SERVICE: &str = "agentkeys";
/// No profile can have this name.
const TRIAL: &str = "trial entry";
/// A bus that hangs must not hang the command.
const LIMIT: Duration = Duration::from_secs(2);

/// Keeps sessions in the keychain of the operating system: on Linux, the Secret Service of the desktop.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeychainStore;

#[async_trait]
impl SessionTokenKeyStore for KeychainStore {
    async fn check(&self) -> Result<(), StorageError> {
        within(LIMIT, || {
            let entry = entry(TRIAL)?;
            entry.set_secret(b"trial")?;
            let found = entry.get_secret()?;
            entry.delete_credential()?;
            if found == b"trial" { Ok(()) } else { Err(Fault::Is(StorageError::Malformed)) }
        })
        .await
    }

    async fn load(&self, profile: &ProfileName) -> Result<Option<Session>, StorageError> {
        let profile = profile.to_string();
        within(LIMIT, move || match entry(&profile)?.get_secret().map(Zeroizing::new) {
            Ok(bytes) => Ok(Some(Kept::read(&bytes)?)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn save(&self, profile: &ProfileName, session: &Session) -> Result<(), StorageError> {
        let (profile, bytes) = (profile.to_string(), Kept::write(session)?);
        within(LIMIT, move || Ok(entry(&profile)?.set_secret(&bytes)?)).await
    }

    async fn delete(&self, profile: &ProfileName) -> Result<(), StorageError> {
        let profile = profile.to_string();
        within(LIMIT, move || match entry(&profile)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error.into()),
        })
        .await
    }

    fn name(&self) -> &'static str {
        if cfg!(target_os = "linux") { "Secret Service" } else { "keychain" }
    }
}

/// A session as the keychain holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<T> {
    session_token: T,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "device_key")]
    device_key: Option<DeviceKey>,
    session_id: SessionId,
    expires_at: Timestamp,
    omni_account: OmniAccount,
    identity: IdentityView,
    broker_url: ServerUrl,
}

impl Kept<SessionToken> {
    fn read(bytes: &[u8]) -> Result<Session, StorageError> {
        let kept: Self = serde_json::from_slice(bytes).map_err(|_| StorageError::Malformed)?;
        Ok(Session {
            token: kept.session_token,
            device_key: kept.device_key,
            session_id: kept.session_id,
            expires_at: kept.expires_at,
            omni_account: kept.omni_account,
            identity: kept.identity,
            broker_url: kept.broker_url,
        })
    }
}

impl<'a> Kept<&'a str> {
    fn write(session: &'a Session) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let kept = Self {
            session_token: session.token.expose(),
            device_key: session.device_key.clone(),
            session_id: session.session_id,
            expires_at: session.expires_at,
            omni_account: session.omni_account,
            identity: session.identity.clone(),
            broker_url: session.broker_url.clone(),
        };
        // Large enough that the buffer is not moved while it grows, which would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        serde_json::to_writer(&mut *bytes, &kept).map_err(|_| StorageError::Malformed)?;
        Ok(bytes)
    }
}

/// The secret of a device key in base64url.
mod device_key {
    use agentkeys_crypto::DeviceKey;
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use zeroize::Zeroizing;

    #[expect(clippy::ref_option, reason = "this is how serde passes a field")]
    pub(super) fn serialize<S: Serializer>(key: &Option<DeviceKey>, serializer: S) -> Result<S::Ok, S::Error> {
        let text = key.as_ref().map(|key| Zeroizing::new(URL_SAFE_NO_PAD.encode(key.expose_secret())));
        text.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceKey>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new) else { return Ok(None) };
        let unusable = || D::Error::custom("a device key is a P-256 scalar in base64url");
        let secret = URL_SAFE_NO_PAD.decode(&*text).map(Zeroizing::new).map_err(|_| unusable())?;
        DeviceKey::from_secret(&secret).map(Some).map_err(|_| unusable())
    }
}

enum Fault {
    Is(StorageError),
    Keychain(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Keychain(error)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Is(error)
    }
}

impl From<Fault> for StorageError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Is(error) => error,
            Fault::Keychain(Error::NoStorageAccess(_)) => Self::Locked,
            Fault::Keychain(Error::NoDefaultStore) => {
                Self::Unavailable("this system has none that is known".to_owned())
            }
            // These two carry what was read, which may be a session.
            Fault::Keychain(Error::BadEncoding(_) | Error::BadDataFormat(..)) => Self::Malformed,
            Fault::Keychain(error) => Self::Failed(error.to_string()),
        }
    }
}

fn entry(user: &str) -> Result<Entry, Fault> {
    Ok(platform_store()?.build(SERVICE, user, None)?)
}

#[cfg(target_os = "linux")]
fn platform_store() -> Result<Arc<CredentialStore>, Fault> {
    match zbus_secret_service_keyring_store::Store::new() {
        Ok(store) => Ok(store),
        // Nothing on the bus answers to the name, or there is no bus.
        Err(Error::PlatformFailure(error)) => Err(StorageError::Unavailable(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn platform_store() -> Result<Arc<CredentialStore>, Fault> {
    Err(Error::NoDefaultStore.into())
}

/// Runs `work` where it may block, and stops waiting for it after `limit`.
///
/// On a thread of its own, because a runtime waits at its end for what it blocks on, for as long as that takes.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, StorageError> {
    let (done, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("keychain".to_owned())
        .spawn(move || done.send(work().map_err(StorageError::from)))
        .map_err(|error| StorageError::Failed(error.to_string()))?;
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StorageError::Failed("it ended without an answer".to_owned())),
        Err(_) => Err(StorageError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            token: SessionToken::new("aks_very-secret".to_owned()),
            device_key: Some(DeviceKey::from_secret(&[7; 32]).unwrap()),
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            omni_account: OmniAccount::from_bytes([2; 32]),
            identity: serde_json::from_str(r#"{"type":"email","value":"ada@example.com"}"#).unwrap(),
            broker_url: "https://broker.example.com".parse().unwrap(),
        }
    }

    #[test]
    fn a_session_survives_the_keychain() {
        let bytes = Kept::write(&session()).unwrap();

        let read = Kept::read(&bytes).unwrap();

        assert_eq!(read.token.expose(), "aks_very-secret");
        assert_eq!(read.device_key.unwrap().expose_secret(), [7; 32]);
        assert_eq!(read.broker_url, session().broker_url);
    }

    #[test]
    fn something_else_in_the_keychain_is_malformed() {
        for bytes in [&b""[..], b"{}", b"aks_very-secret"] {
            assert_eq!(Kept::read(bytes).unwrap_err(), StorageError::Malformed);
        }
    }

    #[test]
    fn an_error_never_repeats_what_was_read() {
        let fault = Fault::Keychain(Error::BadEncoding(b"aks_very-secret".to_vec()));

        assert_eq!(StorageError::from(fault), StorageError::Malformed);
    }

    #[tokio::test]
    async fn a_keychain_that_hangs_is_given_up() {
        let (_never, held) = std::sync::mpsc::channel::<()>();

        let outcome = within(Duration::ZERO, move || Ok(held.recv().is_ok())).await;

        assert_eq!(outcome, Err(StorageError::TimedOut));
    }
}
