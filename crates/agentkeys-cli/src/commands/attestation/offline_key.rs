use std::{fmt::Display, path::Path};

use agentkeys_attestation::ReleaseKeyPair;
use agentkeys_crypto::private_file;

use crate::error::CliError;

/// How a file of the release key comes about.
const NEXT: &str = "`agentkeys attestation keygen FILE` makes a release key; its file is its owner's alone (mode 600)";

/// The release key in the file, which only its owner may read.
pub(super) fn read(path: &Path) -> Result<ReleaseKeyPair, CliError> {
    let pem = private_file::read(path).map_err(|error| unusable(path, error))?;
    let pem = std::str::from_utf8(&pem).map_err(|_| unusable(path, "it is not PEM"))?;
    ReleaseKeyPair::from_pem(pem).map_err(|error| unusable(path, error))
}

/// The release key in the file cannot be used.
pub(super) fn unusable(path: &Path, reason: impl Display) -> CliError {
    CliError::operators_file(path, reason, NEXT)
}
