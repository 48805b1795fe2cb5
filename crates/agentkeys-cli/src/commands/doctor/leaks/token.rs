use std::fmt;

use agentkeys_types::{SessionId, TOKEN_PATTERN, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use regex::bytes::Regex;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Finds tokens in bytes.
pub(super) struct TokenFinder {
    pattern: Regex,
    now: Timestamp,
}

/// What may be told of a token that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The session to revoke, if the token says which one.
    pub(super) session: Option<SessionId>,
    /// Whether its time is over, so that it opens nothing.
    pub(super) is_over: bool,
}

/// What of a token's claims is of use here. Nothing has verified them.
#[derive(Deserialize)]
struct UnverifiedClaims {
    sid: SessionId,
    /// The parent of a wallet session: revoking it ends both.
    psid: Option<SessionId>,
    exp: i64,
}

impl TokenFinder {
    /// A finder that knows what time it is.
    pub(super) fn new(now: Timestamp) -> Option<Self> {
        Some(Self { pattern: Regex::new(TOKEN_PATTERN).ok()?, now })
    }

    /// Every token in `text`, and where it begins.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, Found)> {
        self.pattern.find_iter(text).map(|found| (found.start(), self.read(found.as_bytes()))).collect()
    }

    fn read(&self, token: &[u8]) -> Found {
        let payload = token.split(|byte| *byte == b'.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map(Zeroizing::new).ok();
        let claims = payload.and_then(|payload| serde_json::from_slice::<UnverifiedClaims>(&payload).ok());
        Found {
            session: claims.as_ref().map(|claims| claims.psid.unwrap_or(claims.sid)),
            is_over: claims.is_some_and(|claims| self.now.as_unix() >= claims.exp),
        }
    }
}

impl Found {
    /// The session's id, or the place of one in a command.
    pub(super) fn session_shown(&self) -> String {
        self.session.map_or_else(|| "ID".to_owned(), |session| session.to_string())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.session {
            Some(session) => write!(formatter, "aks_… of session {session}")?,
            None => formatter.write_str("aks_… of an unknown session")?,
        }
        if self.is_over { formatter.write_str(", over") } else { Ok(()) }
    }
}

/// A name from elsewhere, fit to be printed: one line, and no token, whatever it was made to say.
pub(super) fn shown(name: &str) -> String {
    if name.contains("aks_") {
        return "…".to_owned();
    }
    name.chars().filter(|character| !character.is_control()).take(200).collect()
}
