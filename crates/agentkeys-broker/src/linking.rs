use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::random;
use agentkeys_store::{
    Action, Begun, CodeAnswer, CodeOutcome, Entry, Grant, GrantKind, GrantState, IdentityLink, Limit, Linking, Opening,
    Outcome, Proved, Purpose, StoreError, Unlinking,
};
use agentkeys_types::{EmailAddress, Identity, IdentityType, OmniAccount, ProviderName, RequestId};

use crate::{
    Broker, SessionCaller,
    code::TypedCode,
    grants::FLOW_LIFE,
    mail::{CodePurpose, NoticeKind},
    sign_in::{AskedCode, HOUR, SignInError},
};

/// How long ago a person may have signed in who changes what opens the account.
const RECENT: Duration = Duration::from_mins(10);

/// Why an identity was not linked or taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The code is over, used, or was tried too often.
    #[error("the code is over: ask for a new one")]
    CodeExpired,
    /// The code is wrong, or of another request.
    #[error("the code is wrong")]
    InvalidCode,
    /// It is the only identity of the account.
    #[error("the last identity cannot go: nobody could open the account any more")]
    Last,
    /// The request is over, used or unknown.
    #[error("the request to link an identity is over, used or unknown: start again")]
    LinkExpired,
    /// The mail could neither leave nor be queued.
    #[error("the mail with the code could not be sent: try again later")]
    Mail,
    /// The operator does not let this identity in.
    #[error("the operator of this broker does not let this identity sign in")]
    NotAllowed,
    /// The account has no such identity.
    #[error("the account has no such identity")]
    NotFound,
    /// There is no such provider.
    #[error("there is no identity provider of that name")]
    Provider,
    /// Too often.
    #[error("too many requests to link an identity: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The person signed in too long ago.
    #[error("sign in again first: this needs a sign-in less than ten minutes ago")]
    Reauth,
    /// The person refused on the page.
    #[error("it was refused on the page")]
    Refused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity opens another account, or did.
    #[error("the identity belongs to another account")]
    Taken,
}

/// An identity that opens the account from now on.
#[derive(Debug)]
pub struct Linked {
    /// The identity.
    pub link: IdentityLink,
    /// Whether it did not before.
    pub is_new: bool,
}

/// What became of a link that is approved in a browser.
#[derive(Debug)]
pub enum PageLink {
    /// The identity opens the account.
    Linked(Linked),
    /// Nobody has approved yet.
    Pending,
}

impl Broker {
    /// The identities that open the caller's account, oldest first.
    pub async fn identities(&self, caller: &SessionCaller) -> Result<Vec<IdentityLink>, StoreError> {
        self.store.identities(caller.session.account).await
    }

    /// Sends a code to an address that is to open the caller's account; returns the secret under which it is answered.
    ///
    /// The same for every address, whether or not it opens another account.
    pub async fn start_email_link(
        &self,
        caller: &SessionCaller,
        email: EmailAddress,
        source: IpAddr,
    ) -> Result<RequestId, LinkError> {
        self.check_recent(caller)?;
        let session = &caller.session;
        let owner = self.owner_in_words(caller).await?;
        let mut limits = self.mail_limits(&email, source);
        limits.push(self.link_limit(session.account));
        let asked = AskedCode {
            request: RequestId::from_bytes(random()),
            email,
            client_name: session.client_name.clone(),
            key: None,
            purpose: Purpose::Link { session: session.id, account: session.account },
            words: CodePurpose::Link { owner },
            source,
            browser: None,
            limits,
        };
        Ok(self.begin_by_mail(asked).await?)
    }

    /// Links the address whose mail had this code.
    pub async fn verify_email_link(
        &self,
        caller: &SessionCaller,
        request: &RequestId,
        typed_code: &str,
        source: IpAddr,
    ) -> Result<Linked, LinkError> {
        self.check_recent(caller)?;
        let (now, session) = (self.clock.now(), &caller.session);
        let purpose = Purpose::Link { session: session.id, account: session.account };
        let waiting = self.store.find_email_sign_in(request.digest()).await?;
        let waiting = waiting.filter(|waiting| waiting.purpose == purpose).ok_or(LinkError::InvalidCode)?;
        let code_hash = TypedCode::typed(typed_code).hash(&self.code_key, request.digest());
        let answer = CodeAnswer { request: request.digest(), code_hash, purpose, now };
        let identity = Identity::email(waiting.email);
        let is_allowed = self.allow.allows(&identity, None);
        let link = IdentityLink { identity, email: None, account: session.account, linked_at: now };
        let entry = self.entry(caller, Action::LinkIdentity, link.identity.to_string(), source);
        let notice = self.notice(NoticeKind::IdentityAdded, &link.identity, None, session.client_name.clone(), source);
        let opening = if is_allowed { Opening::Link(link.clone()) } else { Opening::Refused };
        match self.store.answer(answer, opening, entry, self.code_limits(source), Some(notice)).await? {
            CodeOutcome::Linked(linking) => self.linked(linking, link),
            CodeOutcome::Accepted { .. } => Err(LinkError::NotAllowed),
            CodeOutcome::Limited { retry_after } => Err(LinkError::RateLimited { retry_after }),
            CodeOutcome::Over | CodeOutcome::Retired => Err(LinkError::CodeExpired),
            CodeOutcome::Unknown | CodeOutcome::Wrong => Err(LinkError::InvalidCode),
        }
    }

    /// Lets the caller wait for a person to prove an identity on a page: returns the caller's secret and the page's.
    pub async fn start_page_link(
        &self,
        caller: &SessionCaller,
        provider: ProviderName,
        source: IpAddr,
    ) -> Result<(RequestId, RequestId), LinkError> {
        self.check_recent(caller)?;
        self.providers.find(&provider).ok_or(LinkError::Provider)?;
        let (now, session) = (self.clock.now(), &caller.session);
        let page = RequestId::from_bytes(random());
        let request = self.link_of(&page);
        let way = IdentityType::Oauth2(provider);
        let grant = Grant {
            secret: request.digest(),
            kind: GrantKind::Link { session: session.id, account: session.account, way },
            client_name: session.client_name.clone(),
            key: None,
            source,
            created_at: now,
            expires_at: now.after(FLOW_LIFE),
        };
        let mut limits = self.flow_limits(source);
        limits.push(self.link_limit(session.account));
        match self.store.begin_grant(grant, limits).await? {
            Begun::Limited { retry_after } => Err(LinkError::RateLimited { retry_after }),
            Begun::Begun | Begun::QueueFull => Ok((request, page)),
        }
    }

    /// Links the identity that was proved on the page, for the session that asked for it.
    pub async fn verify_page_link(
        &self,
        caller: &SessionCaller,
        request: &RequestId,
        source: IpAddr,
    ) -> Result<PageLink, LinkError> {
        self.check_recent(caller)?;
        let now = self.clock.now();
        let (grant, state) = self.store.find_grant(request.digest()).await?.ok_or(LinkError::LinkExpired)?;
        let GrantKind::Link { session, account, .. } = grant.kind else { return Err(LinkError::LinkExpired) };
        if session != caller.session.id || now >= grant.expires_at {
            return Err(LinkError::LinkExpired);
        }
        let Proved { identity, email } = match state {
            GrantState::Approved(proved) => proved,
            GrantState::Refused => return Err(LinkError::Refused),
            GrantState::Expired | GrantState::Used { .. } => return Err(LinkError::LinkExpired),
            GrantState::Waiting => return Ok(PageLink::Pending),
        };
        if !self.allow.allows(&identity, email.as_ref()) {
            let entry = self.entry(caller, Action::LinkIdentity, identity.to_string(), source);
            let entry = Entry { outcome: Outcome::NotAllowed, ..entry };
            self.store.append(entry, vec![self.link_limit(account)]).await?;
            return Err(LinkError::NotAllowed);
        }
        let link = IdentityLink { identity, email, account, linked_at: now };
        let entry = self.entry(caller, Action::LinkIdentity, link.identity.to_string(), source);
        let notice =
            self.notice(NoticeKind::IdentityAdded, &link.identity, link.email.as_ref(), grant.client_name, source);
        let linking = self.store.redeem_link(grant.secret, link.clone(), entry, notice).await?;
        self.linked(linking.ok_or(LinkError::LinkExpired)?, link).map(PageLink::Linked)
    }

    /// Takes an identity away from the caller's account, and with it the sessions that it opened.
    pub async fn unlink_identity(
        &self,
        caller: &SessionCaller,
        identity: Identity,
        source: IpAddr,
    ) -> Result<(), LinkError> {
        self.check_recent(caller)?;
        let session = &caller.session;
        let is_anchor = OmniAccount::anchored_by(&self.client_id, &identity) == session.account;
        let entry = self.entry(caller, Action::UnlinkIdentity, identity.to_string(), source);
        let notice = self.notice(NoticeKind::IdentityRemoved, &identity, None, session.client_name.clone(), source);
        match self.store.unlink_identity(session.account, identity, is_anchor, entry, notice).await? {
            Unlinking::Last => Err(LinkError::Last),
            Unlinking::NotFound => Err(LinkError::NotFound),
            Unlinking::Unlinked { revoked } => {
                self.outbox.wake();
                for id in revoked {
                    self.standing.changed(id);
                }
                Ok(self.witness().await?)
            }
        }
    }

    fn linked(&self, linking: Linking, link: IdentityLink) -> Result<Linked, LinkError> {
        match linking {
            Linking::Already => Ok(Linked { link, is_new: false }),
            Linking::Linked => {
                self.outbox.wake();
                Ok(Linked { link, is_new: true })
            }
            Linking::Taken => Err(LinkError::Taken),
        }
    }

    /// The caller's identity, so that whoever gets a code knows whose account it is for.
    async fn owner_in_words(&self, caller: &SessionCaller) -> Result<String, StoreError> {
        let identity = &caller.session.identity;
        let links = self.identities(caller).await?;
        let link = links.iter().find(|link| link.identity == *identity);
        Ok(self.providers.in_words(identity, link.and_then(|link| link.email.as_ref())))
    }

    /// Whoever changes what opens an account must have shown lately that they are its person.
    fn check_recent(&self, caller: &SessionCaller) -> Result<(), LinkError> {
        let is_recent = self.clock.now() < caller.session.auth_time.after(RECENT);
        if is_recent { Ok(()) } else { Err(LinkError::Reauth) }
    }

    fn link_limit(&self, account: OmniAccount) -> Limit {
        let most = self.limits.links_per_account_and_hour;
        Limit { key: format!("link:{account}"), most, window: HOUR }
    }
}

impl From<SignInError> for LinkError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::RateLimited { retry_after } => Self::RateLimited { retry_after },
            SignInError::Store(error) => Self::Store(error),
            _ => Self::Mail,
        }
    }
}
