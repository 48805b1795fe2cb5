//! What people are told by mail, from its words to the mail server.
//!
//! A [`Message`] is what is to be said. Sealed, it waits in the store as a letter, until the [`Outbox`] has it rendered
//! and a [`Mailer`] takes it.

mod message;
mod outbox;
mod rendered;
mod smtp;

pub(crate) use self::{
    message::{CodeMail, CodePurpose, Message, Notice, NoticeKind},
    outbox::Outbox,
};
pub use self::{
    rendered::RenderedMail,
    smtp::{MailError, Mailer, SmtpMailer},
};
