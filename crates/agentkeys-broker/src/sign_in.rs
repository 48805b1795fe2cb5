use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::{AUDIENCE, Confirmation, KeyError, SessionTokenClaims, VerifiedToken, random};
use agentkeys_store::{
    Action, Beginning, Begun, BoundedLetter, CodeAnswer, CodeOutcome, EmailSignIn, Entry, Letter, Limit, Opening,
    Outcome, Purpose, SessionOpening, SessionRecord, Store, StoreError,
};
use agentkeys_types::{
    EmailAddress, Identity, KeyThumbprint, OmniAccount, RequestId, SessionId, SessionToken, Timestamp,
};

use crate::{
    Broker,
    code::TypedCode,
    mail::{CodeMail, CodePurpose, Message, Notice, NoticeKind},
};

/// For how long a code works.
pub(crate) const CODE_LIFE: Duration = Duration::from_mins(10);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The code is over, used, or was tried too often.
    #[error("the code is over: ask for a new one")]
    CodeExpired,
    /// The code is wrong, or of another request.
    #[error("the code is wrong")]
    InvalidCode,
    /// The code is answered with another device key than it was asked for with, or with none.
    #[error("the code must be answered with the device key that asked for it")]
    OtherKey,
    /// The mail could neither leave nor be queued.
    #[error("the mail with the code could not be sent: try again later")]
    Mail,
    /// The operator does not let this identity in.
    #[error("the operator of this broker does not let this identity sign in")]
    NotAllowed,
    /// The operator opens no session without a device key.
    #[error("this broker opens no session without a device key: it needs a proof in the header `DPoP`")]
    KeyRequired,
    /// Too many mails, or too many answers with a code.
    #[error("too many sign-ins: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The identity was taken away from the account that it had made.
    #[error("this identity was taken away from its account: sign in with another one of that account")]
    Retired,
    /// The session token could not be signed.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session that has just been opened, and its token.
#[derive(Debug)]
pub struct OpenedSession {
    /// The session token.
    pub token: SessionToken,
    /// Names the session.
    pub id: SessionId,
    /// The account that is open.
    pub account: OmniAccount,
    /// The identity that opened it.
    pub identity: Identity,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether the token is bound to a device key.
    pub is_bound: bool,
}

impl Broker {
    /// Queues a mail with a code for `email`, and returns the secret under which it is answered, with the same device key `key`.
    ///
    /// The same for every address, known or not, allowed or not.
    pub async fn start_email_sign_in(
        &self,
        email: EmailAddress,
        client_name: Option<String>,
        key: Option<KeyThumbprint>,
        source: IpAddr,
    ) -> Result<RequestId, SignInError> {
        if key.is_none() && !self.opens_unbound() {
            return Err(SignInError::KeyRequired);
        }
        let limits = self.mail_limits(&email, source);
        let asked = AskedCode {
            request: RequestId::from_bytes(random()),
            email,
            client_name,
            key,
            purpose: Purpose::Session,
            words: CodePurpose::SignIn,
            source,
            browser: None,
            limits,
        };
        self.begin_by_mail(asked).await
    }

    /// Lets a code wait whose mail is on its way then, or will be as soon as it can; returns the secret under which it
    /// is answered.
    ///
    /// A mail that cannot be queued is sent at once; where that fails too, no code is left pending.
    pub(crate) async fn begin_by_mail(&self, asked: AskedCode) -> Result<RequestId, SignInError> {
        let AskedCode { request, email, client_name, key, purpose, words, source, browser, limits } = asked;
        let (now, code) = (self.clock.now(), TypedCode::generate());
        let message = Message::Code(CodeMail {
            to: email.as_str().to_owned(),
            code: code.expose(),
            purpose: words,
            client_name: client_name.clone(),
            source,
            asked_at: now,
        });
        let sign_in = EmailSignIn {
            request: request.digest(),
            email,
            code_hash: code.hash(&self.code_key, request.digest()),
            client_name,
            created_at: now,
            expires_at: now.after(CODE_LIFE),
            key,
            purpose,
        };
        let code = PendingCode { sign_in, browser, limits };
        match code.begin(&*self.store, Some(self.outbox.seal_bounded(&message))).await? {
            Begun::Begun => {
                self.outbox.wake();
                return Ok(request);
            }
            Begun::Limited { retry_after } => return Err(SignInError::RateLimited { retry_after }),
            Begun::QueueFull => tracing::warn!("the queue of mails is full"),
        }
        if let Begun::Limited { retry_after } = code.begin(&*self.store, None).await? {
            return Err(SignInError::RateLimited { retry_after });
        }
        if let Err(error) = self.outbox.send_now(&message, code.sign_in.email).await {
            tracing::warn!(%error, "a mail with a code could neither be queued nor leave");
            self.store.cancel_email_sign_in(code.sign_in.request).await?;
            return Err(SignInError::Mail);
        }
        Ok(request)
    }

    /// Opens a session for whoever types the code from the mail into the terminal that asked.
    ///
    /// An unknown request is answered and recorded as a wrong code, so that both wait for the disk.
    pub async fn verify_email_sign_in(
        &self,
        request: &RequestId,
        typed_code: &str,
        key: Option<KeyThumbprint>,
        source: IpAddr,
    ) -> Result<OpenedSession, SignInError> {
        let now = self.clock.now();
        let answer = CodeAnswer {
            request: request.digest(),
            code_hash: TypedCode::typed(typed_code).hash(&self.code_key, request.digest()),
            purpose: Purpose::Session,
            now,
        };
        let waiting = self.store.find_email_sign_in(request.digest()).await?;
        let waiting = waiting.filter(|waiting| waiting.purpose == Purpose::Session);
        if waiting.as_ref().is_some_and(|waiting| waiting.key != key) {
            return Err(SignInError::OtherKey);
        }
        let subject_of = |waiting: &EmailSignIn| format!("email:{}", waiting.email);
        let entry = Entry {
            at: now,
            action: Action::SignIn,
            outcome: Outcome::Done,
            account: None,
            session: None,
            subject: waiting.as_ref().map_or_else(|| "unknown request".to_owned(), subject_of),
            source: Some(source),
        };
        let limits = self.code_limits(source);
        // A wrong code goes the same way as an unknown request: for neither a session is prepared.
        let Some(right) = waiting.filter(|waiting| waiting.code_hash == answer.code_hash) else {
            return Err(refusal(self.store.answer(answer, Opening::Refused, entry, limits, None).await?));
        };
        let EmailSignIn { email, client_name, .. } = right;
        let identity = Identity::email(email);
        let allowed = self.allow.allows(&identity, None);
        let session = self.opening(identity.clone(), None, key.is_some());
        let (id, expires_at) = (session.id, session.expires_at);
        let opening = if allowed { Opening::Session(session) } else { Opening::Refused };
        let entry = Entry { session: allowed.then_some(id), ..entry };
        let notice = self.notice(NoticeKind::SignIn, &identity, None, client_name, source);
        match self.store.answer(answer, opening, entry, limits, Some(notice)).await? {
            CodeOutcome::Accepted { account: Some(account) } if allowed => {
                self.outbox.wake();
                let session = SessionRecord { key, ..SessionRecord::opened(id, account, identity, now, expires_at) };
                Ok(self.issue_session(session, now)?)
            }
            outcome => Err(refusal(outcome)),
        }
    }

    /// The session that a proof of `identity` opens now, of which `email` is shown.
    pub(crate) fn opening(&self, identity: Identity, email: Option<EmailAddress>, is_bound: bool) -> SessionOpening {
        let anchor = OmniAccount::anchored_by(&self.client_id, &identity);
        let expires_at = self.clock.now().after(self.sessions.life(is_bound));
        SessionOpening { identity, email, anchor, id: SessionId::from_bytes(random()), expires_at }
    }

    /// Signs a token of the session that is issued at `issued_at`.
    pub(crate) fn issue_session(
        &self,
        session: SessionRecord,
        issued_at: Timestamp,
    ) -> Result<OpenedSession, KeyError> {
        let claims = SessionTokenClaims {
            iss: self.issuer.as_str().to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: session.account,
            sid: session.id,
            iat: issued_at.as_unix(),
            exp: session.expires_at.as_unix(),
            auth_time: session.auth_time.as_unix(),
            idt: session.identity.identity_type().clone(),
            cnf: session.key.map(|jkt| Confirmation { jkt }),
        };
        let token = self.session_issuer.issue(&claims)?;
        self.verifier.remember(token.digest(), VerifiedToken::Session(claims.into()));
        let SessionRecord { id, account, identity, expires_at, key, .. } = session;
        Ok(OpenedSession { token, id, account, identity, expires_at, is_bound: key.is_some() })
    }

    /// What everybody who can open an account is told of a change to it.
    pub(crate) fn notice(
        &self,
        kind: NoticeKind,
        identity: &Identity,
        email: Option<&EmailAddress>,
        client_name: Option<String>,
        source: IpAddr,
    ) -> Letter {
        let identity = self.providers.in_words(identity, email);
        self.outbox.seal(&Message::Notice(Notice { kind, identity, client_name, source, at: self.clock.now() }))
    }

    pub(crate) fn mail_limits(&self, email: &EmailAddress, source: IpAddr) -> Vec<Limit> {
        let limit = |key, most| Limit { key, most, window: HOUR };
        vec![
            limit(format!("mail:{email}"), self.limits.mails_per_address_and_hour),
            limit(format!("mail-from:{source}"), self.limits.mails_per_source_and_hour),
            limit("mail".to_owned(), self.limits.mails_per_hour),
        ]
    }

    /// Answers to requests that somebody made up are recorded too, and must not fill the disk.
    pub(crate) fn code_limits(&self, source: IpAddr) -> Vec<Limit> {
        let limit = |key, most| Limit { key, most, window: HOUR };
        vec![
            limit(format!("code-from:{source}"), self.limits.codes_per_source_and_hour),
            limit("code".to_owned(), self.limits.codes_per_hour),
        ]
    }
}

/// A code by mail that somebody asks for.
pub(crate) struct AskedCode {
    /// The secret under which it is answered.
    pub(crate) request: RequestId,
    /// Who gets it.
    pub(crate) email: EmailAddress,
    /// Which machine asks.
    pub(crate) client_name: Option<String>,
    /// The device key that answers, if any.
    pub(crate) key: Option<KeyThumbprint>,
    /// What the code does.
    pub(crate) purpose: Purpose,
    /// What its mail says that it does.
    pub(crate) words: CodePurpose,
    /// From where the machine asks.
    pub(crate) source: IpAddr,
    /// The browser that asks for it, if it is one.
    pub(crate) browser: Option<Beginning>,
    /// What it counts against.
    pub(crate) limits: Vec<Limit>,
}

/// A code that is about to wait for its answer.
struct PendingCode {
    sign_in: EmailSignIn,
    browser: Option<Beginning>,
    limits: Vec<Limit>,
}

impl PendingCode {
    async fn begin(&self, store: &dyn Store, letter: Option<BoundedLetter>) -> Result<Begun, StoreError> {
        let (sign_in, limits) = (self.sign_in.clone(), self.limits.clone());
        match &self.browser {
            None => store.begin_email_sign_in(sign_in, limits, letter).await,
            Some(browser) => {
                let beginning = Beginning { email: Some((sign_in, letter)), ..browser.clone() };
                store.begin_browser_sign_in(beginning, limits).await
            }
        }
    }
}

/// Why an answer with a code opened nothing.
fn refusal(outcome: CodeOutcome) -> SignInError {
    match outcome {
        CodeOutcome::Accepted { .. } => SignInError::NotAllowed,
        CodeOutcome::Limited { retry_after } => SignInError::RateLimited { retry_after },
        CodeOutcome::Linked(_) | CodeOutcome::Over => SignInError::CodeExpired,
        CodeOutcome::Retired => SignInError::Retired,
        CodeOutcome::Unknown | CodeOutcome::Wrong => SignInError::InvalidCode,
    }
}
