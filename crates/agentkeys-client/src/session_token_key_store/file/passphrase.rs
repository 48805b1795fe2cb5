use std::io;

use secrecy::{ExposeSecret, SecretString};

use super::super::StorageError;

/// A shorter one is guessed, whatever a guess costs.
const SHORTEST: usize = 8;

/// Asks a person for the passphrase of a session file.
pub trait PassphrasePrompt: Send + Sync {
    /// What was typed after `prompt`. May wait for as long as the person does.
    fn ask(&self, prompt: &str) -> Result<SecretString, StorageError>;
}

impl dyn PassphrasePrompt {
    /// The passphrase of a file that exists.
    pub(super) fn known(&self) -> Result<SecretString, StorageError> {
        self.ask("Passphrase of the session file: ")
    }

    /// The passphrase of a file that is to be made.
    pub(super) fn chosen(&self) -> Result<SecretString, StorageError> {
        let first = self.ask("New passphrase for the session file: ")?;
        if first.expose_secret().chars().count() < SHORTEST {
            return Err(StorageError::KeyUnavailable(format!("a passphrase has at least {SHORTEST} characters")));
        }
        let second = self.ask("The same again: ")?;
        if first.expose_secret() != second.expose_secret() {
            return Err(StorageError::KeyUnavailable("the two passphrases differ".to_owned()));
        }
        Ok(first)
    }
}

/// Asks at the terminal of this process, without showing what is typed.
#[derive(Clone, Copy, Debug)]
pub struct TerminalPrompt {
    /// Whether it may ask; otherwise it fails at once.
    pub may_ask: bool,
}

impl PassphrasePrompt for TerminalPrompt {
    fn ask(&self, prompt: &str) -> Result<SecretString, StorageError> {
        if !self.may_ask {
            return Err(StorageError::KeyUnavailable("a passphrase may not be asked for".to_owned()));
        }
        unseen(prompt).map(SecretString::from).map_err(|error| {
            StorageError::KeyUnavailable(match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => "no passphrase was typed".to_owned(),
                _ => "there is no terminal to ask for a passphrase".to_owned(),
            })
        })
    }
}

#[cfg(unix)]
use super::unseen::read as unseen;

#[cfg(not(unix))]
fn unseen(prompt: &str) -> io::Result<String> {
    rpassword::prompt_password(prompt)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Types what it was told, and remembers how often it was asked.
    pub(in super::super) struct Typed {
        words: Mutex<Vec<&'static str>>,
    }

    impl Typed {
        pub(in super::super) fn new(words: &[&'static str]) -> Self {
            Self { words: Mutex::new(words.iter().rev().copied().collect()) }
        }

        pub(in super::super) fn is_all_typed(&self) -> bool {
            self.words.lock().unwrap().is_empty()
        }
    }

    impl PassphrasePrompt for Typed {
        fn ask(&self, _: &str) -> Result<SecretString, StorageError> {
            let word = self.words.lock().unwrap().pop();
            word.map(SecretString::from).ok_or_else(|| StorageError::KeyUnavailable("nobody types".to_owned()))
        }
    }

    fn chosen(words: &[&'static str]) -> Result<SecretString, StorageError> {
        let typed: Box<dyn PassphrasePrompt> = Box::new(Typed::new(words));
        typed.chosen()
    }

    #[test]
    fn a_new_passphrase_is_typed_twice_and_alike() {
        assert_eq!(chosen(&["correct horse", "correct horse"]).unwrap().expose_secret(), "correct horse");
        assert_eq!(chosen(&["correct horse", "correct house"]).unwrap_err().code(), "store_key_unavailable");
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        assert_eq!(chosen(&["", ""]).unwrap_err().code(), "store_key_unavailable");
        assert_eq!(chosen(&["seven77", "seven77"]).unwrap_err().code(), "store_key_unavailable");
    }

    #[test]
    fn where_nothing_may_be_asked_it_fails_at_once() {
        let error = TerminalPrompt { may_ask: false }.ask("").unwrap_err();

        assert_eq!(error.code(), "store_key_unavailable");
    }
}
