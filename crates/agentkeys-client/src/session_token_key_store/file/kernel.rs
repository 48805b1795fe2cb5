//! A key in the kernel's keyring of the user: in no file, and gone with a restart.

use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

use super::{
    super::StorageError,
    private::{PrivateFolder, random},
};

const LENGTH: usize = 32;

/// The key of this name, if the keyring has one.
pub(super) fn find(name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
    let key = match keyring()?.search(name) {
        Ok(key) => key,
        Err(KeyError::KeyDoesNotExist) => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let mut bytes = Zeroizing::new(vec![0; LENGTH]);
    match key.read(&mut *bytes) {
        Ok(LENGTH) => Ok(Some(bytes)),
        Ok(_) => Err(StorageError::KeyUnavailable(format!("what the kernel keyring calls `{name}` is not ours"))),
        Err(error) => Err(refused(error)),
    }
}

/// The key of this name, made where the keyring has none.
pub(super) fn find_or_create(name: &str, folder: &PrivateFolder) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    // Adding replaces a key of the same name, so only one process may look and add at a time.
    let _held = folder.lock()?;
    if let Some(found) = find(name)? {
        return Ok(found);
    }
    let bytes = random::<LENGTH>()?;
    keyring()?.add_key(name, &bytes[..]).map_err(refused)?;
    Ok(Zeroizing::new(bytes.to_vec()))
}

/// Adds a key, and takes it away again.
pub(super) fn try_out() -> Result<(), StorageError> {
    let keyring = keyring()?;
    let name = format!("agentkeys:trial-{}", hex::encode(*random::<8>()?));
    let key = keyring.add_key(&name, &random::<LENGTH>()?[..]).map_err(refused)?;
    keyring.unlink_key(key).map_err(refused)
}

/// Takes away the key of this name, if the keyring has one.
#[cfg(test)]
pub(super) fn remove(name: &str) -> Result<(), StorageError> {
    let keyring = keyring()?;
    match keyring.search(name) {
        Ok(key) => keyring.unlink_key(key).map_err(refused),
        Err(_) => Ok(()),
    }
}

/// The keyring that every process of the user shares.
///
/// A key is read by whoever possesses it, and a service or a plain shell may have a session keyring that does not
/// lead to the user's. So this thread takes the user's keyring into its own, for as long as it lives.
fn keyring() -> Result<KeyRing, StorageError> {
    let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true).map_err(refused)?;
    let users = KeyRing::from_special_id(KeyRingIdentifier::User, true).map_err(refused)?;
    own.link_keyring_id(KeyRingIdentifier::User).map_err(refused)?;
    Ok(users)
}

fn refused(error: KeyError) -> StorageError {
    StorageError::KeyUnavailable(format!("the kernel keyring refused: {error}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A name of its own, whose key goes with it; nothing where this machine lets nobody use the keyring.
    pub(in super::super) struct Name(pub(in super::super) String);

    impl Name {
        pub(in super::super) fn fresh() -> Option<Self> {
            let name = format!("agentkeys-test:{}", hex::encode(random::<8>().unwrap()));
            find(&name).is_ok().then_some(Self(name))
        }
    }

    impl Drop for Name {
        fn drop(&mut self) {
            let _ = remove(&self.0);
        }
    }

    #[test]
    fn a_key_is_made_once_and_found_by_every_thread() {
        let home = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::at(home.path().join("sessions"));
        let Some(name) = Name::fresh() else { return };

        let keys = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| find_or_create(&name.0, &folder).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });

        assert!(keys.iter().all(|key| *key == keys[0] && key.iter().any(|byte| *byte != 0)));
        assert_eq!(find(&name.0).unwrap().unwrap(), keys[0]);
    }

    #[test]
    fn a_trial_leaves_nothing_behind() {
        if Name::fresh().is_none() {
            return;
        }

        try_out().unwrap();

        let links = keyring().unwrap().get_links(1000).unwrap();
        let is_trial = |key: &linux_keyutils::Key| {
            key.metadata().is_ok_and(|found| found.get_description().starts_with("agentkeys:trial-"))
        };
        assert!(!links.iter().filter_map(linux_keyutils::LinkNode::as_key).any(|key| is_trial(&key)));
    }

    #[test]
    fn a_key_that_is_not_there_is_not_made_by_looking() {
        let Some(name) = Name::fresh() else { return };

        assert!(find(&name.0).unwrap().is_none());
        assert!(find(&name.0).unwrap().is_none());
    }
}
