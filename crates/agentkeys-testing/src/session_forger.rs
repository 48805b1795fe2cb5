use agentkeys_client::Session;
use agentkeys_crypto::{
    AUDIENCE, Confirmation, DeviceKey, KeyRing, RingName, SessionIssuer, SessionTokenClaims, SigningKey,
};
use agentkeys_types::{Clock, IdentityType, SystemClock};

use crate::System;

/// The broker's own session keys in other hands: signs what the broker would not.
#[derive(Debug)]
pub struct SessionForger {
    issuer: SessionIssuer,
    broker_url: String,
}

impl SessionForger {
    /// Reads the keys of the broker of `system`.
    pub fn of(system: &System) -> Self {
        let ring = KeyRing::reopen(&system.keys_folder(), RingName::Session, SystemClock.now());
        let SigningKey::Es256(key) = ring.expect("the broker's keys").into_current() else {
            panic!("another kind of key")
        };
        Self { issuer: SessionIssuer::new(key).expect("a key that signs"), broker_url: system.broker_url() }
    }

    /// A session in the place of `session`, which stands, for an hour from now; its claims are changed as told.
    pub fn forge(
        &self,
        session: &Session,
        device_key: Option<DeviceKey>,
        change: impl FnOnce(&mut SessionTokenClaims),
    ) -> Session {
        let now = SystemClock.now().as_unix();
        let mut claims = SessionTokenClaims {
            iss: self.broker_url.clone(),
            aud: AUDIENCE.to_owned(),
            sub: session.omni_account,
            sid: session.session_id,
            iat: now,
            exp: now + 3600,
            auth_time: now,
            idt: IdentityType::Email,
            cnf: device_key.as_ref().map(|key| Confirmation { jkt: key.thumbprint() }),
        };
        change(&mut claims);
        Session { token: self.issuer.issue(&claims).expect("a token"), device_key, ..session.clone() }
    }

    /// `session` itself, bound as it is, as it would be if it had begun a day ago and ended just now.
    pub fn expire(&self, session: &Session) -> Session {
        self.forge(session, session.device_key.clone(), |claims| {
            claims.exp = claims.iat;
            claims.iat -= 24 * 3600;
            claims.auth_time = claims.iat;
        })
    }
}
