use std::{pin::Pin, sync::Arc, time::Duration};

use agentkeys_api::EmailStarted;
use agentkeys_client::{ClientError, CodePrompt};
use agentkeys_mock_server::{Mail, Mailbox};
use agentkeys_types::EmailAddress;
use async_trait::async_trait;

/// A mail on this machine that takes longer is not coming.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Reads the code from the mailbox, as a person would.
pub(super) struct MailboxPrompt {
    next: Option<Pin<Box<dyn Future<Output = Arc<Mail>> + Send>>>,
}

impl MailboxPrompt {
    /// For the next mail with a code to `address`, which must be asked for only afterwards.
    pub(super) fn new(mailbox: &Mailbox, address: &EmailAddress) -> Self {
        Self { next: Some(Box::pin(mailbox.next_of(address, |mail| code_in(&mail.text).is_some()))) }
    }
}

#[async_trait]
impl CodePrompt for MailboxPrompt {
    async fn code(&mut self, _: &EmailStarted, _: u32) -> Result<String, ClientError> {
        let next = self.next.take().ok_or(ClientError::NoCode)?;
        let mail = tokio::time::timeout(LONGEST_WAIT, next).await.map_err(|_| ClientError::NoCode)?;
        code_in(&mail.text).map(str::to_owned).ok_or(ClientError::NoCode)
    }
}

/// The line that is a code and nothing else: `K7Q4-MF2X`.
fn code_in(text: &str) -> Option<&str> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    text.lines().map(str::trim).find(|line| match line.split_once('-') {
        Some((left, right)) => [left, right].iter().all(|half| half.len() == 4 && half.as_bytes().iter().all(is_digit)),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_line_that_looks_like_one() {
        assert_eq!(code_in("Your code:\n\n    K7Q4-MF2X\n\nfrom agentkeys-dev"), Some("K7Q4-MF2X"));
        assert_eq!(code_in("asked at 2026-11-22 from a-b"), None);
    }
}
