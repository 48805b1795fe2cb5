use std::net::Ipv4Addr;

use agentkeys_api::{OAUTH_CLIENT, OauthError};
use agentkeys_types::{IdentityType, KeyThumbprint};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use url::{Host, Origin, Url};

use crate::Broker;

/// Longer than any state of ours, and short enough for a URL.
const LONGEST_STATE: usize = 512;
/// As in the body of a sign-in by e-mail.
const LONGEST_NAME: usize = 256;

/// What the command asks for at `/oauth/authorize`: a session for a client on the machine of the browser.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Where the browser takes the code.
    pub redirect_uri: RedirectUri,
    /// What it brings back.
    pub state: String,
    /// SHA-256 of the verifier (RFC 7636 section 4.2).
    pub challenge: [u8; 32],
    /// The device key that the session will be bound to (RFC 9449 section 10).
    pub key: Option<KeyThumbprint>,
    /// Which machine asks.
    pub client_name: Option<String>,
    /// The only way of signing in that is offered.
    pub way: Option<IdentityType>,
}

/// Why a request for authorization is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationError {
    /// On a page: whoever asks is not known, or waits at a place that is not theirs (RFC 6749 section 4.1.2.1).
    Page(&'static str),
    /// At the client, which hears why.
    Redirect {
        /// Where the browser goes.
        to: Url,
    },
}

impl AuthorizationRequest {
    /// Reads the parameters of RFC 6749 section 4.1.1, given by `find`, for the authorization server `issuer`.
    pub fn read<'p>(find: impl Fn(&str) -> Option<&'p str>, issuer: &str) -> Result<Self, AuthorizationError> {
        if find("client_id") != Some(OAUTH_CLIENT) {
            return Err(AuthorizationError::Page("the client is not known here"));
        }
        let redirect_uri: RedirectUri = find("redirect_uri").and_then(RedirectUri::parse).ok_or(
            AuthorizationError::Page("the redirect URI must be on loopback, such as http://127.0.0.1:8080/callback"),
        )?;
        let state = find("state").unwrap_or_default();
        let is_state = state.len() <= LONGEST_STATE && state.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let refuse = |error: OauthError, why: &str| {
            let state = if is_state { state } else { "" };
            AuthorizationError::Redirect { to: redirect_uri.refused(error, why, state, issuer) }
        };
        if !is_state {
            return Err(refuse(OauthError::InvalidRequest, "the state is too long, or no text"));
        }
        if find("response_type") != Some("code") {
            return Err(refuse(OauthError::UnsupportedResponseType, "the response type must be code"));
        }
        if find("code_challenge_method") != Some("S256") {
            return Err(refuse(OauthError::InvalidRequest, "the code challenge method must be S256"));
        }
        let challenge = find("code_challenge").and_then(read_hash);
        let challenge = challenge.ok_or_else(|| refuse(OauthError::InvalidRequest, "the code challenge is none"))?;
        let key = find("dpop_jkt").map(str::parse).transpose();
        let key = key.map_err(|_| refuse(OauthError::InvalidRequest, "the key thumbprint is none"))?;
        let client_name = read_name(find("client_name"));
        let client_name = client_name.map_err(|why| refuse(OauthError::InvalidRequest, why))?;
        let way = find("provider").map(|name| way(name)).transpose();
        let way = way.map_err(|why| refuse(OauthError::InvalidRequest, why))?;
        let state = state.to_owned();
        Ok(Self { redirect_uri, state, challenge, key, client_name, way })
    }

    /// The client hears that, and why, its request is refused by `broker`.
    pub(crate) fn refused(&self, error: OauthError, why: &str, broker: &Broker) -> AuthorizationError {
        let to = self.redirect_uri.refused(error, why, &self.state, broker.issuer().as_str());
        AuthorizationError::Redirect { to }
    }

    /// What a form carries, so that the request can be read again.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![
            ("client_id", OAUTH_CLIENT.to_owned()),
            ("redirect_uri", self.redirect_uri.as_str().to_owned()),
            ("response_type", "code".to_owned()),
            ("code_challenge", URL_SAFE_NO_PAD.encode(self.challenge)),
            ("code_challenge_method", "S256".to_owned()),
            ("state", self.state.clone()),
        ];
        parameters.extend(self.key.map(|key| ("dpop_jkt", key.to_string())));
        parameters.extend(self.client_name.clone().map(|name| ("client_name", name)));
        // The button of a provider says so itself.
        parameters.extend((self.way == Some(IdentityType::Email)).then(|| ("provider", "email".to_owned())));
        parameters
    }
}

/// A name for a machine: a short text without control characters.
pub(crate) fn read_name(name: Option<&str>) -> Result<Option<String>, &'static str> {
    let is_name = |name: &str| name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    match name {
        Some(name) if !is_name(name) => Err("the client's name is too long, or no text"),
        name => Ok(name.map(str::to_owned)),
    }
}

fn way(name: &str) -> Result<IdentityType, &'static str> {
    if name == "email" {
        return Ok(IdentityType::Email);
    }
    name.parse().map(IdentityType::Oauth2).map_err(|_| "the provider's name is none")
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A place on loopback where a client waits for its code (RFC 8252 section 7.3): any port, no name, no query.
///
/// IPv4 alone, because the pages' content security policy can name no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(Url);

impl RedirectUri {
    /// Reads a redirect URI, which must be written as it is meant.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| url.as_str() == text)?;
        let is_loopback = url.host() == Some(Host::Ipv4(Ipv4Addr::LOCALHOST));
        let is_plain = url.scheme() == "http"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && text.len() <= LONGEST_STATE;
        (is_loopback && is_plain).then_some(Self(url))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The place without its path.
    pub fn origin(&self) -> Origin {
        self.0.origin()
    }

    /// Where the browser goes with a code (RFC 6749 section 4.1.2, RFC 9207 section 2).
    pub fn approved(&self, code: &str, state: &str, issuer: &str) -> Url {
        self.with(&[("code", code)], state, issuer)
    }

    /// Where the browser goes without one (RFC 6749 section 4.1.2.1, RFC 9207 section 2).
    pub fn refused(&self, error: OauthError, description: &str, state: &str, issuer: &str) -> Url {
        self.with(&[("error", error.as_str()), ("error_description", description)], state, issuer)
    }

    fn with(&self, parameters: &[(&str, &str)], state: &str, issuer: &str) -> Url {
        let mut url = self.0.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(parameters);
        if !state.is_empty() {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer);
        drop(query);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "http://127.0.0.1:8470";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn read(changes: &[(&str, Option<&str>)]) -> Result<AuthorizationRequest, AuthorizationError> {
        let right = [
            ("client_id", "agentkeys-cli"),
            ("redirect_uri", "http://127.0.0.1:4711/callback"),
            ("response_type", "code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", "xyz"),
        ];
        let find = |name: &str| {
            let other = changes.iter().find(|(other, _)| *other == name);
            let right = || right.iter().find(|(right, _)| *right == name).map(|(_, value)| *value);
            other.map_or_else(right, |(_, value)| *value)
        };
        AuthorizationRequest::read(find, ISSUER)
    }

    #[test]
    fn a_right_request_is_read_and_can_be_written_again() {
        let request = read(&[("client_name", Some("laptop")), ("provider", Some("google"))]).unwrap();

        let parameters = request.parameters();
        let find = |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let again = AuthorizationRequest::read(find, ISSUER).unwrap();
        assert_eq!(again.parameters(), parameters);
        assert_eq!(request.way, Some("oauth2_google".parse().unwrap()));
        assert_eq!(request.client_name.as_deref(), Some("laptop"));
    }

    #[test]
    fn whoever_waits_elsewhere_than_on_loopback_is_sent_nowhere() {
        for uri in [
            "https://127.0.0.1:4711/callback",
            "http://localhost:4711/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.2/callback",
            "http://127.1/callback",
            "http://evil@127.0.0.1:4711/callback",
            "http://127.0.0.1:4711/callback?x",
            "http://127.0.0.1:4711/callback#x",
            "http://127.0.0.1:4711/a/../callback",
            "http://[::1]:4711/callback",
            "javascript:alert(1)",
            "agentkeys:/callback",
            "",
        ] {
            let refused = read(&[("redirect_uri", Some(uri))]);
            assert!(matches!(refused, Err(AuthorizationError::Page(_))), "{uri}");
        }
        assert!(matches!(read(&[("client_id", Some("other"))]), Err(AuthorizationError::Page(_))));
    }

    #[test]
    fn the_client_hears_what_is_wrong_with_its_request_and_from_whom() {
        for (name, value, error) in [
            ("response_type", Some("token"), "unsupported_response_type"),
            ("response_type", None, "unsupported_response_type"),
            ("code_challenge_method", Some("plain"), "invalid_request"),
            ("code_challenge_method", None, "invalid_request"),
            ("code_challenge", Some("short"), "invalid_request"),
            ("code_challenge", None, "invalid_request"),
            ("dpop_jkt", Some("x"), "invalid_request"),
            ("provider", Some("Ev!l"), "invalid_request"),
            ("client_name", Some("a\nb"), "invalid_request"),
        ] {
            let Err(AuthorizationError::Redirect { to }) = read(&[(name, value)]) else { panic!("{name}") };
            let answer =
                |name: &str| to.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
            assert_eq!(answer("error").as_deref(), Some(error), "{name}");
            assert_eq!(answer("state").as_deref(), Some("xyz"));
            assert_eq!(answer("iss").as_deref(), Some(ISSUER));
            assert!(to.as_str().starts_with("http://127.0.0.1:4711/callback?"));
        }
    }
}
