//! What is kept of a key that signs no more: its public half, until nothing that it signed counts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agentkeys_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::RingName;
use crate::{Jwk, KeyError, Purpose, private_file};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviousKey {
    purpose: Purpose,
    retired_at: Timestamp,
    jwk: Jwk,
}

/// The folder of the public halves.
pub(super) fn folder(keys: &Path) -> PathBuf {
    keys.join("previous")
}

/// Keeps the public half of a key that is about to sign no more.
pub(super) fn write(keys: &Path, name: RingName, jwk: &Jwk, retired_at: Timestamp) -> Result<(), KeyError> {
    let path = folder(keys).join(format!("{}.{}.json", name.stem(), jwk.kid));
    let retired = PreviousKey { purpose: name.purpose(), retired_at, jwk: jwk.clone() };
    let text = serde_json::to_vec_pretty(&retired).map_err(|_| KeyError::Signing)?;
    // A rotation that ended half-way has left one, which nobody needs as long as its key is the current one.
    let written = private_file::remove(&path).and_then(|()| private_file::create_new(&path, &text));
    written.map_err(|error| KeyError::File(path.display().to_string(), error))
}

/// The keys that still verify at `now`, and until when; the newest first.
pub(super) fn read_all(keys: &Path, name: RingName, now: Timestamp) -> Result<Vec<(Jwk, Timestamp)>, KeyError> {
    let mut retired = Vec::new();
    for path in files(keys, name)? {
        let Some(found) = read(&path, name)? else { continue };
        retired.push((found.retired_at, found.jwk));
    }
    retired.sort_by_key(|(retired_at, _)| std::cmp::Reverse(*retired_at));
    let until = |retired_at: Timestamp| retired_at.after(name.outlives_retirement_by());
    let all = retired.into_iter().map(|(retired_at, jwk)| (jwk, until(retired_at)));
    Ok(all.filter(|(_, until)| now < *until).collect())
}

/// Forgets those that verify nothing any more at `now`.
pub(super) fn prune(keys: &Path, name: RingName, now: Timestamp) -> Result<(), KeyError> {
    for path in files(keys, name)? {
        let over = read(&path, name)?.is_some_and(|it| now >= it.retired_at.after(name.outlives_retirement_by()));
        if over {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Forgets all of them, whatever is in the files.
pub(super) fn remove_all(keys: &Path, name: RingName) -> Result<(), KeyError> {
    files(keys, name)?.iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), KeyError> {
    private_file::remove(path).map_err(|error| KeyError::File(path.display().to_string(), error))
}

/// When the key that is in use now took over, if that is known.
pub(super) fn latest_retirement(keys: &Path, name: RingName, current: &Jwk) -> Result<Option<Timestamp>, KeyError> {
    let mut latest = None;
    for path in files(keys, name)? {
        let retired = read(&path, name)?.filter(|retired| retired.jwk.kid != current.kid);
        latest = latest.max(retired.map(|retired| retired.retired_at));
    }
    Ok(latest)
}

fn files(keys: &Path, name: RingName) -> Result<Vec<PathBuf>, KeyError> {
    let folder = folder(keys);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries,
    };
    let is_ours = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        file.strip_prefix(name.stem()).is_some_and(|rest| rest.starts_with('.'))
            && path.extension().is_some_and(|extension| extension == "json")
    };
    let paths = entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let paths = paths.map_err(|error| KeyError::File(folder.display().to_string(), error))?;
    Ok(paths.into_iter().filter(is_ours).collect())
}

/// `None` where somebody has removed the file meanwhile.
fn read(path: &Path, name: RingName) -> Result<Option<PreviousKey>, KeyError> {
    let file = path.display().to_string();
    let text = match private_file::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| KeyError::File(file.clone(), error))?,
    };
    let wanted = "the public half of a signing key";
    let retired: PreviousKey =
        serde_json::from_slice(&text).map_err(|_| KeyError::Content { file: file.clone(), wanted })?;
    if retired.purpose != name.purpose() {
        return Err(KeyError::OtherPurpose { file, found: retired.purpose.to_string(), wanted: name.purpose() });
    }
    if !retired.jwk.signs_with(name.algorithm().as_str()) {
        return Err(KeyError::Content { file, wanted });
    }
    Ok(Some(retired))
}
