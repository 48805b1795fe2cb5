//! The session token is never called a JWT.
//!
//! One stands within eight words of it in a sentence only where it is said which one is meant (OIDC JWT, web-identity
//! JWT), or that the token is none ("never called a", "not a"). A sentence may span the lines of a paragraph or a
//! comment. In code, a text in quotes is a sentence, and what lies between commas and brackets.

use std::{mem, path::Path};

/// How near is too near, in words.
const NEAR: usize = 8;
/// How far before the word a "never" or "not" may stand, in words.
const DENIED_WITHIN: usize = 4;

/// The lines, counted from 1, in which it is called one.
pub(super) fn objections(file: &str, text: &str) -> Vec<usize> {
    let sentences = if is_a(file, "md") { Sentences::of_prose(text) } else { Sentences::of_code(file, text) };
    let mut lines: Vec<usize> = sentences.iter().flat_map(|sentence| misnamed(sentence)).collect();
    lines.extend(text.lines().enumerate().filter(|(_, line)| is_joined(line)).map(|(index, _)| index + 1));
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn is_a(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|found| found == extension)
}

/// Whether a name is made of both words, in any order and spelling.
fn is_joined(line: &str) -> bool {
    let line = line.to_lowercase();
    ["", " ", "_", "-"].iter().any(|between| {
        line.contains(&["session", "jwt"].join(between)) || line.contains(&["jwt", "session"].join(between))
    })
}

/// A word, in lower case, and the line that it stands in.
type Word = (String, usize);

fn misnamed(sentence: &[Word]) -> Vec<usize> {
    let is = |index: usize, any: &[&str]| sentence.get(index).is_some_and(|(word, _)| any.contains(&word.as_str()));
    let before = |index: usize, any: &[&str]| index > 0 && is(index - 1, any);
    // AWS has a session token of its own.
    let is_ours =
        |index: &usize| is(*index, &["session"]) && is(index + 1, &["token", "tokens"]) && !before(*index, &["aws"]);
    let is_unqualified = |index: &usize| is(*index, &["jwt", "jwts"]) && !before(*index, &["oidc", "identity"]);
    let is_denied = |index: usize| {
        (index.saturating_sub(DENIED_WITHIN)..index).any(|word| is(word, &["never", "no", "nor", "not", "unlike"]))
    };
    let tokens: Vec<usize> = (0..sentence.len()).filter(is_ours).collect();
    let is_near = |jwt: usize| tokens.iter().any(|token| jwt.abs_diff(*token) <= NEAR + usize::from(jwt > *token));
    let jwts = (0..sentence.len()).filter(is_unqualified);
    jwts.filter(|jwt| is_near(*jwt) && !is_denied(*jwt)).map(|jwt| sentence[jwt].1).collect()
}

/// A text, as the sentences in it.
#[derive(Default)]
struct Sentences {
    ended: Vec<Vec<Word>>,
    current: Vec<Word>,
    word: String,
    line: usize,
}

impl Sentences {
    fn of_prose(text: &str) -> Vec<Vec<Word>> {
        let mut sentences = Self::default();
        for (index, line) in text.lines().enumerate() {
            sentences.prose(line, index + 1);
        }
        sentences.end()
    }

    fn of_code(file: &str, text: &str) -> Vec<Vec<Word>> {
        let marks: &[&str] = if is_a(file, "rs") { &["//"] } else { &["#", "--"] };
        let mut sentences = Self::default();
        let mut was_comment = false;
        for (index, line) in text.lines().enumerate() {
            let comment = marks.iter().find_map(|mark| line.trim_start().strip_prefix(mark));
            if comment.is_some() != was_comment {
                sentences.end_sentence();
            }
            was_comment = comment.is_some();
            match comment {
                Some(comment) => sentences.prose(comment.trim_start_matches(['/', '!', '#']), index + 1),
                None => sentences.code(line, index + 1),
            }
        }
        sentences.end()
    }

    /// A line of a paragraph; an empty one, a heading, a list item or a table's row begins another.
    fn prose(&mut self, line: &str, number: usize) {
        self.line = number;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '|', '-', '*']) {
            self.end_sentence();
        }
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            let is_last = characters.peek().is_none_or(|next| next.is_whitespace());
            match character {
                '|' => self.end_sentence(),
                '.' | '?' | '!' | ';' if is_last => self.end_sentence(),
                _ => self.take(character),
            }
        }
        self.end_word();
    }

    fn code(&mut self, line: &str, number: usize) {
        self.line = number;
        let mut in_quotes = false;
        for character in line.chars() {
            match character {
                '"' => {
                    in_quotes = !in_quotes;
                    self.end_sentence();
                }
                ',' | '(' | ')' | '{' | '}' | '|' | ';' if !in_quotes => self.end_sentence(),
                _ => self.take(character),
            }
        }
        self.end_sentence();
    }

    /// Reads on: `SessionToken`, `session_token` and "session token" are the same two words.
    fn take(&mut self, character: char) {
        if !character.is_alphanumeric() {
            return self.end_word();
        }
        if character.is_uppercase() && self.word.ends_with(char::is_lowercase) {
            self.end_word();
        }
        self.word.push(character);
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.current.push((mem::take(&mut self.word).to_lowercase(), self.line));
        }
    }

    fn end_sentence(&mut self) {
        self.end_word();
        if !self.current.is_empty() {
            self.ended.push(mem::take(&mut self.current));
        }
    }

    fn end(mut self) -> Vec<Vec<Word>> {
        self.end_sentence();
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `§` stands for the word, so that this file passes its own check.
    fn lines(file: &str, text: &str) -> Vec<usize> {
        objections(file, &text.replace('§', "JWT"))
    }

    #[test]
    fn the_session_token_is_not_called_one() {
        for (file, text) in [
            ("docs/a.md", "The session token is a § that lives for 30 days."),
            ("docs/a.md", "A session token (a signed §) goes to the broker."),
            ("docs/a.md", "The broker signs a §, the session token."),
            ("docs/a.md", "The session token, which the broker signs, is a §, not opaque."),
            ("docs/a.md", "- `SessionToken` is a\n  §."),
            ("docs/a.md", "| session token | 30 days |\n| a § as session token | 1 |"),
            ("a/src/lib.rs", "/// The session token: a §\n/// with a prefix."),
            ("a/src/lib.rs", "/// The 30-day session token,\n/// in truth a §."),
            ("a/src/lib.rs", "let text = \"the session token, a §, is over\";"),
            ("a/src/lib.rs", "fn verify(§: SessionToken) {}"),
            ("a/src/lib.rs", "let session_token = §;"),
            ("a/src/lib.rs", "let x = session§;"),
            ("a/src/lib.rs", "let x = §-session;"),
            ("a/a.py", "# the session token is a §"),
        ] {
            assert!(!lines(file, text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_tells_them_apart_is_welcome() {
        for (file, text) in [
            ("AGENTS.md", "The session token is never called a §. The OIDC § is one."),
            ("AGENTS.md", "| session token | the 30-day bearer; never called a § |"),
            ("docs/a.md", "The session token is not a §."),
            ("docs/a.md", "Unlike a §, the session token has a prefix."),
            ("docs/a.md", "issue a session token or an OIDC §"),
            ("docs/a.md", "keys of session tokens and of web-identity §s"),
            ("docs/a.md", "The session token opens the account.\n\nThe § goes to AWS."),
            ("docs/a.md", "The session token opens the account. The § goes to AWS."),
            ("docs/a.md", "STS trades the § for keys and an AWS session token."),
            ("a/src/lib.rs", "use agentkeys_types::{OidcJwt, SessionToken};"),
            ("a/src/lib.rs", "matches!(name, \"session_token\" | \"id_token\" | \"§\")"),
            ("a/src/lib.rs", "fn mint(token: &SessionToken, §: &OidcJwt) {}"),
            ("a/src/lib.rs", "/// Takes the session token.\nfn sign(§: &str) {}"),
            ("a/src/lib.rs", "jwt.session_id"),
            ("README.md", "mints the OIDC § for a wallet session"),
        ] {
            assert_eq!(lines(file, text), [0; 0], "{text}");
        }
    }

    #[test]
    fn the_line_of_the_word_is_named() {
        assert_eq!(lines("docs/a.md", "\nThe session\ntoken is a\n§ of ours.\n"), [4]);
    }
}
