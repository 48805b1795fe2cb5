use std::{net::IpAddr, time::Duration};

use agentkeys_api::Audience;
use agentkeys_crypto::{KeyError, OidcClaims, SessionTags, random};
use agentkeys_store::{Action, AgentRecorded, Entry, Limit, Outcome, Recorded, StoreError};
use agentkeys_types::{AgentName, OidcJwt, Timestamp};

use crate::{Broker, WalletCaller, wallets::hex};

/// For how long a web-identity JWT counts.
const JWT_LIFE: Duration = Duration::from_mins(5);
const MINUTE: Duration = Duration::from_mins(1);

/// Why no web-identity JWT was minted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The person does not let the agent have JWTs for this audience.
    #[error("the agent may not have a JWT for this audience")]
    AgentNotAllowed,
    /// The account has no agent of that name, or it has expired.
    #[error("the account has no agent of that name, or it has expired")]
    AgentUnknown,
    /// The operator does not let JWTs be minted for this audience.
    #[error("audience must be one of the allowed audiences")]
    AudienceNotAllowed,
    /// The decision could not be recorded, so it was not acted on.
    #[error(transparent)]
    Audit(#[from] StoreError),
    /// Too many.
    #[error("too many JWTs for this account: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The signing key could not be used.
    #[error(transparent)]
    Signing(#[from] KeyError),
}

/// A web-identity JWT that has just been minted.
#[derive(Debug)]
pub struct Minted {
    /// The JWT.
    pub jwt: OidcJwt,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Broker {
    /// Mints the web-identity JWT for the caller's wallet, or for an agent that acts for it.
    pub async fn mint_oidc_jwt(
        &self,
        caller: &WalletCaller,
        audience: Option<Audience>,
        agent: Option<AgentName>,
        source: IpAddr,
    ) -> Result<Minted, MintError> {
        let now = self.clock.now();
        let audience = audience.unwrap_or_else(Audience::aws_sts).to_string();
        let jti = hex(&random::<16>());
        let expires_at = self.authorize_mint(caller, &audience, agent.as_ref(), &jti, now, source).await?;
        let tags = SessionTags::new(caller.claims.wal, caller.claims.acc, caller.claims.psid);
        let claims = OidcClaims {
            iss: self.issuer.as_str().to_owned(),
            sub: format!("wallet:{}", caller.claims.wal.to_lowercase()),
            aud: audience,
            iat: now.as_unix(),
            nbf: now.as_unix(),
            exp: expires_at.as_unix(),
            jti,
            tags: match agent {
                Some(agent) => tags.with_agent(agent),
                None => tags,
            },
        };
        Ok(Minted { jwt: self.oidc_issuer.sign(&claims)?, expires_at })
    }

    /// Decides whether the caller may have this JWT, and records durably that it is about to be minted; returns when it
    /// ends.
    async fn authorize_mint(
        &self,
        caller: &WalletCaller,
        audience: &str,
        agent: Option<&AgentName>,
        jti: &str,
        now: Timestamp,
        source: IpAddr,
    ) -> Result<Timestamp, MintError> {
        if !self.audiences.contains(audience) {
            return Err(MintError::AudienceNotAllowed);
        }
        let account = caller.claims.acc;
        let by = agent.map(|agent| format!(" agent:{agent}")).unwrap_or_default();
        let entry = Entry {
            at: now,
            action: Action::MintOidcJwt,
            outcome: Outcome::Done,
            account: Some(account),
            session: Some(caller.claims.psid),
            subject: format!("wallet:{}{by} aud:{audience} jti:{jti}", caller.claims.wal.to_lowercase()),
            source: Some(source),
        };
        let limit =
            Limit { key: format!("mint:{account}"), most: self.limits.mints_per_account_and_minute, window: MINUTE };
        let expires_at = now.after(JWT_LIFE);
        let Some(agent) = agent else {
            return match self.store.append(entry, vec![limit]).await? {
                Recorded::Recorded => Ok(expires_at),
                Recorded::Limited { retry_after } => Err(MintError::RateLimited { retry_after }),
            };
        };
        let audience = audience.to_owned();
        match self.store.append_for_agent(account, agent.clone(), audience, entry, vec![limit]).await? {
            AgentRecorded::Limited { retry_after } => Err(MintError::RateLimited { retry_after }),
            AgentRecorded::NotAllowed => Err(MintError::AgentNotAllowed),
            // A JWT never outlives the agent that it is for.
            AgentRecorded::Recorded { expires_at: end } => Ok(end.map_or(expires_at, |end| end.min(expires_at))),
            AgentRecorded::Unknown => Err(MintError::AgentUnknown),
        }
    }
}
