use std::sync::Arc;

use agentkeys_api::Problem;
use agentkeys_crypto::{TokenError, VerifiedToken};
use agentkeys_http::{Refusal, bearer_token};
use agentkeys_types::{OmniAccount, SessionId};
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
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// Nothing is accepted without the broker's word.
    #[error(transparent)]
    Broker(#[from] BrokerUnreachable),
    /// Without a master secret there is nothing to be let in to.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// There is not exactly one bearer token.
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
}

impl Callers {
    pub(crate) async fn recognize(&self, unverified_token: &str) -> Result<SessionCaller, CallerError> {
        let VerifiedToken::Session(claims) = self.keys.verify(unverified_token).await? else {
            return Err(CallerError::SessionRequired);
        };
        // A token that is bound to a device key is worth nothing without a proof by that key.
        if claims.cnf.is_some() {
            return Err(TokenError::Invalid.into());
        }
        if !self.standings.stands(claims.sid).await? {
            return Err(CallerError::Revoked);
        }
        Ok(SessionCaller { account: claims.sub, session: claims.sid })
    }
}

impl FromRequestParts<Arc<Signer>> for SessionCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, signer: &Arc<Signer>) -> Result<Self, Refusal> {
        let caller = async {
            signer.ready()?;
            signer.recognize(bearer_token(&parts.headers)?).await
        };
        caller.await.map_err(|error| ApiError::from(error).into())
    }
}
