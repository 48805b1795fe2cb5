use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::random;
use agentkeys_provider::{ProviderError, RoundTrip};
use agentkeys_store::{
    Action, Beginning, Begun, BrowserSignIn, BrowserState, CodeAnswer, CodeOutcome, Decided, Decision, DeviceLookup,
    EmailSignIn, Entry, FoundBrowser, Grant, GrantKind, GrantState, IdentityLink, Opening, Outcome, Proved, Purpose,
    StoreError,
};
use agentkeys_types::{EmailAddress, Identity, IdentityType, ProviderName, RequestId};
use url::Url;

use crate::{
    AuthorizationRequest, Broker, RedirectUri,
    code::TypedCode,
    grants::FLOW_LIFE,
    mail::{CodeMail, CodePurpose},
    sign_in::{CODE_LIFE, PendingCode, SignInError},
};

/// What a person is in a browser for.
#[derive(Clone, Debug)]
pub enum Errand {
    /// To sign in the command on the same machine.
    Command(Box<AuthorizationRequest>),
    /// To sign in another machine, by the code that it shows.
    Device(String),
    /// To link an identity to an account, by the secret of the page.
    Link(RequestId),
}

/// Who waits for a person, and what may be chosen.
#[derive(Debug)]
pub struct Asking {
    /// What is waited for.
    pub grant: Grant,
    /// Where the errand is to link: an identity that opens the account today.
    pub owner: Option<IdentityLink>,
    /// The only way of proving an identity that is offered.
    pub way: Option<IdentityType>,
}

/// A person has proved an identity, and is to decide.
#[derive(Debug)]
pub struct Question {
    /// Who asks.
    pub asking: Asking,
    /// The identity.
    pub proved: Proved,
    /// Carried by the form.
    pub request: RequestId,
}

/// How a browser's part ended.
#[derive(Debug)]
pub enum Ending {
    /// The browser takes the answer to the command.
    Command(Url),
    /// The other machine may sign in.
    Device(Grant),
    /// The identity may be linked.
    Link {
        /// The identity.
        proved: Proved,
        /// An identity that opens the account today.
        owner: Option<IdentityLink>,
    },
    /// The person refused, and nobody waits for the browser.
    Refused,
}

/// Why a browser does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The code is over, used, or was tried too often.
    #[error("the code is over")]
    CodeExpired,
    /// The code is wrong.
    #[error("the code is wrong")]
    InvalidCode,
    /// The mail could neither leave nor be queued.
    #[error("the mail with the code could not be sent")]
    Mail,
    /// The operator does not let this identity in.
    #[error("the operator of this broker does not let this identity sign in")]
    NotAllowed,
    /// The page is that of another browser.
    #[error("the page is that of another browser")]
    OtherBrowser,
    /// The provider is away, or cannot be believed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Too often.
    #[error("too many sign-ins: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The identity was taken away from the account that it had made.
    #[error("the identity was taken away from the account that it had made")]
    Retired,
    /// The sign-in is unknown, over or used.
    #[error("the sign-in is unknown, over or used")]
    State,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No machine waits with this code.
    #[error("no machine shows this code")]
    UnknownDevice,
    /// This way of signing in is not offered.
    #[error("this way of signing in is not offered here")]
    Way,
}

impl From<SignInError> for BrowserError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::RateLimited { retry_after } => Self::RateLimited { retry_after },
            SignInError::Store(error) => Self::Store(error),
            _ => Self::Mail,
        }
    }
}

impl Broker {
    /// Who waits for the person that comes with this errand.
    pub async fn asking(&self, errand: &Errand, source: IpAddr) -> Result<Asking, BrowserError> {
        let now = self.clock.now();
        match errand {
            Errand::Command(request) => Ok(Asking {
                grant: self.code_grant(request, &RequestId::from_bytes(random()), source),
                owner: None,
                way: request.way.clone(),
            }),
            Errand::Device(user_code) => {
                let user_code = TypedCode::typed(user_code).hash_alone(&self.code_key);
                match self.store.find_device_grant(user_code, now, self.code_limits(source)).await? {
                    DeviceLookup::Found(grant) => Ok(Asking { grant: *grant, owner: None, way: None }),
                    DeviceLookup::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
                    DeviceLookup::Unknown => Err(BrowserError::UnknownDevice),
                }
            }
            Errand::Link(page) => {
                let found = self.store.find_grant(self.link_of(page).digest()).await?;
                let (grant, state) = found.ok_or(BrowserError::State)?;
                if state != GrantState::Waiting || now >= grant.expires_at {
                    return Err(BrowserError::State);
                }
                Ok(self.asked_by(grant).await?)
            }
        }
    }

    /// Begins at a provider: returns where the browser goes.
    pub async fn begin_at_provider(
        &self,
        errand: &Errand,
        provider: &ProviderName,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Url, BrowserError> {
        let relying_party = self.providers.find(provider).ok_or(BrowserError::Way)?.provider();
        let request = RequestId::from_bytes(random());
        // First, so that a provider that is away costs no row.
        let url = relying_party.authorization_url(&self.round_trip(&request)?).await?;
        let way = IdentityType::Oauth2(provider.clone());
        let (beginning, _) = self.beginning(errand, way, &request, browser, source).await?;
        match self.store.begin_browser_sign_in(beginning, self.flow_limits(source)).await? {
            Begun::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
            Begun::Begun | Begun::QueueFull => Ok(url),
        }
    }

    /// Begins with a code by mail: returns what the form for the code carries.
    pub async fn begin_by_email(
        &self,
        errand: &Errand,
        email: EmailAddress,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<RequestId, BrowserError> {
        let request = RequestId::from_bytes(random());
        let (beginning, grant) = self.beginning(errand, IdentityType::Email, &request, browser, source).await?;
        let code = TypedCode::generate();
        let now = self.clock.now();
        let sign_in = EmailSignIn {
            request: request.digest(),
            email: email.clone(),
            code_hash: code.hash(&self.code_key, request.digest()),
            client_name: grant.client_name.clone(),
            created_at: now,
            expires_at: now.after(CODE_LIFE),
            key: None,
            purpose: Purpose::Browser,
        };
        let mail = CodeMail {
            to: email.as_str().to_owned(),
            code: code.expose(),
            purpose: CodePurpose::SignIn,
            client_name: grant.client_name,
            source: grant.source,
            asked_at: now,
        };
        let mut limits = self.mail_limits(&email, source);
        limits.extend(self.flow_limits(source));
        self.begin_by_mail(PendingCode { sign_in, browser: Some(beginning), limits }, mail).await?;
        Ok(request)
    }

    /// Takes the answer of a provider, which counts once, in the browser where it was asked for.
    pub async fn answer_of_provider(
        &self,
        provider: &ProviderName,
        answer: ProviderAnswer<'_>,
        browser: Option<&RequestId>,
        source: IpAddr,
    ) -> Result<Question, BrowserError> {
        let request: RequestId = answer.state.and_then(|state| state.parse().ok()).ok_or(BrowserError::State)?;
        let found = self.find_browser(&request, browser).await?;
        let relying_party = self.providers.find(provider).ok_or(BrowserError::State)?.provider();
        if found.sign_in.way != IdentityType::Oauth2(provider.clone()) {
            return Err(ProviderError::IssuerMismatch.into());
        }
        relying_party.check_issuer(answer.iss).await?;
        if !self.store.answer_browser_sign_in(request.digest(), self.clock.now()).await? {
            return Err(BrowserError::State);
        }
        let code = match (answer.code, answer.error) {
            (Some(code), None) => code,
            (_, error) => {
                return Err(ProviderError::refused(error.unwrap_or_default(), answer.error_description).into());
            }
        };
        let subject = relying_party.exchange(code, answer.iss, &self.round_trip(&request)?).await?;
        let proved = Proved { identity: subject.identity, email: subject.email };
        self.admit(&proved, source).await?;
        if !self.store.prove_browser_sign_in(request.digest(), proved.clone()).await? {
            return Err(BrowserError::State);
        }
        Ok(Question { asking: self.asked_by(found.grant).await?, proved, request })
    }

    /// Takes the code that a person typed into the page.
    pub async fn answer_of_person(
        &self,
        request: RequestId,
        typed_code: &str,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Question, BrowserError> {
        let found = self.find_browser(&request, Some(browser)).await?;
        let waiting = self.store.find_email_sign_in(request.digest()).await?;
        let waiting = waiting.filter(|waiting| waiting.purpose == Purpose::Browser).ok_or(BrowserError::State)?;
        let now = self.clock.now();
        let code_hash = TypedCode::typed(typed_code).hash(&self.code_key, request.digest());
        let answer = CodeAnswer { request: request.digest(), code_hash, purpose: Purpose::Browser, now };
        let identity = Identity::email(waiting.email);
        let is_allowed = self.allow.allows(&identity, None);
        let opening = if is_allowed { Opening::Proof(identity.clone()) } else { Opening::Refused };
        let entry = self.sign_in_entry(&identity, source);
        match self.store.answer(answer, opening, entry, self.code_limits(source), None).await? {
            CodeOutcome::Accepted { .. } if is_allowed => {
                let asking = self.asked_by(found.grant).await?;
                Ok(Question { asking, proved: Proved { identity, email: None }, request })
            }
            CodeOutcome::Accepted { .. } => Err(BrowserError::NotAllowed),
            CodeOutcome::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
            CodeOutcome::Retired => Err(BrowserError::Retired),
            CodeOutcome::Linked(_) | CodeOutcome::Over => Err(BrowserError::CodeExpired),
            CodeOutcome::Unknown | CodeOutcome::Wrong => Err(BrowserError::InvalidCode),
        }
    }

    /// Takes the decision of a person, which counts once.
    pub async fn decide(
        &self,
        request: &RequestId,
        decision: Decision,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Ending, BrowserError> {
        let FoundBrowser { state, grant, .. } = self.find_browser(request, Some(browser)).await?;
        let BrowserState::Proved(proved) = state else { return Err(BrowserError::State) };
        let entry = Entry { outcome: Outcome::Refused, ..self.sign_in_entry(&proved.identity, source) };
        let is_approved = matches!(decision, Decision::Approve);
        if self.store.decide(request.digest(), decision, entry).await? == Decided::Over {
            return Err(BrowserError::State);
        }
        Ok(match &grant.kind {
            GrantKind::Code { redirect_uri, state, .. } => {
                let place = RedirectUri::parse(redirect_uri).ok_or(BrowserError::State)?;
                let issuer = self.issuer.as_str();
                Ending::Command(if is_approved {
                    place.approved(&self.code_of(request).expose(), state, issuer)
                } else {
                    let error = agentkeys_api::OauthError::AccessDenied;
                    place.refused(error, "the person refused", state, issuer)
                })
            }
            _ if !is_approved => Ending::Refused,
            GrantKind::Device { .. } => Ending::Device(grant),
            GrantKind::Link { .. } => {
                let owner = self.asked_by(grant).await?.owner;
                Ending::Link { proved, owner }
            }
        })
    }

    /// What a form of this browser carries, so that no other page can post it.
    pub fn form_proof(&self, browser: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"form", browser.expose_bytes()]))
    }

    /// Where the code of a browser went, and for how long it counts.
    pub async fn mailed_code(
        &self,
        request: &RequestId,
        browser: &RequestId,
    ) -> Result<(EmailAddress, Duration), BrowserError> {
        self.find_browser(request, Some(browser)).await?;
        let waiting = self.store.find_email_sign_in(request.digest()).await?.ok_or(BrowserError::State)?;
        Ok((waiting.email, waiting.expires_at.since(self.clock.now())))
    }

    /// Refuses an identity that may not sign in, and records that.
    async fn admit(&self, proved: &Proved, source: IpAddr) -> Result<(), BrowserError> {
        let is_allowed = self.allow.allows(&proved.identity, proved.email.as_ref());
        let (outcome, error) = if !is_allowed {
            (Outcome::NotAllowed, BrowserError::NotAllowed)
        } else if self.store.is_retired(&proved.identity).await? {
            (Outcome::Retired, BrowserError::Retired)
        } else {
            return Ok(());
        };
        let entry = Entry { outcome, ..self.sign_in_entry(&proved.identity, source) };
        self.store.append(entry, Vec::new()).await?;
        Err(error)
    }

    async fn find_browser(
        &self,
        request: &RequestId,
        browser: Option<&RequestId>,
    ) -> Result<FoundBrowser, BrowserError> {
        let found = self.store.find_browser_sign_in(request.digest()).await?.ok_or(BrowserError::State)?;
        if browser.map(RequestId::digest) != Some(found.sign_in.browser) {
            return Err(BrowserError::OtherBrowser);
        }
        if self.clock.now() >= found.sign_in.expires_at || found.grant_state != GrantState::Waiting {
            return Err(BrowserError::State);
        }
        Ok(found)
    }

    async fn beginning(
        &self,
        errand: &Errand,
        way: IdentityType,
        request: &RequestId,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<(Beginning, Grant), BrowserError> {
        let now = self.clock.now();
        let asking = self.asking(errand, source).await?;
        if asking.way.is_some_and(|only| only != way) {
            return Err(BrowserError::Way);
        }
        let (grant, is_new) = match errand {
            Errand::Command(asked) => (self.code_grant(asked, request, source), true),
            _ => (asking.grant, false),
        };
        let sign_in = BrowserSignIn {
            request: request.digest(),
            browser: browser.digest(),
            grant: grant.secret,
            way,
            created_at: now,
            expires_at: now.after(FLOW_LIFE).min(grant.expires_at),
        };
        Ok((Beginning { sign_in, grant: is_new.then(|| grant.clone()), email: None }, grant))
    }

    /// The grant of a command, whose code is made of the browser's secret: nobody else can have it before it is approved.
    fn code_grant(&self, asked: &AuthorizationRequest, request: &RequestId, source: IpAddr) -> Grant {
        let now = self.clock.now();
        Grant {
            secret: self.code_of(request).digest(),
            kind: GrantKind::Code {
                redirect_uri: asked.redirect_uri.as_str().to_owned(),
                state: asked.state.clone(),
                challenge: asked.challenge,
            },
            client_name: asked.client_name.clone(),
            key: asked.key,
            source,
            created_at: now,
            expires_at: now.after(FLOW_LIFE),
        }
    }

    async fn asked_by(&self, grant: Grant) -> Result<Asking, StoreError> {
        let (owner, way) = match &grant.kind {
            GrantKind::Link { account, way, .. } => {
                (self.store.identities(*account).await?.into_iter().next(), Some(way.clone()))
            }
            GrantKind::Code { .. } | GrantKind::Device { .. } => (None, None),
        };
        Ok(Asking { grant, owner, way })
    }

    fn code_of(&self, request: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"authorization code", request.expose_bytes()]))
    }

    /// Made of the browser's secret, which comes back as the state: so nothing of it is stored.
    fn round_trip(&self, request: &RequestId) -> Result<RoundTrip, BrowserError> {
        let derived = |label: &[u8]| hex::encode(self.code_key.hash(&[label, request.expose_bytes()])).into();
        let round_trip = RoundTrip::new(request.expose().into(), derived(b"openid nonce"), derived(b"pkce verifier"));
        round_trip.map_err(|_| BrowserError::State)
    }

    /// The secret of the session that asked for a page, from the secret of the page.
    pub(crate) fn link_of(&self, page: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"link request", page.expose_bytes()]))
    }

    fn sign_in_entry(&self, identity: &Identity, source: IpAddr) -> Entry {
        Entry {
            at: self.clock.now(),
            action: Action::SignIn,
            outcome: Outcome::Done,
            account: None,
            session: None,
            subject: identity.to_string(),
            source: Some(source),
        }
    }
}

/// What a provider has the browser bring back (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207).
#[derive(Clone, Copy, Debug)]
pub struct ProviderAnswer<'p> {
    /// The code.
    pub code: Option<&'p str>,
    /// The error.
    pub error: Option<&'p str>,
    /// What the provider says about it.
    pub error_description: Option<&'p str>,
    /// The provider.
    pub iss: Option<&'p str>,
    /// The browser's secret.
    pub state: Option<&'p str>,
}
