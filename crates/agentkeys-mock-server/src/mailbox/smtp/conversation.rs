use super::{
    command::{Command, Reply},
    lines::{BadLine, Lines},
};
use crate::mailbox::{Envelope, Mailbox};

pub(super) const GREETING: &str = "220 localhost ESMTP AgentKeys development mailbox\r\n";
pub(super) const BUSY: &str = "421 4.3.2 Too many connections, try again later\r\n";
pub(super) const CLOSING: &str = "421 4.3.2 Closing the connection\r\n";

const OK: Reply = "250 2.0.0 OK\r\n";
const OUT_OF_ORDER: Reply = "503 5.5.1 Bad sequence of commands\r\n";
const TOO_LARGE: Reply = "552 5.3.4 Message too large\r\n";
const TOO_LONG: Reply = "500 5.5.2 Line too long\r\n";

const LARGEST_MESSAGE: usize = 256 * 1024;
/// RFC 5321 section 4.5.3.1.8 asks for at least a hundred.
const MOST_RECIPIENTS: usize = 100;
/// Who goes on making mistakes is no mail client.
const MOST_MISTAKES: usize = 20;

/// One side of an SMTP conversation, without the network: bytes in, replies out.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    lines: Lines,
    stage: Stage,
    mistakes: usize,
    is_over: bool,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nobody has said hello.
    #[default]
    Connected,
    /// Ready for a mail.
    Greeted,
    /// A sender is known, and whatever recipients came so far.
    Addressed(Envelope),
    /// The message itself is coming.
    Receiving(Envelope, Message),
}

#[derive(Debug, Default)]
struct Message {
    bytes: Vec<u8>,
    /// What is wrong with it, to be said at its end.
    refusal: Option<Reply>,
}

impl Conversation {
    /// Takes what arrived, and gives the replies to it. Whole mails go to `mailbox` before their reply.
    pub(super) fn receive(&mut self, bytes: &[u8], mailbox: &Mailbox) -> String {
        let mut replies = String::new();
        self.lines.push(bytes);
        while !self.is_over {
            let Some(line) = self.lines.next() else { break };
            if let Some(reply) = self.answer(line, mailbox) {
                replies.push_str(reply);
            }
        }
        replies
    }

    /// Whether nothing more is to be said.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    fn answer(&mut self, line: Result<Vec<u8>, BadLine>, mailbox: &Mailbox) -> Option<Reply> {
        let line = match (line, &mut self.stage) {
            // Where the message ends is no longer certain, and so neither is what would be a command.
            (Err(BadLine::BareEnd), _) => {
                self.is_over = true;
                return Some("500 5.5.2 Lines end with CRLF\r\n");
            }
            (Err(BadLine::TooLong), Stage::Receiving(_, message)) => {
                message.refuse(TOO_LONG);
                return None;
            }
            (Err(BadLine::TooLong), _) => return Some(self.mistaken(TOO_LONG)),
            (Ok(line), Stage::Receiving(_, message)) if line != b"." => {
                message.push(&line);
                return None;
            }
            (Ok(line), _) => line,
        };
        match std::mem::take(&mut self.stage) {
            Stage::Receiving(envelope, message) => {
                self.stage = Stage::Greeted;
                let Message { bytes, refusal: None } = message else { return message.refusal };
                mailbox.deliver(envelope, &bytes);
                Some(OK)
            }
            stage => {
                self.stage = stage;
                let reply = Command::parse(&line).and_then(|command| self.perform(command));
                Some(reply.unwrap_or_else(|reply| self.mistaken(reply)))
            }
        }
    }

    fn perform(&mut self, command: Command) -> Result<Reply, Reply> {
        match (command, &mut self.stage) {
            (Command::Ehlo, _) => {
                self.stage = Stage::Greeted;
                Ok("250-localhost\r\n250-PIPELINING\r\n250-SIZE 262144\r\n250-8BITMIME\r\n\
                    250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n")
            }
            (Command::Helo, _) => {
                self.stage = Stage::Greeted;
                Ok("250 localhost\r\n")
            }
            (Command::Mail { size: Some(size), .. }, Stage::Greeted) if size > LARGEST_MESSAGE => Err(TOO_LARGE),
            (Command::Mail { from, .. }, Stage::Greeted) => {
                self.stage = Stage::Addressed(Envelope { from, to: Vec::new() });
                Ok(OK)
            }
            (Command::Rcpt { .. }, Stage::Addressed(envelope)) if envelope.to.len() >= MOST_RECIPIENTS => {
                Err("452 4.5.3 Too many recipients\r\n")
            }
            (Command::Rcpt { to }, Stage::Addressed(envelope)) => {
                envelope.to.push(to);
                Ok(OK)
            }
            (Command::Data, Stage::Addressed(envelope)) if !envelope.to.is_empty() => {
                self.stage = Stage::Receiving(std::mem::take(envelope), Message::default());
                Ok("354 End with <CRLF>.<CRLF>\r\n")
            }
            (Command::Rset, stage) => {
                if !matches!(stage, Stage::Connected) {
                    *stage = Stage::Greeted;
                }
                Ok(OK)
            }
            (Command::Quit, _) => {
                self.is_over = true;
                Ok("221 2.0.0 Bye\r\n")
            }
            (Command::Noop, _) => Ok(OK),
            (Command::Help, _) => Ok("214 2.0.0 RFC 5321\r\n"),
            (Command::Vrfy, _) => Ok("252 2.5.0 Send some mail and see\r\n"),
            (Command::Data | Command::Mail { .. } | Command::Rcpt { .. }, _) => Err(OUT_OF_ORDER),
        }
    }

    fn mistaken(&mut self, reply: Reply) -> Reply {
        self.mistakes += 1;
        if self.mistakes < MOST_MISTAKES {
            return reply;
        }
        self.is_over = true;
        "421 4.7.0 Too many errors\r\n"
    }
}

impl Message {
    /// Takes a line, RFC 5321 section 4.5.2: a first dot is not part of it.
    fn push(&mut self, line: &[u8]) {
        let line = line.strip_prefix(b".").unwrap_or(line);
        if self.bytes.len() + line.len() + 2 > LARGEST_MESSAGE {
            self.refuse(TOO_LARGE);
        }
        if self.refusal.is_none() {
            self.bytes.extend_from_slice(line);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn refuse(&mut self, reply: Reply) {
        self.refusal.get_or_insert(reply);
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agentkeys_types::SystemClock;
    use proptest::prelude::*;

    use super::*;

    /// The codes of the replies to `said`, and the mailbox afterwards.
    fn codes(said: &str) -> (Vec<String>, Mailbox) {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        let replies = Conversation::default().receive(said.as_bytes(), &mailbox);
        let last_lines = replies.lines().filter(|line| line.as_bytes()[3] == b' ');
        (last_lines.map(|line| line[..3].to_owned()).collect(), mailbox)
    }

    const ENVELOPE: &str = "EHLO x\r\nMAIL FROM:<broker@example.com>\r\nRCPT TO:<ada@example.com>\r\n";

    #[test]
    fn a_mail_is_taken_and_its_dots_are_unstuffed() {
        let (codes, mailbox) = codes(&format!("{ENVELOPE}DATA\r\nSubject: s\r\n\r\n..hidden\r\n...\r\n.\r\nQUIT\r\n"));

        assert_eq!(codes, ["250", "250", "250", "354", "250", "221"]);
        let mail = &mailbox.mails(None)[0];
        assert_eq!(mail.subject, "s");
        assert_eq!(mail.text.lines().collect::<Vec<_>>(), [".hidden", ".."]);
        assert_eq!(mail.to, ["ada@example.com".parse().unwrap()]);
    }

    #[test]
    fn two_mails_come_over_one_connection() {
        let mail = "MAIL FROM:<>\r\nRCPT TO:<ada@example.com>\r\nRCPT TO:<grace@example.org>\r\nDATA\r\nhi\r\n.\r\n";
        let (codes, mailbox) = codes(&format!("HELO x\r\n{mail}{mail}"));

        assert_eq!(codes, ["250", "250", "250", "250", "354", "250", "250", "250", "250", "354", "250"]);
        assert_eq!(mailbox.mails(Some(&"grace@example.org".parse().unwrap())).len(), 2);
    }

    #[test]
    fn commands_out_of_order_are_refused() {
        for (said, last) in [
            ("MAIL FROM:<>\r\n", "503"),
            ("EHLO x\r\nRCPT TO:<ada@example.com>\r\n", "503"),
            ("EHLO x\r\nDATA\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<>\r\nDATA\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.com>\r\nRSET\r\nDATA\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.com>\r\nEHLO x\r\nDATA\r\n", "503"),
            ("RSET\r\nMAIL FROM:<>\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:<> SIZE=262145\r\n", "552"),
        ] {
            assert_eq!(codes(said).0.last().unwrap(), last, "{said}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_refused_and_the_next_one_taken() {
        let large = "a".repeat(900);
        let lines = format!("{large}\r\n").repeat(300);
        let (codes, mailbox) = codes(&format!("{ENVELOPE}DATA\r\n{lines}.\r\n{ENVELOPE}DATA\r\nhi\r\n.\r\n"));

        assert_eq!(codes[4], "552");
        assert_eq!(codes.last().unwrap(), "250");
        assert_eq!(mailbox.mails(None).len(), 1);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused() {
        let long = "a".repeat(1200);

        assert_eq!(codes(&format!("EHLO x\r\n{long}\r\nNOOP\r\n")).0, ["250", "500", "250"]);
        assert_eq!(codes(&format!("{ENVELOPE}DATA\r\n{long}\r\n.\r\nNOOP\r\n")).0[4..], ["500", "250"]);
    }

    #[test]
    fn no_mail_can_be_smuggled_in_by_half_line_ends() {
        for end in ["\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r"] {
            let (codes, mailbox) = codes(&format!("{ENVELOPE}DATA\r\nhi{end}{ENVELOPE}DATA\r\nevil\r\n.\r\n"));

            assert_eq!(codes.last().unwrap(), "500", "{end:?}");
            assert!(mailbox.mails(None).is_empty(), "{end:?}");
        }
    }

    #[test]
    fn recipients_and_mistakes_are_bounded() {
        let many = "RCPT TO:<ada@example.com>\r\n".repeat(101);

        assert_eq!(codes(&format!("EHLO x\r\nMAIL FROM:<>\r\n{many}")).0.last().unwrap(), "452");
        assert_eq!(codes(&"what\r\n".repeat(30)).0.len(), 20);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(chunks in proptest::collection::vec(any::<Vec<u8>>(), 0..8), greeted in any::<bool>()) {
            let mailbox = Mailbox::new(Arc::new(SystemClock));
            let mut conversation = Conversation::default();
            if greeted {
                conversation.receive(format!("{ENVELOPE}DATA\r\n").as_bytes(), &mailbox);
            }

            for chunk in chunks {
                let replies = conversation.receive(&chunk, &mailbox);
                prop_assert!(replies.is_empty() || replies.ends_with("\r\n"));
            }
        }

        #[test]
        fn what_is_sent_with_stuffed_dots_arrives(lines in proptest::collection::vec("[ -~]{0,40}", 0..12)) {
            let mailbox = Mailbox::new(Arc::new(SystemClock));
            let stuffed: String =
                lines.iter().map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") }).collect();

            Conversation::default().receive(format!("{ENVELOPE}DATA\r\nSubject: s\r\n\r\n{stuffed}.\r\n").as_bytes(), &mailbox);

            prop_assert_eq!(mailbox.mails(None)[0].text.lines().map(str::to_owned).collect::<Vec<_>>(), lines);
        }
    }
}
