use agentkeys_api::IdentityView;
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{OmniAccount, SessionId, SessionToken, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::StorageError;
use crate::{ServerUrl, Session};

/// A session as every store that outlives a process holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept<T> {
    session_token: T,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "device_key")]
    device_key: Option<DeviceKey>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "device_key")]
    unused_key: Option<DeviceKey>,
    session_id: SessionId,
    expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renew_at: Option<Timestamp>,
    omni_account: OmniAccount,
    identity: IdentityView,
    broker_url: ServerUrl,
}

impl Kept<SessionToken> {
    pub(super) fn read(bytes: &[u8]) -> Result<Session, StorageError> {
        let kept: Self = serde_json::from_slice(bytes).map_err(|_| StorageError::Malformed)?;
        Ok(Session {
            token: kept.session_token,
            device_key: kept.device_key,
            unused_key: kept.unused_key.map(Box::new),
            session_id: kept.session_id,
            expires_at: kept.expires_at,
            renew_at: kept.renew_at,
            omni_account: kept.omni_account,
            identity: kept.identity,
            broker_url: kept.broker_url,
        })
    }
}

impl<'a> Kept<&'a str> {
    pub(super) fn write(session: &'a Session) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let kept = Self {
            session_token: session.token.expose(),
            device_key: session.device_key.clone(),
            unused_key: session.unused_key.as_deref().cloned(),
            session_id: session.session_id,
            expires_at: session.expires_at,
            renew_at: session.renew_at,
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Ada's session, with this token.
    pub(in crate::session_token_key_store) fn session(token: &str) -> Session {
        Session {
            token: SessionToken::new(token.to_owned()),
            device_key: Some(DeviceKey::from_secret(&[7; 32]).unwrap()),
            unused_key: None,
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            renew_at: Some("2026-12-12T10:00:00Z".parse().unwrap()),
            omni_account: OmniAccount::from_bytes([2; 32]),
            identity: serde_json::from_str(r#"{"type":"email","value":"ada@example.com"}"#).unwrap(),
            broker_url: "https://broker.example.com".parse().unwrap(),
        }
    }

    #[test]
    fn a_session_survives_being_written() {
        let bytes = Kept::write(&session("aks_very-secret")).unwrap();

        let read = Kept::read(&bytes).unwrap();

        assert_eq!(read.token.expose(), "aks_very-secret");
        assert_eq!(read.device_key.unwrap().expose_secret(), [7; 32]);
        assert_eq!(read.broker_url.to_string(), "https://broker.example.com");
    }

    #[test]
    fn the_key_that_a_plain_bearer_does_not_use_survives_beside_it() {
        let key = DeviceKey::from_secret(&[7; 32]).unwrap();
        let unbound = Session { device_key: None, unused_key: Some(Box::new(key)), ..session("aks_very-secret") };

        let read = Kept::read(&Kept::write(&unbound).unwrap()).unwrap();

        assert!(read.device_key.is_none());
        assert_eq!(read.unused_key.unwrap().expose_secret(), [7; 32]);
    }

    #[test]
    fn a_session_from_before_there_were_unused_keys_is_read() {
        let written = String::from_utf8(Kept::write(&session("aks_very-secret")).unwrap().to_vec()).unwrap();

        assert!(!written.contains("unused_key"), "it has nothing but what it needs");
        Kept::read(written.as_bytes()).unwrap();
    }

    #[test]
    fn something_else_is_malformed() {
        for bytes in [&b""[..], b"{}", b"aks_very-secret"] {
            assert_eq!(Kept::read(bytes).unwrap_err(), StorageError::Malformed);
        }
    }

    /// Windows takes 2,560 bytes. A session token has some 540, of which the broker's URL is the only long part.
    #[test]
    fn even_a_large_session_fits_into_every_keychain() {
        let identity = format!(r#"{{"type":"email","value":"{}@example.com"}}"#, "a".repeat(242));
        let label = "b".repeat(60);
        let large = Session {
            identity: serde_json::from_str(&identity).unwrap(),
            broker_url: format!("https://{label}.{label}.{label}.example.com").parse().unwrap(),
            ..session(&"t".repeat(1000))
        };

        let bytes = Kept::write(&large).unwrap();

        assert!(bytes.len() < 2560, "{}", bytes.len());
    }
}
