use std::fmt;

use agentkeys_types::{EmailAddress, is_invisible};

/// A name that somebody chose.
const LONGEST_NAME: usize = 60;
/// An identity, whole: two that differ only at the end must not look the same.
const LONGEST_VALUE: usize = 255;
/// A sentence from elsewhere.
const LONGEST_DETAIL: usize = 300;

/// A text from outside, made fit to be looked at: bounded, on one line, without what is invisible or turns its
/// neighbours around.
///
/// Whoever puts it into HTML still escapes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// A name that somebody chose, unless nothing of it can be seen.
    pub fn name(text: &str) -> Option<Self> {
        let shown = Self::bounded(text, LONGEST_NAME);
        (!shown.0.is_empty()).then_some(shown)
    }

    /// An identity, or what a person typed.
    pub fn value(text: &str) -> Self {
        Self::bounded(text, LONGEST_VALUE)
    }

    /// A sentence from elsewhere, unless nothing of it can be seen.
    pub fn detail(text: &str) -> Option<Self> {
        let shown = Self::bounded(text, LONGEST_DETAIL);
        (!shown.0.is_empty()).then_some(shown)
    }

    /// An address that its owner recognizes and nobody else learns: `a…@example.com`.
    pub fn masked(address: &EmailAddress) -> Self {
        let first: String = address.as_str().chars().take(1).collect();
        Self(format!("{first}…@{}", address.domain()))
    }

    fn bounded(text: &str, longest: usize) -> Self {
        // What is cut off is not even looked at: a name can be long, and of nothing visible.
        let visible = text.chars().take(8 * longest).filter(|character| !is_invisible(*character));
        let mut shown = String::new();
        let mut count = 0;
        for character in visible {
            let blank = character.is_whitespace();
            if blank && (shown.is_empty() || shown.ends_with(' ')) {
                continue;
            }
            if count == longest {
                shown.truncate(shown.trim_end().len());
                shown.push('…');
                return Self(shown);
            }
            shown.push(if blank { ' ' } else { character });
            count += 1;
        }
        shown.truncate(shown.trim_end().len());
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An identity as a person knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownIdentity {
    /// What kind it is: `E-mail`, or the label of the provider.
    pub kind: Shown,
    /// Which one: the address, or what the provider calls the person.
    pub value: Shown,
}

impl ShownIdentity {
    /// An identity of this kind.
    pub fn new(kind: &str, value: &str) -> Self {
        Self { kind: Shown::name(kind).unwrap_or_default(), value: Shown::value(value) }
    }

    /// An e-mail address.
    pub fn email(address: &EmailAddress) -> Self {
        Self::new("E-mail", address.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_what_turns_its_neighbours_around() {
        let shown = Shown::name("\u{202e}7-dliub\u{2066}\0\u{7}\n on\u{200b} \t\u{3164} call ").unwrap();

        assert_eq!(shown.to_string(), "7-dliub on call");
    }

    #[test]
    fn a_name_of_nothing_visible_is_no_name() {
        assert_eq!(Shown::name("\u{200b} \u{2800}\u{e0041}\r\n"), None);
        assert_eq!(Shown::detail(""), None);
    }

    #[test]
    fn a_long_text_is_cut_where_it_says_so() {
        let exact = "x".repeat(LONGEST_NAME);

        assert_eq!(Shown::name(&exact).unwrap().to_string(), exact);
        assert_eq!(Shown::name(&format!("{exact}y")).unwrap().to_string(), format!("{exact}…"));
        assert_eq!(Shown::value(&"x".repeat(10_000)).to_string().chars().count(), LONGEST_VALUE + 1);
    }

    #[test]
    fn letters_of_any_script_stay() {
        for name in ["Büro-Mac", "開発機 7", "جهاز البناء", "сборка"] {
            assert_eq!(Shown::name(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn an_address_is_recognized_by_its_owner_alone() {
        let address = "ada.lovelace@example.com".parse().unwrap();

        assert_eq!(Shown::masked(&address).to_string(), "a…@example.com");
    }
}
