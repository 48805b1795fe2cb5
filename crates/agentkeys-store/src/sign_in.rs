use std::time::Duration;

use agentkeys_types::{EmailAddress, Identity, KeyThumbprint, OmniAccount, RequestIdDigest, SessionId, Timestamp};
use async_trait::async_trait;

use crate::{BoundedLetter, Entry, IdentityLink, Letter, Limit, Linking, StoreError};

/// A sign-in that waits for its code. Neither the request id nor the code is kept, only what recognises them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSignIn {
    /// Recognises the terminal that asked.
    pub request: RequestIdDigest,
    /// The address that got the code.
    pub email: EmailAddress,
    /// The keyed hash of the code.
    pub code_hash: [u8; 32],
    /// Which machine asked.
    pub client_name: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the code stops working.
    pub expires_at: Timestamp,
    /// The device key that the session will be bound to, if any.
    pub key: Option<KeyThumbprint>,
    /// What the code does.
    pub purpose: Purpose,
}

/// What a code by mail does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It proves the address to a browser.
    Browser,
    /// It links the address to an account.
    Link {
        /// The session that asked, and answers.
        session: SessionId,
        /// Its account.
        account: OmniAccount,
    },
    /// It opens a session.
    Session,
}

/// How many wrong codes end a sign-in.
pub const MOST_WRONG_CODES: u32 = 5;

/// What became of the start of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It waits for its code.
    Begun,
    /// It is over a limit, and nothing was counted or kept.
    Limited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// As many mails wait as may, and nothing was counted or kept.
    QueueFull,
}

/// Somebody answered with a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeAnswer {
    /// Recognises the terminal that answers.
    pub request: RequestIdDigest,
    /// The keyed hash of the code as it was typed.
    pub code_hash: [u8; 32],
    /// What for: the code of another purpose is unknown.
    pub purpose: Purpose,
    /// When.
    pub now: Timestamp,
}

/// What a right code does.
#[derive(Clone, Debug)]
pub enum Opening {
    /// Links the address to an account, as [`IdentityLinkStore::link_identity`](crate::IdentityLinkStore::link_identity) does.
    Link(IdentityLink),
    /// Lets the browser of the same request decide as this identity, if that still waits, or else the code comes to
    /// [`CodeOutcome::Over`]. Recorded only where the identity may not sign in.
    Proof(Identity),
    /// Uses the code up, and opens nothing: the operator does not let this identity in.
    Refused,
    /// Opens the identity's account.
    Session(SessionOpening),
}

/// The session that a proved identity opens.
#[derive(Clone, Debug)]
pub struct SessionOpening {
    /// The identity.
    pub identity: Identity,
    /// The verified address that its provider has for the person, to be shown.
    pub email: Option<EmailAddress>,
    /// The account that it anchors when it signs in for the first time.
    pub anchor: OmniAccount,
    /// The session to open.
    pub id: SessionId,
    /// When that ends.
    pub expires_at: Timestamp,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOutcome {
    /// It was right, for the first and only time. With [`Opening::Session`], this account is open; with
    /// [`Opening::Proof`], the person may decide.
    Accepted {
        /// The account that is open, or with [`Opening::Refused`] the one that the address's identity opens, if any.
        account: Option<OmniAccount>,
    },
    /// It is over a limit: nothing was counted, and whether it was right is not said.
    Limited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// It was right, and this became of the link.
    Linked(Linking),
    /// The sign-in is over: expired, used, or tried too often; with [`Opening::Proof`], perhaps its browser is.
    Over,
    /// It was right, and used up, but the identity was taken away from the account that it had made.
    Retired,
    /// There is no such sign-in.
    Unknown,
    /// It was wrong, and counts.
    Wrong,
}

/// Remembers sign-ins by e-mail from the mail to the code.
#[async_trait]
pub trait EmailSignInStore: Send + Sync {
    /// Counts a sign-in against `limits`, lets it wait for its code and queues `letter` to its address: all or nothing.
    ///
    /// Without a letter, who begins it sends the code, and cancels it where that fails.
    async fn begin_email_sign_in(
        &self,
        sign_in: EmailSignIn,
        limits: Vec<Limit>,
        letter: Option<BoundedLetter>,
    ) -> Result<Begun, StoreError>;

    /// Forgets a sign-in whose mail could not leave.
    async fn cancel_email_sign_in(&self, request: RequestIdDigest) -> Result<(), StoreError>;

    /// The sign-in of this request, whatever became of it, as long as it is remembered.
    async fn find_email_sign_in(&self, request: RequestIdDigest) -> Result<Option<EmailSignIn>, StoreError>;

    /// Counts an answer against `limits`, and takes it: of any number at once, exactly one right code is accepted, and
    /// only before the fifth wrong one; one at or after the expiry is never accepted, nor any after it, wherever the
    /// clock goes.
    ///
    /// An accepted code links the identity if it is new, opens the session with the sign-in's own client name and
    /// device key, and records `entry` with the account filled in. Where the identity was linked before, `notice` is
    /// queued to every e-mail address of the account; where it is retired, that is recorded as
    /// [`Outcome::Retired`](crate::Outcome::Retired). A wrong one is counted and recorded as
    /// [`Outcome::WrongCode`](crate::Outcome::WrongCode), a refused one as [`Outcome::NotAllowed`](crate::Outcome::NotAllowed).
    /// [`CodeOutcome::Unknown`] is recorded like a wrong one, and writes as much; neither is recorded with a session.
    /// [`CodeOutcome::Limited`] and [`CodeOutcome::Over`] record nothing.
    async fn answer(
        &self,
        answer: CodeAnswer,
        opening: Opening,
        entry: Entry,
        limits: Vec<Limit>,
        notice: Option<Letter>,
    ) -> Result<CodeOutcome, StoreError>;
}
