use std::{fmt, str::FromStr};

use unicode_normalization::UnicodeNormalization;

use crate::Invalid;

/// An e-mail address in the one form that is hashed and that mail is delivered to.
///
/// RFC 5321 dot-atom in ASCII: local part lowercased, domain lowercased and IDNA-encoded (A-labels).
/// Quoted local parts, address literals, comments and anything that folds to other letters are refused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

const LONGEST_ADDRESS: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_LABEL: usize = 63;

impl EmailAddress {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical text, owned.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const SHAPE: Invalid = Invalid("that is not an e-mail address of the form name@example.com");
        let text = text.trim_matches(' ');
        // Four bytes a character at most, before IDNA makes it shorter.
        if text.len() > 4 * LONGEST_ADDRESS {
            return Err(SHAPE);
        }
        let (local, domain) = text.split_once('@').ok_or(SHAPE)?;
        // RFC 2047 encoded words are dot-atoms, but a mail program may show and deliver what they decode to.
        if !is_dot_atom(local) || local.len() > LONGEST_LOCAL_PART || local.contains("=?") {
            return Err(SHAPE);
        }
        let domain = canonical_domain(domain).ok_or(SHAPE)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > LONGEST_ADDRESS {
            return Err(SHAPE);
        }
        Ok(Self(address))
    }
}

/// RFC 5321 section 4.1.2 `Dot-string`, with RFC 5322's `atext`.
fn is_dot_atom(text: &str) -> bool {
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

fn canonical_domain(domain: &str) -> Option<String> {
    if domain.chars().any(folds_to_another_letter) {
        return None;
    }
    let written: String = domain.nfc().flat_map(char::to_lowercase).collect();
    let ascii = if written.is_ascii() {
        written
    } else {
        let ascii = idna::domain_to_ascii_strict(&written).ok()?;
        // Whatever IDNA mapped away (ignored characters, other full stops) was not what the person saw.
        let (read_back, valid) = idna::domain_to_unicode(&ascii);
        if valid.is_err() || read_back != written {
            return None;
        }
        ascii
    };
    is_domain(&ascii).then_some(ascii)
}

/// Letters, digits and hyphens in labels, the last of them not a number, as an IPv4 address's would be.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_real_a_label = |label: &str| !label.starts_with("xn--") || idna::domain_to_unicode(label).1.is_ok();
    domain.split('.').all(|label| is_label(label) && is_real_a_label(label))
        && !domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a character outside ASCII turns into an ASCII one under a case or compatibility mapping,
/// as the Kelvin sign, the dotless i and full-width letters do.
fn folds_to_another_letter(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    let mut upper = character.to_uppercase();
    let folds_up = upper.len() == 1 && upper.next().is_some_and(|folded| folded.is_ascii());
    let folds_down = character.to_lowercase().any(|folded| folded.is_ascii());
    let folds_compatibly = std::iter::once(character).nfkc().any(|folded| folded.is_ascii());
    folds_up || folds_down || folds_compatibly
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EmailAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Option<String> {
        text.parse().ok().map(EmailAddress::into_string)
    }

    #[test]
    fn spellings_of_one_mailbox_become_one_text() {
        for (written, expected) in [
            ("ada@example.com", "ada@example.com"),
            (" A.B@X.IO ", "a.b@x.io"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@straße.example", "ada@xn--strae-oqa.example"),
            ("dev@agentkeys.localhost", "dev@agentkeys.localhost"),
            ("a+b=c@x-y.example", "a+b=c@x-y.example"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(expected), "{written}");
        }
    }

    #[test]
    fn anything_but_one_plain_address_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.com", "a.".repeat(130));
        let long_label = format!("a@{}.com", "a".repeat(64));
        for text in [
            "",
            "@",
            "a@",
            "@a",
            "a",
            "a@b@c",
            "a@b,c@d",
            "a@b c@d",
            "a@b;c@d",
            "a@b.com,c@d.com",
            "a@b\r\n.com",
            "a@b.com\n",
            "a\0@b.com",
            "a\t@b.com",
            "\ta@b.com",
            "\"a\"@b.com",
            "<a@b.com>",
            "Ada <a@b.com>",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b.com.",
            ".a@b.com",
            "a.@b.com",
            "a..b@c.com",
            "a@b..com",
            "a@-b.com",
            "a@b-.com",
            "a@b_c.com",
            "a(c)@b.com",
            "=?utf-8?q?a?=@b.com",
            "ad\u{131}@b.com",
            "a@g\u{131}thub.com",
            "a@\u{212a}elvin.com",
            "\u{212a}@b.com",
            "a\u{ff20}b.com",
            "a@b\u{200b}.com",
            "a@b\u{3002}com",
            "a@ｂ.com",
            "a@\u{17f}.com",
            "a@İ.com",
            "é@b.com",
            "a@xn--a.com",
            &long_local,
            &long_domain,
            &long_label,
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_ascii_and_a_fixed_point(text in "\\PC{0,12}@\\PC{1,12}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert!(address.as_str().is_ascii());
                prop_assert_eq!(address.as_str().parse(), Ok(address.clone()));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<EmailAddress>();
        }
    }
}
