//! The keys of one kind in a folder: the current one, the next one, and those that signed before.

mod folder_state;
mod listed;
mod previous;
mod rotation;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use agentkeys_types::Timestamp;

pub use self::{
    folder_state::FolderState,
    listed::{KeyState, ListedKey},
    rotation::Rotation,
};
use crate::{Algorithm, Jwk, JwkSet, KeyError, Purpose, SigningKey, key_file};

/// AWS takes at most 100 RSA and 100 EC keys.
const MOST_FOR_CLOUDS: usize = 100;
/// What signers can read at once.
const MOST_FOR_SIGNERS: usize = 1000;

/// Which keys: those that take turns at one kind of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingName {
    /// Session tokens, by ES256.
    Session,
    /// Web-identity JWTs, by ES256.
    OidcEs256,
    /// Web-identity JWTs, by RS256.
    OidcRs256,
}

impl RingName {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Session, Self::OidcEs256, Self::OidcRs256];

    /// The keys of web-identity JWTs by this algorithm.
    pub fn oidc(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::OidcEs256,
            Algorithm::Rs256 => Self::OidcRs256,
        }
    }

    /// What the keys sign.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Session => Purpose::Session,
            Self::OidcEs256 | Self::OidcRs256 => Purpose::Oidc,
        }
    }

    /// How they sign.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Session | Self::OidcEs256 => Algorithm::Es256,
            Self::OidcRs256 => Algorithm::Rs256,
        }
    }

    /// Whether the folder has such keys.
    pub fn exists_in(self, folder: &Path) -> bool {
        self.current_file(folder).exists()
    }

    /// How long after its retirement a key still verifies.
    ///
    /// A session token counts for 30 days, and another broker may take an hour to notice; a web-identity JWT
    /// counts for 5 minutes, and whoever verifies it may keep a JWK Set for 5, twice.
    fn outlives_retirement_by(self) -> Duration {
        match self.purpose() {
            Purpose::Session => Duration::from_hours(30 * 24 + 1),
            Purpose::Oidc => Duration::from_mins(15),
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::OidcEs256 => "oidc",
            Self::OidcRs256 => "oidc-rs256",
        }
    }

    fn current_file(self, folder: &Path) -> PathBuf {
        folder.join(self.stem()).with_extension("pem")
    }

    fn next_file(self, folder: &Path) -> PathBuf {
        folder.join(self.stem()).with_extension("next.pem")
    }

    fn read(self, file: &Path) -> Result<SigningKey, KeyError> {
        key_file::read(file, self.algorithm(), self.purpose())
    }

    fn create_if_missing(self, file: &Path) -> Result<(), KeyError> {
        key_file::create_if_missing(file, self.algorithm(), self.purpose())
    }
}

/// The keys of one name: the private key that signs, and the public halves of all that verify.
///
/// The next key is published before it signs, and previous ones until nothing that they signed counts any more, so
/// that nobody who verifies is ever surprised.
#[derive(Debug)]
pub struct KeyRing {
    name: RingName,
    current: SigningKey,
    next: Jwk,
    /// The newest first.
    previous: Vec<(Jwk, Timestamp)>,
}

impl KeyRing {
    /// Reads the keys of this name from `folder`, and makes there what is missing of the current and the next one.
    pub fn open(folder: &Path, name: RingName, now: Timestamp) -> Result<Self, KeyError> {
        name.create_if_missing(&name.current_file(folder))?;
        Self::reopen(folder, name, now)
    }

    /// Reads the keys again, and makes the next one where a rotation has not come so far.
    ///
    /// Of the next one, the private half is forgotten again.
    ///
    /// # Errors
    ///
    /// When there is no current key: it never goes missing by a rotation.
    pub fn reopen(folder: &Path, name: RingName, now: Timestamp) -> Result<Self, KeyError> {
        let (current, next) = (name.current_file(folder), name.next_file(folder));
        // A rotation that came in between would leave out a key.
        for _ in 0..100 {
            let before = FolderState::of(folder)?;
            let current = name.read(&current)?;
            name.create_if_missing(&next)?;
            let next = name.read(&next)?.public().clone();
            let previous = previous::read_all(folder, name, now)?;
            if FolderState::of(folder)? == before {
                return Ok(Self { name, current, next, previous });
            }
        }
        Err(KeyError::Rotating(folder.display().to_string()))
    }

    /// The public halves: the current key's, the next one's, and the previous ones', the newest first.
    pub fn keys(&self) -> JwkSet {
        let all = [self.current.public(), &self.next].into_iter().chain(self.previous.iter().map(|(jwk, _)| jwk));
        let mut seen = BTreeSet::new();
        let most = match self.name.purpose() {
            Purpose::Session => MOST_FOR_SIGNERS,
            Purpose::Oidc => MOST_FOR_CLOUDS,
        };
        JwkSet { keys: all.filter(|jwk| seen.insert(jwk.kid.clone())).take(most).cloned().collect() }
    }

    /// When the next of the previous keys is over.
    pub fn changes_at(&self) -> Option<Timestamp> {
        self.previous.iter().map(|(_, until)| *until).min()
    }

    /// The private key that signs.
    pub fn into_current(self) -> SigningKey {
        self.current
    }
}

#[cfg(test)]
mod tests;
