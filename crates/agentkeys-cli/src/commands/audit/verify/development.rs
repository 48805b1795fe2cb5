use std::{fs::File, io::BufReader, path::Path};

use agentkeys_tlog::{ChainError, verify_chain};
use agentkeys_types::Timestamp;
use serde::Deserialize;

use super::{Verified, broken, unreadable};
use crate::{error::CliError, progress::Progress};

/// Checks the chain of lines of a development signer.
pub(super) fn verify(path: &Path, progress: &mut Progress<'_>) -> Result<Verified, CliError> {
    #[derive(Deserialize)]
    struct Line {
        time: Timestamp,
    }

    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut verified = Verified::default();
    let chain = verify_chain(BufReader::with_capacity(64 * 1024, file), &mut |line| {
        progress.step();
        if let Ok(Line { time }) = serde_json::from_slice(line) {
            verified.note(time);
        }
    });
    let chain = chain.map_err(|error| match error {
        ChainError::Broken { line } => {
            broken(path, &format_args!("line {line}"), &"it does not go on from the one before")
        }
        error => unreadable(path, &error),
    })?;
    Ok(Verified { entries: chain.entries, torn_bytes: chain.torn, ..verified })
}
