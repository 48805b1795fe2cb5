use std::sync::Arc;

use agentkeys_api::Problem;
use agentkeys_crypto::{HolderCheck, HolderError, Presentation, TokenError, VerifiedToken};
use agentkeys_http::{Refusal, Target, presentation};
use agentkeys_types::{Clock, KeyThumbprint, OmniAccount, SessionId, Timestamp};
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{
    KeysUnavailable, Signer, error::ApiError, session_keys::SessionKeys, standing::BrokerUnreachable,
    standing::Standings,
};

/// A caller with a genuine 30-day session token, whose session stands.
#[derive(Clone, Copy, Debug)]
pub struct SessionCaller {
    account: OmniAccount,
    session: SessionId,
    device_key: Option<KeyThumbprint>,
    signed_in_at: Timestamp,
}

impl SessionCaller {
    /// The caller's own account.
    pub fn account(&self) -> OmniAccount {
        self.account
    }

    /// The caller's session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The device key that the session is bound to, and by which this request was proved.
    pub fn device_key(&self) -> Option<KeyThumbprint> {
        self.device_key
    }

    /// When the person proved an identity, by the broker's word and clock (`auth_time`).
    pub fn signed_in_at(&self) -> Timestamp {
        self.signed_in_at
    }
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// Nothing is accepted without the broker's word.
    #[error(transparent)]
    Broker(#[from] BrokerUnreachable),
    /// The token is not presented by its holder.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// Without a master secret there is nothing to be let in to.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// There is not exactly one token.
    #[error(transparent)]
    NoToken(#[from] Problem),
    /// The session was revoked.
    #[error("the session was revoked")]
    Revoked,
    /// The token is that of a wallet session.
    #[error("a 30-day session token is needed here")]
    SessionRequired,
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Turns tokens into callers.
#[derive(Debug)]
pub(crate) struct Callers {
    pub(crate) keys: Arc<SessionKeys>,
    pub(crate) standings: Standings,
    pub(crate) holders: HolderCheck,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Callers {
    pub(crate) async fn recognize(&self, presented: &Presentation<'_>) -> Result<SessionCaller, CallerError> {
        let VerifiedToken::Session(claims) = self.keys.verify(presented.unverified_token).await? else {
            return Err(CallerError::SessionRequired);
        };
        self.holders.check(presented, claims.cnf.as_ref(), self.clock.now())?;
        if !self.standings.stands(claims.sid, claims.iat).await? {
            return Err(CallerError::Revoked);
        }
        Ok(SessionCaller {
            account: claims.sub,
            session: claims.sid,
            device_key: claims.cnf.map(|confirmation| confirmation.jkt),
            signed_in_at: Timestamp::from_unix(claims.auth_time),
        })
    }
}

impl FromRequestParts<Arc<Signer>> for SessionCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, signer: &Arc<Signer>) -> Result<Self, Refusal> {
        let url = Target::of(parts)?.url(parts.uri.path());
        let caller = async {
            signer.ready()?;
            signer.recognize(&presentation(parts, &url)?).await
        };
        caller.await.map_err(|error| ApiError::from(error).into())
    }
}
