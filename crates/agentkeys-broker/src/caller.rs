use std::{net::IpAddr, sync::Arc};

use agentkeys_crypto::{
    HolderError, Presentation, SessionTokenClaims, TokenError, VerifiedToken, WalletSessionTokenClaims,
};
use agentkeys_store::{SessionRecord, StoreError};
use agentkeys_types::{KeyThumbprint, SessionId, Timestamp};

use crate::Broker;

/// Whoever presented a token that is genuine and stands.
#[derive(Clone, Debug)]
pub enum Caller {
    /// With a 30-day session token.
    Session(SessionCaller),
    /// With a wallet session token.
    Wallet(WalletCaller),
}

/// A caller with a 30-day session.
#[derive(Clone, Debug)]
pub struct SessionCaller {
    /// What the token says.
    pub claims: Arc<SessionTokenClaims>,
    /// What the broker remembers of the session.
    pub session: SessionRecord,
}

/// A caller with a wallet session.
#[derive(Clone, Debug)]
pub struct WalletCaller {
    /// What the token says.
    pub claims: Arc<WalletSessionTokenClaims>,
    /// What the broker remembers of the parent session.
    pub parent: SessionRecord,
}

/// Why a token does not open anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Its time is over.
    #[error("the session token has expired: sign in again")]
    Expired,
    /// It is not presented by its holder.
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// It is not one of this broker's.
    #[error("the session token is not valid")]
    Invalid,
    /// Its session, or the session or wallet it came from, no longer stands.
    #[error("the session was revoked: sign in again")]
    Revoked,
    /// Whether it stands is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Self::Expired,
            TokenError::Invalid => Self::Invalid,
        }
    }
}

impl Broker {
    /// Finds out who presents a token: signature, claims, times, proof, and whether it still stands.
    ///
    /// A session token that has been replaced revokes its session.
    pub async fn authenticate(&self, presented: &Presentation<'_>, source: IpAddr) -> Result<Caller, AuthError> {
        let now = self.clock.now();
        let caller = self.recognize(presented, now).await?;
        match &caller {
            Caller::Session(caller) if caller.session.supersedes(Timestamp::from_unix(caller.claims.iat)) => {
                self.revoke_reused(caller, source).await?;
                return Err(AuthError::Revoked);
            }
            Caller::Session(SessionCaller { session, .. }) | Caller::Wallet(WalletCaller { parent: session, .. }) => {
                self.note_use(session, now);
            }
        }
        Ok(caller)
    }

    /// The device key whose holder sends a request that carries no token.
    pub fn device_of(&self, unverified_proof: &str, method: &str, url: &str) -> Result<KeyThumbprint, HolderError> {
        self.holders.holder(unverified_proof, method, url, self.clock.now())
    }

    /// As [`Broker::authenticate`], whether or not the token has been replaced.
    pub(crate) async fn recognize(&self, presented: &Presentation<'_>, now: Timestamp) -> Result<Caller, AuthError> {
        let token = self.verifier.verify(presented.unverified_token, now)?;
        self.holders.check(presented, token.confirmation(), now)?;
        match token {
            VerifiedToken::Session(claims) => {
                let session = self.standing_session(claims.sid, now).await?;
                // A token that somebody else signed with a stolen key must at least name what its session is.
                if claims.sub != session.account || claims.cnf.map(|cnf| cnf.jkt) != session.key {
                    return Err(AuthError::Invalid);
                }
                Ok(Caller::Session(SessionCaller { claims, session }))
            }
            VerifiedToken::Wallet(claims) => {
                let parent = self.standing_session(claims.psid, now).await?;
                if claims.acc != parent.account || claims.cnf.map(|cnf| cnf.jkt) != parent.key {
                    return Err(AuthError::Invalid);
                }
                let proved_at = self.standing.wallet_proved_at(&*self.store, claims.acc, claims.wal).await?;
                // A wallet that was unlinked and proved anew does not bring its old sessions back.
                if proved_at.is_none_or(|proved_at| claims.iat < proved_at.as_unix()) {
                    return Err(AuthError::Revoked);
                }
                Ok(Caller::Wallet(WalletCaller { claims, parent }))
            }
        }
    }

    async fn standing_session(&self, id: SessionId, now: Timestamp) -> Result<SessionRecord, AuthError> {
        let session = self.standing.session(&*self.store, id).await?;
        session.filter(|session| session.stands(now)).ok_or(AuthError::Revoked)
    }
}
