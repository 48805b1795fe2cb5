use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::{KeyError, TokenError, VerifiedToken, random};
use agentkeys_store::{
    Action, Begun, Entry, Grant, GrantKind, GrantState, Limit, Outcome, POLL_INTERVAL, Polled, Proved, Redeemed,
    SessionRecord, StoreError,
};
use agentkeys_types::{Identity, KeyThumbprint, OmniAccount, RequestId, SessionId};
use sha2::{Digest, Sha256};

use crate::{
    Broker,
    code::TypedCode,
    mail::NoticeKind,
    sign_in::{CODE_LIFE, HOUR, OpenedSession},
};

/// For how long a person can approve what a machine asks for.
pub(crate) const FLOW_LIFE: Duration = CODE_LIFE;

/// What a device shows to its person, and what it asks with. Not printed.
pub struct StartedDevice {
    /// The secret of the device.
    pub device_code: RequestId,
    /// What the person types.
    pub user_code: String,
    /// For how long.
    pub expires_in: Duration,
    /// How long to wait between two questions.
    pub interval: Duration,
}

/// Why a grant opened no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The time for approving is over.
    #[error("the code is over: start again")]
    Expired,
    /// It is unknown, over or used, or asked for by somebody else.
    #[error("this code is unknown, over or used, or was made for somebody else")]
    Invalid,
    /// The operator opens no session without a device key.
    #[error("this broker opens no session without a device key: it needs a proof in the header `DPoP`")]
    KeyRequired,
    /// The operator does not let this identity in, or it was taken away from its account.
    #[error("the operator of this broker does not let this identity sign in, or it was retired")]
    NotAllowed,
    /// Nobody has approved yet.
    #[error("nobody has approved yet")]
    Pending,
    /// Too many sign-ins were begun.
    #[error("too many sign-ins: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The person refused.
    #[error("the person refused")]
    Refused,
    /// The session token could not be signed.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// Asked again too soon.
    #[error("asked too soon: wait five seconds longer")]
    SlowDown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Wallet session tokens end by themselves, or with the session that they came from.
    #[error("only session tokens are revoked: a wallet session ends with its session")]
    Unsupported,
}

impl Broker {
    /// Lets a machine wait for a person to approve it in a browser elsewhere (RFC 8628 section 3.1).
    pub async fn start_device(
        &self,
        client_name: Option<String>,
        key: Option<KeyThumbprint>,
        source: IpAddr,
    ) -> Result<StartedDevice, GrantError> {
        if key.is_none() && !self.opens_unbound() {
            return Err(GrantError::KeyRequired);
        }
        let now = self.clock.now();
        let device_code = RequestId::from_bytes(random());
        let user_code = TypedCode::generate();
        let grant = Grant {
            secret: device_code.digest(),
            kind: GrantKind::Device { user_code: user_code.hash_alone(&self.code_key) },
            client_name,
            key,
            source,
            created_at: now,
            expires_at: now.after(FLOW_LIFE),
        };
        match self.store.begin_grant(grant, self.flow_limits(source)).await? {
            Begun::Limited { retry_after } => Err(GrantError::RateLimited { retry_after }),
            Begun::Begun | Begun::QueueFull => Ok(StartedDevice {
                device_code,
                user_code: user_code.expose().to_string(),
                expires_in: FLOW_LIFE,
                interval: POLL_INTERVAL,
            }),
        }
    }

    /// Opens the session for which a device waits, once a person has approved it (RFC 8628 section 3.4).
    pub async fn redeem_device_code(
        &self,
        device_code: &RequestId,
        key: Option<KeyThumbprint>,
        source: IpAddr,
    ) -> Result<OpenedSession, GrantError> {
        let now = self.clock.now();
        let found = self.store.find_grant(device_code.digest()).await?;
        let (grant, state) = found.filter(|(grant, _)| is_device(grant)).ok_or(GrantError::Invalid)?;
        if grant.key != key {
            return Err(GrantError::Invalid);
        }
        match state {
            GrantState::Used { .. } => Err(GrantError::Invalid),
            GrantState::Refused => Err(GrantError::Refused),
            GrantState::Expired => Err(GrantError::Expired),
            _ if now >= grant.expires_at => Err(GrantError::Expired),
            GrantState::Approved(proved) => self.redeem(grant, proved, source).await,
            GrantState::Waiting => match self.store.poll_grant(grant.secret, now).await? {
                Polled::InTime => Err(GrantError::Pending),
                Polled::TooSoon => Err(GrantError::SlowDown),
            },
        }
    }

    /// Opens the session that an authorization code is for (RFC 6749 section 4.1.3).
    ///
    /// A code that comes again revokes the session that it opened: somebody else has it too.
    pub async fn redeem_code(
        &self,
        code: &RequestId,
        redirect_uri: &str,
        verifier: &str,
        key: Option<KeyThumbprint>,
        source: IpAddr,
    ) -> Result<OpenedSession, GrantError> {
        if key.is_none() && !self.opens_unbound() {
            return Err(GrantError::KeyRequired);
        }
        let (grant, state) = self.store.find_grant(code.digest()).await?.ok_or(GrantError::Invalid)?;
        let GrantKind::Code { redirect_uri: expected, challenge, .. } = &grant.kind else {
            return Err(GrantError::Invalid);
        };
        if expected != redirect_uri || grant.key != key || *challenge != <[u8; 32]>::from(Sha256::digest(verifier)) {
            return Err(GrantError::Invalid);
        }
        match state {
            GrantState::Approved(proved) if self.clock.now() < grant.expires_at => {
                self.redeem(grant, proved, source).await
            }
            GrantState::Used { opened: Some(id) } => {
                self.revoke_opened(id, source).await?;
                Err(GrantError::Invalid)
            }
            _ => Err(GrantError::Invalid),
        }
    }

    /// Ends the session of a token, if it is one of this broker's (RFC 7009). Whoever has a token may end it.
    pub async fn revoke_token(&self, unverified_token: &str, source: IpAddr) -> Result<(), RevocationError> {
        match self.verifier.verify(unverified_token, self.clock.now()) {
            Ok(VerifiedToken::Session(claims)) => {
                self.revoke_named(claims.sub, claims.sid, Action::RevokeSession, source).await.map_err(Into::into)
            }
            Ok(VerifiedToken::Wallet(_)) => Err(RevocationError::Unsupported),
            Err(TokenError::Expired | TokenError::Invalid) => Ok(()),
        }
    }

    async fn redeem(&self, grant: Grant, proved: Proved, source: IpAddr) -> Result<OpenedSession, GrantError> {
        let now = self.clock.now();
        let Proved { identity, email } = proved;
        // Asked again, because the operator may have changed it since the person approved.
        if !self.allow.allows(&identity, email.as_ref()) {
            let entry = Entry { outcome: Outcome::NotAllowed, ..self.proof_entry(&grant, &identity, source) };
            // Once, however often the client asks: the grant stays as it is.
            let once = Limit { key: format!("not-allowed:{}", hex::encode(grant.secret.0)), most: 1, window: HOUR };
            self.store.append(entry, vec![once]).await?;
            return Err(GrantError::NotAllowed);
        }
        let machine = grant.client_name.clone();
        let notice = self.notice(NoticeKind::SignIn, &identity, email.as_ref(), machine, grant.source);
        let opening = self.opening(identity.clone(), email, grant.key.is_some());
        let (id, expires_at) = (opening.id, opening.expires_at);
        let entry = Entry { session: Some(id), ..self.proof_entry(&grant, &identity, source) };
        match self.store.redeem_grant(grant.secret, opening, entry, notice).await? {
            Redeemed::Opened { account } => {
                self.outbox.wake();
                let session =
                    SessionRecord { key: grant.key, ..SessionRecord::opened(id, account, identity, now, expires_at) };
                Ok(self.issue_session(session, now)?)
            }
            Redeemed::Over => Err(GrantError::Invalid),
            Redeemed::Retired => Err(GrantError::NotAllowed),
        }
    }

    async fn revoke_opened(&self, id: SessionId, source: IpAddr) -> Result<(), StoreError> {
        let Some(session) = self.store.find_session(id).await? else { return Ok(()) };
        tracing::warn!(session = %id, "an authorization code came again: the session that it opened is revoked");
        self.revoke_named(session.account, id, Action::ReuseCode, source).await
    }

    async fn revoke_named(
        &self,
        account: OmniAccount,
        id: SessionId,
        action: Action,
        source: IpAddr,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at: self.clock.now(),
            action,
            outcome: Outcome::Done,
            account: Some(account),
            session: Some(id),
            subject: format!("session:{id}"),
            source: Some(source),
        };
        self.end_session(account, id, entry).await.map(drop)
    }

    /// The line of the audit record for an identity that was proved for a grant.
    pub(crate) fn proof_entry(&self, grant: &Grant, identity: &Identity, source: IpAddr) -> Entry {
        let (action, account, session) = match grant.kind {
            GrantKind::Link { session, account, .. } => (Action::LinkIdentity, Some(account), Some(session)),
            GrantKind::Code { .. } | GrantKind::Device { .. } => (Action::SignIn, None, None),
        };
        let (at, subject) = (self.clock.now(), identity.to_string());
        Entry { at, action, outcome: Outcome::Done, account, session, subject, source: Some(source) }
    }

    /// What anybody can begin, and would fill the store with.
    pub(crate) fn flow_limits(&self, source: IpAddr) -> Vec<Limit> {
        let limit = |key, most| Limit { key, most, window: HOUR };
        vec![
            limit(format!("sign-in-from:{source}"), self.limits.sign_ins_per_source_and_hour),
            limit("sign-in".to_owned(), self.limits.sign_ins_per_hour),
        ]
    }
}

fn is_device(grant: &Grant) -> bool {
    matches!(grant.kind, GrantKind::Device { .. })
}
