use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_crypto::{SealingKey, random};
use agentkeys_store::{BoundedLetter, Letter, QueuedMail, Store, StoreError};
use agentkeys_types::{Clock, EmailAddress, Timestamp};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use super::{MailError, Mailer, Message, RenderedMail};

/// What letters are sealed for.
const CONTEXT: &[u8] = b"letter";
/// How many mails leave at once, so that one slow answer does not hold up the rest.
const AT_ONCE: usize = 4;
/// Longer than an attempt can take; what a broker had claimed when it fell is tried again after that.
const LEASE: Duration = Duration::from_mins(1);
/// How often what other brokers have left behind, and what is due again, is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how long a mail is tried again, by how often it was tried.
const BACK_OFF: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
];
const LONGEST_BACK_OFF: Duration = Duration::from_hours(1);
/// For how long mail may be held up before somebody should know.
const PATIENCE: Duration = Duration::from_mins(2);
/// For how long a failure of the mail server says something about now.
const FAILURE_COUNTS: Duration = Duration::from_mins(5);

/// Has the mails of the store leave, one attempt after the other.
#[derive(Debug)]
pub(crate) struct Outbox {
    store: Arc<dyn Store>,
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
    key: SealingKey,
    most_waiting: u32,
    queued: Notify,
    stopping: watch::Sender<bool>,
    /// When the mail server was last not there for us, if no mail has left since.
    failed_at: Mutex<Option<Timestamp>>,
}

impl Outbox {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
        key: SealingKey,
        most_waiting: u32,
    ) -> Self {
        let (queued, stopping, failed_at) = (Notify::new(), watch::Sender::new(false), Mutex::default());
        Self { store, mailer, clock, key, most_waiting, queued, stopping, failed_at }
    }

    /// Seals a message for the store. Who has queued it calls [`Outbox::wake`].
    pub(crate) fn seal(&self, message: &Message) -> Letter {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(message).expect("a message is plain data"));
        let written_at = message.written_at();
        let content = self.key.seal(&plain, CONTEXT);
        Letter { content, written_at, expires_at: written_at.after(message.life()) }
    }

    /// As [`Outbox::seal`], for what anybody can cause.
    pub(crate) fn seal_bounded(&self, message: &Message) -> BoundedLetter {
        BoundedLetter { letter: self.seal(message), most_waiting: self.most_waiting }
    }

    /// Looks for mails at once.
    pub(crate) fn wake(&self) {
        self.queued.notify_one();
    }

    /// Sends a message that is in no queue; returns when the mail server has taken it.
    pub(crate) async fn send_now(&self, message: &Message, to: EmailAddress) -> Result<(), MailError> {
        let mail = RenderedMail::of(message, to).map_err(|_| MailError::Unreadable)?;
        let sent = self.mailer.send(&mail).await;
        self.note(&sent);
        sent
    }

    /// Whether mail has waited for too long, and the mail server is the reason.
    ///
    /// A recipient that is never there is no such reason, or anybody could have a broker taken for unready.
    pub(crate) async fn is_stuck(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_none_or(|failed_at| now >= failed_at.after(FAILURE_COUNTS)) {
            return Ok(false);
        }
        let waiting = self.store.mails_waiting(now).await?;
        Ok(waiting.delayed_since.is_some_and(|since| now > since.after(PATIENCE)))
    }

    /// Sends what is due until [`Outbox::stop`], and ends when what was under way then has left.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        let mut under_way = JoinSet::new();
        while !*stopping.borrow_and_update() {
            if under_way.len() == AT_ONCE {
                under_way.join_next().await;
                continue;
            }
            match self.claim().await {
                Ok(Some(mail)) => {
                    let outbox = Arc::clone(&self);
                    under_way.spawn(async move { outbox.attempt(mail).await });
                }
                Ok(None) => tokio::select! {
                    () = self.queued.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    _ = stopping.changed() => {}
                },
                Err(error) => {
                    tracing::warn!(%error, "the mails that wait could not be read");
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                        _ = stopping.changed() => {}
                    }
                }
            }
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Begins no further attempt.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Takes the next mail that is due. Asks without writing first, because mostly there is none.
    async fn claim(&self) -> Result<Option<QueuedMail>, StoreError> {
        let now = self.clock.now();
        let waiting = self.store.mails_waiting(now).await?;
        #[expect(clippy::cast_precision_loss, reason = "there are not that many mails")]
        metrics::gauge!("agentkeys_mails_waiting").set(waiting.count as f64);
        if waiting.next_attempt_at.is_none_or(|due| due > now) {
            return Ok(None);
        }
        self.store.claim_mail(now, LEASE).await
    }

    async fn attempt(&self, mail: QueuedMail) {
        let (id, attempts, domain) = (mail.id, mail.attempts, mail.recipient.domain().to_owned());
        let sent = match self.open(mail) {
            Some(mail) => self.mailer.send(&mail).await,
            None => Err(MailError::Unreadable),
        };
        self.note(&sent);
        let done = match sent {
            Ok(()) => self.store.remove_mail(id).await,
            Err(error) if error.is_final() => {
                tracing::warn!(%error, domain, "a mail was dropped");
                self.store.remove_mail(id).await
            }
            Err(error) => {
                tracing::warn!(%error, domain, attempts, "a mail could not leave, and is tried again");
                self.store.delay_mail(id, self.clock.now().after(back_off(attempts))).await
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, "what became of a mail could not be written: it may leave once more");
        }
    }

    fn open(&self, mail: QueuedMail) -> Option<RenderedMail> {
        let plain = self.key.open(&mail.letter.content, CONTEXT)?;
        let message: Message = serde_json::from_slice(&plain).ok()?;
        if !message.is_for(&mail.recipient) {
            return None;
        }
        RenderedMail::of(&message, mail.recipient).ok()
    }

    /// Counts an attempt, and remembers whether the mail server is there for us.
    fn note(&self, sent: &Result<(), MailError>) {
        let outcome = match sent {
            Ok(()) => "left",
            Err(error) if error.is_final() => "dropped",
            Err(_) => "delayed",
        };
        metrics::counter!("agentkeys_mails_total", "outcome" => outcome).increment(1);
        let mut failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Err(MailError::Unavailable(_)) => *failed_at = Some(self.clock.now()),
            Err(MailError::Unreadable) => {}
            // Whatever it says of this mail, it is there.
            _ => *failed_at = None,
        }
    }
}

/// After how long a mail is tried again that was tried so often before, with up to a tenth more, so that mails that
/// failed together do not come back together.
fn back_off(attempts: u32) -> Duration {
    let attempts = usize::try_from(attempts).unwrap_or(usize::MAX);
    let wait = BACK_OFF.get(attempts).copied().unwrap_or(LONGEST_BACK_OFF);
    wait + wait / 10 * u32::from(random::<1>()[0]) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_up_to_one_an_hour_and_never_keep_step() {
        for (attempts, seconds) in [5, 15, 60, 300, 900, 3600, 3600].into_iter().enumerate() {
            let waits: Vec<u64> = (0..100).map(|_| back_off(u32::try_from(attempts).unwrap()).as_secs()).collect();

            assert!(waits.iter().all(|wait| (seconds..=seconds + seconds / 10).contains(wait)), "{waits:?}");
            assert!(seconds < 60 || waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        }
        assert!(back_off(u32::MAX) >= LONGEST_BACK_OFF);
    }
}
