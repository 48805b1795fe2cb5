use std::path::Path;

use agentkeys_attestation::CheckName;
use agentkeys_client::ClientError;
use agentkeys_tlog::{Checkpoint, VerifierKey};

use crate::{error::CliError, text_file::TextFile};

/// Writes a signer's checkpoint into a file, as `agentkeys audit verify --checkpoint` reads it.
///
/// What is there already is replaced only by a later checkpoint of the same log.
pub(super) fn keep(path: &Path, signer_url: &str, vkey: &str, note: &str) -> Result<(), CliError> {
    let invalid = |detail: String| ClientError::AttestationInvalid {
        url: signer_url.to_owned(),
        check: CheckName::Log.as_str().to_owned(),
        detail,
    };
    let key: VerifierKey = vkey.parse().map_err(|error| invalid(format!("the key of its log: {error}")))?;
    let new = Checkpoint::open(note, &key).map_err(|error| invalid(format!("its checkpoint: {error}")))?;
    let file = TextFile::open(path)?;
    if let Some(text) = file.text() {
        let refused = |reason| CliError::operators_file(path, reason, "`--checkpoint` takes another name");
        let old = Checkpoint::open(text, &key)
            .map_err(|_| refused("it is there already, and is no checkpoint of this log".to_owned()))?;
        if old.size > new.size || (old.size == new.size && old.root != new.root) {
            let (had, has) = (old.size, new.size);
            return Err(refused(format!("its checkpoint has {had} entries, and the signer's log has {has}: keep it")));
        }
    }
    file.replace(Some(note))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use agentkeys_tlog::{Hash, SignerKey};

    use super::*;

    const ORIGIN: &str = "worker.example/log";

    fn checkpoint(size: u64, root: u8, seed: u8) -> (String, String) {
        let key = SignerKey::from_seed(ORIGIN, &[seed; 32]).unwrap();
        let note = Checkpoint::new(ORIGIN, size, Hash::of_leaf(&[root]), None).sign(&key).unwrap();
        (key.verifier().to_string(), note)
    }

    #[test]
    fn a_checkpoint_is_replaced_by_a_later_one_of_the_same_log_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let keep = |(vkey, note): &(String, String)| keep(&path, "https://worker.example", vkey, note);
        let (first, later) = (checkpoint(3, 1, 7), checkpoint(4, 2, 7));

        keep(&first).unwrap();
        keep(&later).unwrap();

        for other in [&first, &checkpoint(4, 3, 7), &checkpoint(5, 3, 8)] {
            assert!(keep(other).is_err());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), later.1);
    }

    #[test]
    fn another_file_is_left_as_it_was_and_a_note_by_another_key_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (other, new) = (folder.path().join("other"), folder.path().join("new"));
        fs::write(&other, "mine").unwrap();
        let ((vkey, note), (another_vkey, _)) = (checkpoint(3, 1, 7), checkpoint(3, 1, 8));

        let refused = keep(&other, "https://worker.example", &vkey, &note);
        let forged = keep(&new, "https://worker.example", &another_vkey, &note);

        assert!(refused.is_err() && forged.is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        assert!(!new.exists());
    }
}
