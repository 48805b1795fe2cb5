use agentkeys_api::{IdentityView, SignedIn, TokenType};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{OmniAccount, SessionId, SessionToken, Timestamp};

use crate::{ClientError, ServerUrl, http::Credential};

/// A person's session as the client holds it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The 30-day token: a high-value credential.
    pub token: SessionToken,
    /// The key of this device, without which the token is worth nothing; none for a short-lived plain bearer.
    pub device_key: Option<DeviceKey>,
    /// The key of this device that a plain bearer does not use: kept beside it, for the next sign-in.
    pub unused_key: Option<Box<DeviceKey>>,
    /// Names the session.
    pub session_id: SessionId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// From when on it is to be renewed; never, where it is bound to no device key.
    pub renew_at: Option<Timestamp>,
    /// The account that it acts for.
    pub omni_account: OmniAccount,
    /// The identity that signed in.
    pub identity: IdentityView,
    /// The broker that issued it: the token goes to no other.
    pub broker_url: ServerUrl,
}

impl Session {
    /// The session that a sign-in at `broker_url` opened at `now`, with `device_key`.
    ///
    /// # Errors
    ///
    /// When the broker did not bind it to the key that it was shown.
    pub fn opened(
        signed_in: SignedIn,
        device_key: Option<DeviceKey>,
        broker_url: ServerUrl,
        now: Timestamp,
    ) -> Result<Self, ClientError> {
        let SignedIn { session_token, token_type, session_id, expires_at, omni_account, identity } = signed_in;
        if token_type != TokenType::of(device_key.is_some()) {
            let reason = "it did not bind the session to this device";
            return Err(ClientError::UnexpectedAnswer { url: broker_url.to_string(), reason });
        }
        // At two thirds of its life, which leaves the last third for the days on which nobody is there.
        let renew_at = device_key.is_some().then(|| now.after(expires_at.since(now) * 2 / 3));
        let token = session_token;
        let unused_key = None;
        Ok(Self { token, device_key, unused_key, session_id, expires_at, renew_at, omni_account, identity, broker_url })
    }

    /// The key of this device at the session's broker, whether or not the session uses it.
    pub fn key_of_device(&self) -> Option<&DeviceKey> {
        self.device_key.as_ref().or(self.unused_key.as_deref())
    }

    /// The key of this device at `broker_url`, for the next sign-in there, also when the session is over.
    pub fn kept_key(&self, broker_url: &ServerUrl) -> Option<&DeviceKey> {
        self.key_of_device().filter(|_| self.broker_url == *broker_url)
    }

    /// The session itself, for its own broker only and the signer that trusts it.
    ///
    /// # Errors
    ///
    /// When it was opened at another broker than `broker_url`.
    pub fn at(&self, broker_url: &ServerUrl) -> Result<&Self, ClientError> {
        if self.broker_url != *broker_url {
            let (url, expected) = (broker_url.to_string(), self.broker_url.to_string());
            return Err(ClientError::OtherBroker { url, expected });
        }
        Ok(self)
    }

    pub(crate) fn credential(&self) -> Credential<'_> {
        Credential::new(self.token.expose(), self.device_key.as_ref())
    }

    /// Whether it is time for a fresh token.
    pub fn is_renewal_due(&self, now: Timestamp) -> bool {
        self.renew_at.is_some_and(|renew_at| now >= renew_at)
    }

    /// Whether its time is over by `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}
