use mail_parser::{MessageParser, PartType};

/// What a message says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: Option<String>,
    pub(super) head: String,
}

/// Reads a message as it came over the wire (RFC 5322, MIME).
pub(super) fn read(message: &[u8]) -> Words {
    let Some(parsed) = MessageParser::default().parse(message) else {
        return Words { text: String::from_utf8_lossy(message).into_owned(), ..Words::default() };
    };
    let html = parsed.parts.iter().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.clone().into_owned()),
        _ => None,
    });
    let body = parsed.parts.first().map_or(0, |part| part.raw_body_offset() as usize);
    Words {
        subject: parsed.subject().unwrap_or_default().to_owned(),
        text: parsed.body_text(0).unwrap_or_default().into_owned(),
        html,
        head: String::from_utf8_lossy(message.get(..body).unwrap_or(message)).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_words_and_bodies_are_decoded() {
        let message = b"Subject: =?utf-8?q?Dein_Code_f=C3=BCr_heute?=\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nK7Q4-MF2X=20gilt zehn Minuten =E2=9C=93\r\n";

        let words = read(message);

        assert_eq!(words.subject, "Dein Code für heute");
        assert_eq!(words.text.trim_end(), "K7Q4-MF2X gilt zehn Minuten ✓");
        assert_eq!(words.html, None);
        assert!(words.head.starts_with("Subject: =?utf-8?q?") && words.head.contains("quoted-printable"));
        assert!(!words.head.contains("K7Q4"));
    }

    #[test]
    fn both_forms_of_a_mail_are_read() {
        let message = b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n";

        let words = read(message);

        assert_eq!(words.text.trim_end(), "plain");
        assert_eq!(words.html.unwrap().trim_end(), "<p>rich</p>");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(message in any::<Vec<u8>>()) {
            let _ = read(&message);
        }
    }
}
