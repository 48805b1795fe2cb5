use agentkeys_types::EmailAddress;

/// What a client says, outside of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Data,
    Ehlo,
    Helo,
    Help,
    Mail { from: Option<EmailAddress>, size: Option<usize> },
    Noop,
    Quit,
    Rcpt { to: EmailAddress },
    Rset,
    Vrfy,
}

/// What is wrong with a command, as its reply.
pub(super) type Reply = &'static str;

const SYNTAX: Reply = "501 5.5.4 Syntax error in parameters\r\n";
const UNKNOWN_PARAMETER: Reply = "555 5.5.4 Parameter not recognized\r\n";
const NO_SUCH_ADDRESS: Reply = "553 5.1.3 That is not an address\r\n";

impl Command {
    /// Reads a line, RFC 5321 section 4.1.1.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Reply> {
        let text = std::str::from_utf8(line).map_err(|_| SYNTAX)?;
        if text.chars().any(char::is_control) {
            return Err(SYNTAX);
        }
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim_matches(' ');
        let alone = |command| if rest.is_empty() { Ok(command) } else { Err(SYNTAX) };
        let named = |command| if rest.is_empty() { Err(SYNTAX) } else { Ok(command) };
        match verb.to_ascii_uppercase().as_str() {
            "DATA" => alone(Self::Data),
            "EHLO" => named(Self::Ehlo),
            "HELO" => named(Self::Helo),
            "HELP" => Ok(Self::Help),
            "MAIL" => Self::parse_mail(rest),
            "NOOP" => Ok(Self::Noop),
            "QUIT" => alone(Self::Quit),
            "RCPT" => Self::parse_rcpt(rest),
            "RSET" => alone(Self::Rset),
            "VRFY" => Ok(Self::Vrfy),
            "AUTH" | "BDAT" | "ETRN" | "EXPN" | "STARTTLS" | "TURN" => Err("502 5.5.1 Command not implemented\r\n"),
            _ => Err("500 5.5.1 Command not recognized\r\n"),
        }
    }

    fn parse_mail(rest: &str) -> Result<Self, Reply> {
        let (path, parameters) = path(rest, "FROM:")?;
        let from = if path.is_empty() { None } else { Some(address(path)?) };
        let mut size = None;
        for parameter in parameters {
            match parameter.to_ascii_uppercase().split_once('=') {
                Some(("SIZE", value)) => size = Some(value.parse().map_err(|_| SYNTAX)?),
                Some(("BODY", "7BIT" | "8BITMIME")) => {}
                None if parameter.eq_ignore_ascii_case("SMTPUTF8") => {}
                _ => return Err(UNKNOWN_PARAMETER),
            }
        }
        Ok(Self::Mail { from, size })
    }

    fn parse_rcpt(rest: &str) -> Result<Self, Reply> {
        let (path, mut parameters) = path(rest, "TO:")?;
        let to = address(path)?;
        if parameters.next().is_some() { Err(UNKNOWN_PARAMETER) } else { Ok(Self::Rcpt { to }) }
    }
}

/// The path between angle brackets after `keyword`, and the parameters behind it.
fn path<'a>(rest: &'a str, keyword: &str) -> Result<(&'a str, impl Iterator<Item = &'a str> + use<'a>), Reply> {
    let named = rest.get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword));
    if !named {
        return Err(SYNTAX);
    }
    let behind = rest[keyword.len()..].trim_start_matches(' ');
    let (path, parameters) = behind.strip_prefix('<').and_then(|behind| behind.split_once('>')).ok_or(SYNTAX)?;
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(SYNTAX);
    }
    Ok((path, parameters.split(' ').filter(|parameter| !parameter.is_empty())))
}

fn address(path: &str) -> Result<EmailAddress, Reply> {
    path.parse().map_err(|_| NO_SUCH_ADDRESS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ada() -> EmailAddress {
        "ada@example.com".parse().unwrap()
    }

    #[test]
    fn commands_are_read_in_any_case() {
        for (line, command) in [
            ("ehlo localhost", Command::Ehlo),
            ("HELO x", Command::Helo),
            ("MAIL FROM:<ada@example.com>", Command::Mail { from: Some(ada()), size: None }),
            ("mail from: <Ada@Example.com> SIZE=10 BODY=8BITMIME", Command::Mail { from: Some(ada()), size: Some(10) }),
            ("MAIL FROM:<> SMTPUTF8", Command::Mail { from: None, size: None }),
            ("RCPT TO:<ada@example.com>", Command::Rcpt { to: ada() }),
            ("Data", Command::Data),
            ("QUIT ", Command::Quit),
            ("NOOP anything", Command::Noop),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn anything_else_has_its_reply() {
        for (line, code) in [
            ("", "500"),
            ("GET / HTTP/1.1", "500"),
            ("STARTTLS", "502"),
            ("EHLO", "501"),
            ("DATA now", "501"),
            ("MAIL", "501"),
            ("MAIL FROM:ada@example.com", "501"),
            ("MAIL FROM:<ada@example.com", "501"),
            ("MAIL FROM:<ada@example.com>SIZE=1", "501"),
            ("MAIL FROM:<ada@example.com> SIZE=x", "501"),
            ("MAIL FROM:<ada@example.com> RET=FULL", "555"),
            ("MAIL FRÖM:<ada@example.com>", "501"),
            ("RCPT TO:<>", "553"),
            ("RCPT TO:<ada>", "553"),
            ("RCPT TO:<a@b.example,c@d.example>", "553"),
            ("RCPT TO:<@relay.example:ada@example.com>", "553"),
            ("RCPT TO:<ada@example.com> NOTIFY=NEVER", "555"),
            ("NOOP \0", "501"),
        ] {
            assert_eq!(&Command::parse(line.as_bytes()).unwrap_err()[..3], code, "{line}");
        }
        assert_eq!(&Command::parse(b"NOOP \xff").unwrap_err()[..3], "501");
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(
            start in prop_oneof![Just(""), Just("MAIL FROM:"), Just("MAIL FROM:<"), Just("RCPT TO:<"), Just("rcpt")],
            line in any::<Vec<u8>>(),
        ) {
            let _ = Command::parse(&[start.as_bytes(), &line].concat());
        }
    }
}
