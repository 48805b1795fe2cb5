use mail_parser::MessageParser;

/// The subject and the text of a message as it came over the wire (RFC 5322, MIME).
pub(super) fn read(message: &[u8]) -> (String, String) {
    match MessageParser::default().parse(message) {
        Some(parsed) => {
            let subject = parsed.subject().unwrap_or_default().to_owned();
            let text = parsed.body_text(0).unwrap_or_default().into_owned();
            (subject, text)
        }
        None => (String::new(), String::from_utf8_lossy(message).into_owned()),
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

        let (subject, text) = read(message);

        assert_eq!(subject, "Dein Code für heute");
        assert_eq!(text.trim_end(), "K7Q4-MF2X gilt zehn Minuten ✓");
    }

    #[test]
    fn the_text_part_of_several_is_read() {
        let message = b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n";

        assert_eq!(read(message).1.trim_end(), "plain");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(message in any::<Vec<u8>>()) {
            let _ = read(&message);
        }
    }
}
