//! Where there is no keyring of Linux.

use zeroize::Zeroizing;

use super::{super::StorageError, private::PrivateFolder};

pub(super) fn find(_name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
    Err(StorageError::KeyUnavailable("only Linux has a kernel keyring".to_owned()))
}

pub(super) fn try_out() -> Result<(), StorageError> {
    find("").map(|_| ())
}

pub(super) fn find_or_create(name: &str, _folder: &PrivateFolder) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    find(name).map(Option::unwrap_or_default)
}
