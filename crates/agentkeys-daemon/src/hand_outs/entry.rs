use agentkeys_api::{Audience, ErrorCode};
use agentkeys_types::{AgentName, OidcJwt, RoleName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Peer;

/// One line of the record of what was handed out, and of what was refused. Holds nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOut {
    /// When.
    pub at: Timestamp,
    /// By which way it was asked for.
    pub door: Door,
    /// What came of it.
    pub outcome: Outcome,
    /// The agent that it was for; none where that was the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The role, where credentials were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// The audience, where a web-identity JWT was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Names the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Names the JWT: how its SHA-256 begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_digest: Option<String>,
    /// When that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The user that asked, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
}

impl HandOut {
    /// A line that says so much and nothing else yet.
    pub fn new(at: Timestamp, door: Door, outcome: Outcome) -> Self {
        Self {
            at,
            door,
            outcome,
            agent: None,
            role: None,
            audience: None,
            access_key_id: None,
            token_digest: None,
            expires_at: None,
            uid: None,
            pid: None,
            executable: None,
        }
    }

    /// With who asked.
    #[must_use]
    pub fn by(mut self, peer: &Peer) -> Self {
        self.uid = Some(peer.uid);
        self.pid = peer.pid;
        self.executable = peer.executable.as_ref().map(|path| path.to_string_lossy().into_owned());
        self
    }

    /// With the name of the JWT that was handed out.
    #[must_use]
    pub fn of_token(mut self, jwt: &OidcJwt) -> Self {
        self.token_digest = Some(hex::encode(&jwt.digest().0[..8]));
        self
    }
}

/// A way by which credentials leave the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// An agent's own socket.
    AgentSocket,
    /// A command of the person's, which needs no daemon.
    Command,
    /// The container credentials endpoint.
    Endpoint,
    /// The person's socket.
    Socket,
    /// The file that holds a fresh web-identity JWT.
    TokenFile,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was handed out.
    HandedOut,
    /// It was not, and why.
    Refused(ErrorCode),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_got_what_and_no_secret() {
        let jwt = OidcJwt::new("a.very.secret".to_owned());
        let entry = HandOut::new(Timestamp::from_unix(0), Door::TokenFile, Outcome::HandedOut).of_token(&jwt);

        let line = serde_json::to_string(&entry).unwrap();

        let expected = concat!(
            r#"{"at":"1970-01-01T00:00:00Z","door":"token-file","outcome":"handed_out","#,
            r#""token_digest":"51335a0a65d43d24"}"#
        );
        assert_eq!(line, expected);
    }
}
