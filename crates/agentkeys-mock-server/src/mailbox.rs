//! A mailbox for development: whatever is sent to its SMTP listener stays here, and nothing is delivered.
//!
//! People read it at `GET /mail`, programs in the same process through [`Mailbox::next_to`].

mod message;
mod pages;
mod smtp;

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use agentkeys_types::{Clock, EmailAddress, Timestamp};
use axum::Router;
use tokio::sync::watch;

use self::message::Words;
pub use self::smtp::SmtpListener;

/// How many mails are kept: the newest.
const KEPT: usize = 200;

/// A mail, as a person would read it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Counts up from 1, and is never used again.
    pub id: u64,
    /// Who sent it by the envelope; nobody for a bounce.
    pub from: Option<EmailAddress>,
    /// Whom it is for by the envelope.
    pub to: Vec<EmailAddress>,
    /// The subject.
    pub subject: String,
    /// The text, or what remains of an HTML mail without its tags.
    pub text: String,
    /// The HTML, where there is some.
    pub html: Option<String>,
    /// The header fields as they came over the wire.
    pub head: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// Without its words, because codes stand there.
impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mail").field("id", &self.id).field("to", &self.to).finish_non_exhaustive()
    }
}

/// Who a mail is from and for, as SMTP says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Envelope {
    from: Option<EmailAddress>,
    to: Vec<EmailAddress>,
}

/// The newest mails, in memory. For development only. Clones share them.
#[derive(Clone, Debug)]
pub struct Mailbox {
    kept: Arc<Mutex<VecDeque<Arc<Mail>>>>,
    last_id: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Arc::default(), last_id: watch::Sender::new(0), clock }
    }

    /// The mails for `address`, or all of them; the newest first.
    pub fn mails(&self, address: Option<&EmailAddress>) -> Vec<Arc<Mail>> {
        let is_for = |mail: &&Arc<Mail>| address.is_none_or(|address| mail.to.contains(address));
        self.kept().iter().rev().filter(is_for).cloned().collect()
    }

    /// The mail with this id, while it is kept.
    pub fn find(&self, id: u64) -> Option<Arc<Mail>> {
        self.kept().iter().find(|mail| mail.id == id).cloned()
    }

    /// Forgets all mails.
    pub fn clear(&self) {
        self.kept().clear();
    }

    /// The first mail for `address` that comes after this call, however late the future is polled.
    pub fn next_to(&self, address: &EmailAddress) -> impl Future<Output = Arc<Mail>> + Send + use<> {
        self.next_of(address, |_| true)
    }

    /// As [`Mailbox::next_to`], of those mails that `is_wanted`.
    pub fn next_of<F>(&self, address: &EmailAddress, is_wanted: F) -> impl Future<Output = Arc<Mail>> + Send + use<F>
    where
        F: Fn(&Mail) -> bool + Send,
    {
        let (mailbox, address) = (self.clone(), address.clone());
        let mut last_id = self.last_id.subscribe();
        let seen = *last_id.borrow_and_update();
        async move {
            loop {
                let is_it = |mail: &Arc<Mail>| mail.id > seen && is_wanted(mail);
                let arrived = mailbox.mails(Some(&address)).into_iter().rev().find(is_it);
                if let Some(mail) = arrived {
                    return mail;
                }
                // The sender lives as long as `mailbox` does.
                let _ = last_id.changed().await;
            }
        }
    }

    /// `GET /mail`, `GET /mail/{id}`, `DELETE /mail`: for people as pages, for programs as JSON.
    pub fn router(&self) -> Router {
        pages::router(self.clone())
    }

    fn deliver(&self, envelope: Envelope, message: &[u8]) {
        let Words { subject, text, html, head } = message::read(message);
        let Envelope { from, to } = envelope;
        let mut kept = self.kept();
        let id = *self.last_id.borrow() + 1;
        tracing::info!(id, to = %Joined(&to), "mail received");
        kept.push_back(Arc::new(Mail { id, from, to, subject, text, html, head, received_at: self.clock.now() }));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        self.last_id.send_replace(id);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Mail>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses with commas between them.
struct Joined<'a>(&'a [EmailAddress]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use agentkeys_types::SystemClock;

    use super::*;

    fn address(text: &str) -> EmailAddress {
        text.parse().unwrap()
    }

    fn deliver(mailbox: &Mailbox, to: &str, subject: &str) {
        let envelope = Envelope { from: None, to: vec![address(to)] };
        mailbox.deliver(envelope, format!("Subject: {subject}\r\n\r\nhello\r\n").as_bytes());
    }

    #[tokio::test]
    async fn waiting_counts_from_the_call_and_for_one_address() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        deliver(&mailbox, "ada@example.com", "before");

        let next = mailbox.next_to(&address("ada@example.com"));
        deliver(&mailbox, "mallory@example.com", "not hers");
        deliver(&mailbox, "ada@example.com", "first");
        deliver(&mailbox, "ada@example.com", "second");

        assert_eq!(next.await.subject, "first");
    }

    #[tokio::test]
    async fn waiting_for_some_mail_lets_the_others_pass() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));

        let next = mailbox.next_of(&address("ada@example.com"), |mail| mail.subject == "wanted");
        deliver(&mailbox, "ada@example.com", "a notice");
        deliver(&mailbox, "ada@example.com", "wanted");

        assert_eq!(next.await.id, 2);
    }

    #[tokio::test]
    async fn a_mail_wakes_who_waits_for_it() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));

        let waiting = tokio::spawn(mailbox.next_to(&address("ada@example.com")));
        tokio::task::yield_now().await;
        deliver(&mailbox, "ada@example.com", "hello");

        assert_eq!(waiting.await.unwrap().subject, "hello");
    }

    #[test]
    fn only_the_newest_mails_are_kept() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));

        for number in 0..KEPT + 5 {
            deliver(&mailbox, "ada@example.com", &number.to_string());
        }

        let mails = mailbox.mails(None);
        assert_eq!(mails.len(), KEPT);
        assert_eq!(mails[0].subject, (KEPT + 4).to_string());
        assert!(mailbox.find(5).is_none());
    }

    #[test]
    fn ids_are_not_used_again_after_clearing() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        deliver(&mailbox, "ada@example.com", "one");

        mailbox.clear();
        deliver(&mailbox, "ada@example.com", "two");

        assert_eq!(mailbox.mails(None)[0].id, 2);
    }

    #[test]
    fn a_mail_does_not_print_its_code() {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        deliver(&mailbox, "ada@example.com", "K7Q4-MF2X");

        assert!(!format!("{mailbox:?}").contains("K7Q4"));
    }
}
