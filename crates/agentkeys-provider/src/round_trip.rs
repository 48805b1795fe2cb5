use agentkeys_types::Invalid;
use secrecy::{ExposeSecret, SecretString};

const LONGEST: usize = 512;

/// What ties the answer of a provider to the question: made for one sign-in, and used for no other.
///
/// Prints without its contents.
#[derive(Clone, Debug)]
pub struct RoundTrip {
    state: SecretString,
    nonce: SecretString,
    verifier: SecretString,
}

impl RoundTrip {
    /// The `state` of the redirect, the `nonce` of the ID token, and the PKCE `verifier` (RFC 7636).
    ///
    /// # Errors
    ///
    /// When one is empty, too long, or not of unreserved characters; a verifier has 43 to 128 of them.
    pub fn new(state: SecretString, nonce: SecretString, verifier: SecretString) -> Result<Self, Invalid> {
        let is_within = |text: &SecretString, least: usize, most: usize| {
            let text = text.expose_secret();
            (least..=most).contains(&text.len()) && text.bytes().all(is_unreserved)
        };
        if !is_within(&state, 1, LONGEST) || !is_within(&nonce, 1, LONGEST) {
            return Err(Invalid("a state and a nonce are 1 to 512 of A-Z, a-z, 0-9, -, ., _ and ~"));
        }
        if !is_within(&verifier, 43, 128) {
            return Err(Invalid("a PKCE verifier is 43 to 128 of A-Z, a-z, 0-9, -, ., _ and ~"));
        }
        Ok(Self { state, nonce, verifier })
    }

    pub(crate) fn state(&self) -> &str {
        self.state.expose_secret()
    }

    pub(crate) fn nonce(&self) -> &str {
        self.nonce.expose_secret()
    }

    pub(crate) fn verifier(&self) -> &str {
        self.verifier.expose_secret()
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_takes_only_what_fits_a_url_and_pkce() {
        let long = "v".repeat(43);
        let made = |state: &str, nonce: &str, verifier: &str| {
            RoundTrip::new(state.into(), nonce.into(), verifier.into()).is_ok()
        };

        assert!(made("state", "nonce", &long));
        assert!(made("s", "n", &"v".repeat(128)));
        assert!(!made("", "nonce", &long));
        assert!(!made("state", "", &long));
        assert!(!made("a state", "nonce", &long));
        assert!(!made("state", "nonce", &long[1..]));
        assert!(!made("state", "nonce", &"v".repeat(129)));
    }

    #[test]
    fn a_round_trip_prints_none_of_its_secrets() {
        let verifier = "verifier".repeat(6);
        let round_trip = RoundTrip::new("the-state".into(), "the-nonce".into(), verifier.as_str().into()).unwrap();

        let printed = format!("{round_trip:?}");

        assert!(!printed.contains("the-") && !printed.contains(&verifier), "{printed}");
    }
}
