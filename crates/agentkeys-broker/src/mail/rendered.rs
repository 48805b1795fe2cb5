use std::fmt;

use agentkeys_types::{EmailAddress, Timestamp, is_invisible};
use askama::Template;
use zeroize::Zeroizing;

use super::{CodeMail, CodePurpose, Message, Notice, NoticeKind};

/// How many characters of a machine's name are shown.
const LONGEST_NAME: usize = 60;
/// How many characters of an identity are shown: any address, and more than any provider's id.
const LONGEST_IDENTITY: usize = 255;

/// A mail, word for word.
pub struct RenderedMail {
    /// Who gets it.
    pub to: EmailAddress,
    /// Its subject, in which no code stands.
    pub subject: &'static str,
    /// For people who read plain text. A code stands alone on its line.
    pub text: Zeroizing<String>,
    /// The same for everybody else, without links and without anything that is loaded.
    pub html: Zeroizing<String>,
}

impl RenderedMail {
    pub(super) fn of(message: &Message, to: EmailAddress) -> Result<Self, askama::Error> {
        match message {
            Message::Code(mail) => {
                let words = CodeWords::of(mail);
                let html = CodePage { words: &words, title: words.subject() }.render()?;
                Ok(Self { subject: words.subject(), text: words.render()?.into(), html: html.into(), to })
            }
            Message::Notice(notice) => {
                let words = NoticeWords::of(notice);
                let html = NoticePage { words: &words, title: words.subject() }.render()?;
                Ok(Self { subject: words.subject(), text: words.render()?.into(), html: html.into(), to })
            }
        }
    }
}

/// Without its words, because a code may be among them.
impl fmt::Debug for RenderedMail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RenderedMail").field("to", &self.to).finish_non_exhaustive()
    }
}

/// What a mail with a code says.
#[derive(Template)]
#[template(path = "mail/code.txt")]
struct CodeWords<'m> {
    machine: String,
    to: &'m str,
    /// Whose account the address will open, where it is not the address's own.
    owner: Option<String>,
    code: &'m str,
    source: String,
    asked_at: String,
}

#[derive(Template)]
#[template(path = "mail/code.html")]
struct CodePage<'w> {
    words: &'w CodeWords<'w>,
    title: &'static str,
}

impl<'m> CodeWords<'m> {
    fn of(mail: &'m CodeMail) -> Self {
        let owner = match &mail.purpose {
            CodePurpose::SignIn => None,
            CodePurpose::Link { owner } => Some(identity(owner)),
        };
        Self {
            machine: machine(mail.client_name.as_deref()),
            to: &mail.to,
            owner,
            code: &mail.code,
            source: mail.source.to_string(),
            asked_at: time(mail.asked_at),
        }
    }

    fn subject(&self) -> &'static str {
        if self.owner.is_some() { "Your AgentKeys code to link this address" } else { "Your AgentKeys sign-in code" }
    }
}

/// What a notice says.
#[derive(Template)]
#[template(path = "mail/notice.txt")]
struct NoticeWords {
    kind: NoticeKind,
    machine: String,
    identity: String,
    source: String,
    at: String,
}

#[derive(Template)]
#[template(path = "mail/notice.html")]
struct NoticePage<'w> {
    words: &'w NoticeWords,
    title: &'static str,
}

impl NoticeWords {
    fn of(notice: &Notice) -> Self {
        Self {
            kind: notice.kind,
            machine: machine(notice.client_name.as_deref()),
            identity: identity(&notice.identity),
            source: notice.source.to_string(),
            at: time(notice.at),
        }
    }

    fn subject(&self) -> &'static str {
        match self.kind {
            NoticeKind::SignIn => "A new sign-in to your AgentKeys account",
            NoticeKind::IdentityAdded => "Your AgentKeys account can be opened in one more way",
            NoticeKind::IdentityRemoved => "Your AgentKeys account can be opened in one way fewer",
        }
    }

    /// What happened, in a sentence.
    fn what(&self) -> String {
        let Self { machine, identity, .. } = self;
        match self.kind {
            NoticeKind::SignIn => format!("{machine} signed in to your AgentKeys account as {identity}."),
            NoticeKind::IdentityAdded => format!("{identity} opens your AgentKeys account from now on."),
            NoticeKind::IdentityRemoved => format!("{identity} no longer opens your AgentKeys account."),
        }
    }

    /// What to do, in a sentence.
    fn advice(&self) -> &'static str {
        match self.kind {
            NoticeKind::SignIn => {
                "If it was not you, somebody can read your mail, or sign in in another way that opens your account: \
                 secure those, and run “agentkeys sessions list” and “agentkeys sessions revoke”."
            }
            NoticeKind::IdentityAdded | NoticeKind::IdentityRemoved => {
                "If it was not you, sign in with “agentkeys init”, look through “agentkeys identities list” and \
                 “agentkeys sessions list”, and remove what is not yours."
            }
        }
    }
}

/// A time as people read it: `2026-12-22 10:00:00 UTC`.
fn time(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

/// A machine as it calls itself, which anybody chooses.
fn machine(name: Option<&str>) -> String {
    let name = name.map(|name| {
        plain(name, LONGEST_NAME, |character| match character {
            // Without these no mail program takes a part of it for a link.
            '.' => '-',
            '/' | '\\' | ':' | '@' => ' ',
            other => other,
        })
    });
    match name {
        Some(name) if !name.is_empty() => format!("“{name}”"),
        _ => "A machine that gave no name".to_owned(),
    }
}

fn identity(text: &str) -> String {
    plain(text, LONGEST_IDENTITY, |character| character)
}

/// One line of at most `most` characters, of which each shows and none moves others.
fn plain(text: &str, most: usize, read: impl Fn(char) -> char) -> String {
    let shown: String =
        text.chars().map(|character| if is_hidden(character) { ' ' } else { read(character) }).collect();
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= most {
        return words;
    }
    words.chars().take(most - 1).chain(['…']).collect()
}

/// What has no shape of its own, and white space that moves what follows it.
fn is_hidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') || is_invisible(character)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn code_mail(purpose: CodePurpose, client_name: Option<&str>) -> Message {
        Message::Code(CodeMail {
            to: "ada@example.com".to_owned(),
            code: "K7Q4-MF2X".to_owned().into(),
            purpose,
            client_name: client_name.map(str::to_owned),
            source: SOURCE,
            asked_at: Timestamp::from_unix(1_797_933_600),
        })
    }

    fn render(message: &Message) -> RenderedMail {
        RenderedMail::of(message, "ada@example.com".parse().unwrap()).unwrap()
    }

    fn is_alone(code: &str, text: &str) -> bool {
        text.lines().filter(|line| line.trim() == code).count() == 1
    }

    #[test]
    fn a_sign_in_code_stands_alone_on_its_line() {
        let mail = render(&code_mail(CodePurpose::SignIn, Some("laptop")));

        assert!(is_alone("K7Q4-MF2X", &mail.text), "{}", mail.text.as_str());
        assert!(mail.text.starts_with("“laptop” asks to sign in to AgentKeys as ada@example.com.\n\nIf that was you"));
        assert!(mail.html.contains(">K7Q4-MF2X<"));
    }

    #[test]
    fn a_code_that_links_says_whose_account_the_address_will_open() {
        let mail = render(&code_mail(CodePurpose::Link { owner: "mallory@example.net".to_owned() }, None));

        assert_eq!(mail.subject, "Your AgentKeys code to link this address");
        assert!(is_alone("K7Q4-MF2X", &mail.text), "{}", mail.text.as_str());
        let asks = "asks to link ada@example.com to the AgentKeys account of mallory@example.net.";
        assert!(mail.text.starts_with(&format!("A machine that gave no name {asks}")), "{}", mail.text.as_str());
        for words in [&mail.text, &mail.html] {
            assert!(words.contains("mallory@example.net") && !words.contains("sign in"), "{}", words.as_str());
        }
    }

    #[test]
    fn each_notice_says_what_happened_and_what_to_do() {
        for (kind, what) in [
            (NoticeKind::SignIn, "“laptop” signed in to your AgentKeys account as ada@example.com."),
            (NoticeKind::IdentityAdded, "ada@example.com opens your AgentKeys account from now on."),
            (NoticeKind::IdentityRemoved, "ada@example.com no longer opens your AgentKeys account."),
        ] {
            let mail = render(&Message::Notice(Notice {
                kind,
                identity: "ada@example.com".to_owned(),
                client_name: Some("laptop".to_owned()),
                source: SOURCE,
                at: Timestamp::from_unix(1_797_933_600),
            }));

            for words in [&mail.text, &mail.html] {
                for said in [what, "127.0.0.1", "2026-12-22 10:00:00 UTC", "If it was not you"] {
                    assert!(words.contains(said), "{said}: {}", words.as_str());
                }
            }
        }
    }

    #[test]
    fn a_mail_does_not_print_its_code() {
        let message = code_mail(CodePurpose::SignIn, None);

        assert!(!format!("{:?} {message:?}", render(&message)).contains("K7Q4"));
    }

    proptest! {
        #[test]
        fn whatever_a_machine_is_called_is_one_short_line_without_markup(name in any::<String>()) {
            let mail = render(&code_mail(CodePurpose::SignIn, Some(&name)));
            let plain = render(&code_mail(CodePurpose::SignIn, Some("laptop")));

            prop_assert_eq!(mail.text.lines().count(), plain.text.lines().count());
            prop_assert_eq!(mail.html.matches('<').count(), plain.html.matches('<').count());
            prop_assert!(mail.text.chars().count() <= plain.text.chars().count() + LONGEST_NAME);
            prop_assert!(is_alone("K7Q4-MF2X", &mail.text));
            prop_assert!(!mail.text.chars().any(|character| character != '\n' && is_hidden(character)));
        }
    }
}
