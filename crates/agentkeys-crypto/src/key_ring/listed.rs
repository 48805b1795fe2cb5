use std::{fs, path::Path, time::UNIX_EPOCH};

use agentkeys_types::Timestamp;
use serde::Serialize;

use super::{RingName, previous};
use crate::{Algorithm, KeyError, Purpose};

/// A key of a folder, as an operator is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedKey {
    /// What it signs.
    pub purpose: Purpose,
    /// How.
    pub algorithm: Algorithm,
    /// Its turn.
    pub state: KeyState,
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// When it came into this state.
    pub since: Timestamp,
    /// When it will be forgotten, if that is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It signs.
    Current,
    /// It is published, and will sign after the next rotation.
    Next,
    /// It has signed, and still verifies.
    Previous,
}

impl KeyState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}

impl ListedKey {
    /// Every key in `folder`: of each kind the current one, the next one, then the previous ones, the newest first.
    ///
    /// # Errors
    ///
    /// When there are none, or one cannot be read.
    pub fn all(folder: &Path, now: Timestamp) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for name in RingName::ALL.into_iter().filter(|name| name.exists_in(folder)) {
            keys.extend(of_ring(folder, name, now)?);
        }
        if keys.is_empty() { Err(KeyError::NoKeys(folder.display().to_string())) } else { Ok(keys) }
    }
}

fn of_ring(folder: &Path, name: RingName, now: Timestamp) -> Result<Vec<ListedKey>, KeyError> {
    let listed = |state, kid: &str, since, until| {
        let (purpose, algorithm) = (name.purpose(), name.algorithm());
        ListedKey { purpose, algorithm, state, kid: kid.to_owned(), since, until }
    };
    let file = name.current_file(folder);
    let current = name.read(&file)?;
    let current = current.public();
    let since = match previous::latest_retirement(folder, name, current)? {
        Some(since) => since,
        None => modified(&file)?,
    };
    let mut keys = vec![listed(KeyState::Current, &current.kid, since, None)];
    let file = name.next_file(folder);
    if file.exists() {
        let next = name.read(&file)?;
        keys.push(listed(KeyState::Next, &next.public().kid, modified(&file)?, None));
    }
    for (jwk, until) in previous::read_all(folder, name, now)? {
        if keys.iter().all(|key| key.kid != jwk.kid) {
            let since = until.before(name.outlives_retirement_by());
            keys.push(listed(KeyState::Previous, &jwk.kid, since, Some(until)));
        }
    }
    Ok(keys)
}

fn modified(file: &Path) -> Result<Timestamp, KeyError> {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    let modified = modified.map_err(|error| KeyError::File(file.display().to_string(), error))?;
    let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX)))
}
