use agentkeys_api::{IdentityView, SignedIn};
use agentkeys_types::{OmniAccount, SessionId, SessionToken, Timestamp};

use crate::{ClientError, ServerUrl};

/// A person's session as the client holds it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The 30-day bearer: a high-value credential.
    pub token: SessionToken,
    /// Names the session.
    pub session_id: SessionId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The account that it acts for.
    pub omni_account: OmniAccount,
    /// The identity that signed in.
    pub identity: IdentityView,
    /// The broker that issued it: the token goes to no other.
    pub broker_url: ServerUrl,
}

impl Session {
    /// The session that a sign-in at `broker_url` opened.
    pub fn opened(signed_in: SignedIn, broker_url: ServerUrl) -> Self {
        let SignedIn { session_token, token_type: _, session_id, expires_at, omni_account, identity } = signed_in;
        Self { token: session_token, session_id, expires_at, omni_account, identity, broker_url }
    }

    /// The token, for its own broker only and the signer that trusts it.
    pub fn token_for(&self, broker_url: &ServerUrl) -> Result<&SessionToken, ClientError> {
        if self.broker_url != *broker_url {
            let (url, expected) = (broker_url.to_string(), self.broker_url.to_string());
            return Err(ClientError::OtherBroker { url, expected });
        }
        Ok(&self.token)
    }

    /// Whether its time is over by `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}
