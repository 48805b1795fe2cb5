use std::{fmt, time::Duration};

use agentkeys_types::{EmailAddress, Timestamp};
use async_trait::async_trait;

use crate::StoreError;

/// What somebody is to be told by mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says, sealed by the broker: the store never has a code in plain text.
    pub content: Vec<u8>,
    /// When it was written.
    pub written_at: Timestamp,
    /// From when on it is of no use, and no longer sent.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Letter")
            .field("written_at", &self.written_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A letter that anybody can cause, so that it is queued only where there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundedLetter {
    /// What is to be sent.
    pub letter: Letter,
    /// With how many mails the queue is full.
    pub most_waiting: u32,
}

/// A letter on its way to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    /// Names it, and no other mail ever.
    pub id: u64,
    /// Who gets it.
    pub recipient: EmailAddress,
    /// What is to be sent.
    pub letter: Letter,
    /// How often it could not leave.
    pub attempts: u32,
}

/// The queue at a glance. Expired mails do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailsWaiting {
    /// How many mails wait, those under way among them.
    pub count: u64,
    /// When the next of them may be claimed, or might have been.
    pub next_attempt_at: Option<Timestamp>,
    /// When the oldest was written of those that could not leave at their first attempt.
    pub delayed_since: Option<Timestamp>,
}

/// Remembers mails until they have left. Each leaves at least once, and more often only when a broker fails while it
/// sends.
///
/// Mails are queued by whatever causes them, in its own transaction.
#[async_trait]
pub trait MailStore: Send + Sync {
    /// Takes the mail that has been due for longest, if any is, so that nobody else gets it before `now` + `lease`.
    async fn claim_mail(&self, now: Timestamp, lease: Duration) -> Result<Option<QueuedMail>, StoreError>;

    /// Counts an attempt at a mail that could not leave, and makes it due again at `next_attempt_at`.
    async fn delay_mail(&self, id: u64, next_attempt_at: Timestamp) -> Result<(), StoreError>;

    /// Forgets a mail that has left, or never will. Succeeds also where there was none.
    async fn remove_mail(&self, id: u64) -> Result<(), StoreError>;

    /// What waits.
    async fn mails_waiting(&self, now: Timestamp) -> Result<MailsWaiting, StoreError>;
}
