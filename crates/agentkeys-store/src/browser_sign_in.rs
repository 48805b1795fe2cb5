use agentkeys_types::{IdentityType, RequestIdDigest, Timestamp};
use async_trait::async_trait;

use crate::{Begun, BoundedLetter, EmailSignIn, Entry, Grant, GrantState, Limit, Proved, StoreError};

/// A browser in which a person proves an identity, to approve a grant with it.
///
/// Its secret is the `state` at a provider, and the request id of a code by mail: only the digest is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSignIn {
    /// Recognises it.
    pub request: RequestIdDigest,
    /// Recognises the browser, by its cookie.
    pub browser: RequestIdDigest,
    /// The grant that is to be approved.
    pub grant: RequestIdDigest,
    /// Which kind of identity is proved.
    pub way: IdentityType,
    /// When it began.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// How far a browser has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserState {
    /// The provider's answer came, and is being looked at.
    Answered,
    /// The person has approved or refused.
    Decided,
    /// Somebody came when it was over or its grant was, and it stays so wherever the clock goes. Until then only its
    /// [`expires_at`](BrowserSignIn::expires_at) tells.
    Over,
    /// The identity is proved, and waits for the person's decision.
    Proved(Proved),
    /// The identity is not proved yet.
    Waiting,
}

/// What a browser begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The browser.
    pub sign_in: BrowserSignIn,
    /// The grant, where it begins with it.
    pub grant: Option<Grant>,
    /// The code by mail, where the identity is an address, and the letter that takes it there, as in
    /// [`EmailSignInStore::begin_email_sign_in`](crate::EmailSignInStore::begin_email_sign_in).
    pub email: Option<(EmailSignIn, Option<BoundedLetter>)>,
}

/// What a person decided.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The grant may be redeemed as the identity that was proved.
    Approve,
    /// It may not.
    Refuse,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It counts.
    Done,
    /// The browser had nothing to decide, or the grant was decided or is over.
    Over,
}

/// A browser, how far it has come, and the grant that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBrowser {
    /// The browser.
    pub sign_in: BrowserSignIn,
    /// How far it has come.
    pub state: BrowserState,
    /// The grant.
    pub grant: Grant,
    /// How far that has come.
    pub grant_state: GrantState,
}

/// Remembers the browsers in which people prove their identities.
#[async_trait]
pub trait BrowserSignInStore: Send + Sync {
    /// Counts a beginning against `limits`, remembers all that belongs to it and queues its letter: all or nothing.
    async fn begin_browser_sign_in(&self, beginning: Beginning, limits: Vec<Limit>) -> Result<Begun, StoreError>;

    /// The browser of this secret, as long as it and its grant are remembered.
    async fn find_browser_sign_in(&self, request: RequestIdDigest) -> Result<Option<FoundBrowser>, StoreError>;

    /// Takes the answer of a provider: of any number at once exactly one is taken, and none at or after the expiry.
    async fn answer_browser_sign_in(&self, request: RequestIdDigest, now: Timestamp) -> Result<bool, StoreError>;

    /// Lets the person decide as this identity, once its provider's answer has been taken.
    async fn prove_browser_sign_in(&self, request: RequestIdDigest, proved: Proved) -> Result<bool, StoreError>;

    /// Takes the person's decision, for the browser and its grant: of any number at once exactly one counts, of one
    /// browser and of all browsers about one grant, and none at or after the expiry of either. An authorization code that
    /// is approved ends [`CODE_KEPT`](crate::CODE_KEPT) later, if not before.
    ///
    /// A refusal is recorded as `entry`; an approval is recorded when it is redeemed.
    async fn decide(&self, request: RequestIdDigest, decision: Decision, entry: Entry) -> Result<Decided, StoreError>;
}
