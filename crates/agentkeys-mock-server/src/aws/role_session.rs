use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agentkeys_crypto::random;
use agentkeys_types::{AwsCredentials, Timestamp, TokenDigest};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::role::{AssumedRole, aws_id};

/// For how long expired credentials are told apart from ones that never were.
const REMEMBERED_AFTER_EXPIRY: Duration = Duration::from_hours(24);

/// What a set of temporary credentials stands for.
pub(super) struct RoleSession {
    pub(super) role: AssumedRole,
    pub(super) tags: BTreeMap<String, String>,
    secret_access_key: SecretString,
    token: TokenDigest,
    expires_at: Timestamp,
}

/// Why credentials do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They have ended.
    Expired,
    /// There are none with this access key id, or the session token that belongs to them is missing.
    Unknown,
    /// The session token belongs to others.
    WrongToken,
}

/// The temporary credentials that STS has issued, by access key id, in memory.
#[derive(Default)]
pub(super) struct RoleSessions {
    by_key: Mutex<HashMap<String, Arc<RoleSession>>>,
}

impl RoleSessions {
    /// Issues credentials that end at `expires_at`.
    pub(super) fn issue(
        &self,
        role: AssumedRole,
        tags: BTreeMap<String, String>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> AwsCredentials {
        // Standard base64, so that clients meet the `+`, `/` and `=` that AWS's own values have.
        let credentials = AwsCredentials {
            access_key_id: aws_id("ASIA"),
            secret_access_key: STANDARD.encode(random::<30>()).into(),
            session_token: STANDARD.encode(random::<95>()).into(),
            expires_at,
        };
        let session = RoleSession {
            role,
            tags,
            secret_access_key: credentials.secret_access_key.clone(),
            token: TokenDigest::of(credentials.session_token.expose_secret()),
            expires_at,
        };
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, session| session.expires_at.after(REMEMBERED_AFTER_EXPIRY) > now);
        by_key.insert(credentials.access_key_id.clone(), Arc::new(session));
        credentials
    }

    /// The secret that requests under `access_key_id` are signed with.
    pub(super) fn secret_access_key(&self, access_key_id: &str) -> Option<SecretString> {
        self.find(access_key_id).map(|session| session.secret_access_key.clone())
    }

    /// The session of a request whose signature is right, when its session token is too and it has not ended.
    pub(super) fn verify(
        &self,
        access_key_id: &str,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<RoleSession>, Refusal> {
        let session = self.find(access_key_id).ok_or(Refusal::Unknown)?;
        if TokenDigest::of(token.ok_or(Refusal::Unknown)?) != session.token {
            return Err(Refusal::WrongToken);
        }
        if now >= session.expires_at {
            return Err(Refusal::Expired);
        }
        Ok(session)
    }

    fn find(&self, access_key_id: &str) -> Option<Arc<RoleSession>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::role::Role;

    fn issue(sessions: &RoleSessions, now: i64, expires_at: i64) -> AwsCredentials {
        let role = Role::new("arn:aws:iam::000000000000:role/agentkeys-dev").unwrap().assumed_as("ada");
        sessions.issue(role, BTreeMap::new(), Timestamp::from_unix(now), Timestamp::from_unix(expires_at))
    }

    #[test]
    fn credentials_count_up_to_and_not_at_their_expiry() {
        let sessions = RoleSessions::default();
        let issued = issue(&sessions, 0, 900);

        let at = |now| {
            let token = Some(issued.session_token.expose_secret());
            sessions.verify(&issued.access_key_id, token, Timestamp::from_unix(now)).map(|_| ())
        };

        assert_eq!(at(899), Ok(()));
        assert_eq!(at(900), Err(Refusal::Expired));
    }

    #[test]
    fn a_session_token_belongs_to_one_access_key() {
        let sessions = RoleSessions::default();
        let (ada, mallory) = (issue(&sessions, 0, 900), issue(&sessions, 0, 900));

        let with = |token| sessions.verify(&ada.access_key_id, token, Timestamp::from_unix(1)).map(|_| ());

        assert_eq!(with(Some(mallory.session_token.expose_secret())), Err(Refusal::WrongToken));
        assert_eq!(with(None), Err(Refusal::Unknown));
        assert_eq!(with(Some(ada.session_token.expose_secret())), Ok(()));
    }

    #[test]
    fn credentials_are_forgotten_a_day_after_their_expiry() {
        let sessions = RoleSessions::default();
        let old = issue(&sessions, 0, 900);

        issue(&sessions, 900 + 86_400, 900 + 86_400 + 900);

        assert!(sessions.secret_access_key(&old.access_key_id).is_none());
    }
}
