use std::{
    io::{Read, Write},
    iter,
    path::Path,
};

use age::{DecryptError, Decryptor, Encryptor, scrypt};
use agentkeys_memory::Secret;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::super::StorageError;

/// What the `age` command does with a passphrase: about a second, and 256 MiB, for each guess.
const TYPED: u8 = 18;
/// Whatever a file claims to need, no more is spent on it.
const MOST: u8 = 20;
/// A key of full entropy cannot be guessed at any speed.
const UNGUESSABLE: u8 = 1;

/// Opens and closes session files.
///
/// A file is an age file for one passphrase. A key that a machine keeps is written in hexadecimal and used as a
/// passphrase that needs no stretching: so there is one format, which the `age` command reads as well, and no second
/// way to derive a key.
pub(super) struct Key {
    passphrase: Secret,
    work_factor: u8,
}

impl Key {
    /// The key that a person typed.
    pub(super) fn typed(passphrase: &SecretString) -> Self {
        Self { passphrase: Secret::from(passphrase.expose_secret().as_bytes()), work_factor: TYPED }
    }

    /// A key that nobody could guess.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self { passphrase: Secret::new(hex::encode(bytes).into_bytes().into()), work_factor: UNGUESSABLE }
    }

    /// The bytes of a file that holds `plain`.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut recipient = scrypt::Recipient::new(self.passphrase());
        recipient.set_work_factor(self.work_factor);
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as _));
        let failed = |error: String| StorageError::KeyUnavailable(format!("it cannot encrypt: {error}"));
        let mut file = Vec::with_capacity(plain.len() + 1024);
        let mut writer = encryptor
            .map_err(|error| failed(error.to_string()))?
            .wrap_output(&mut file)
            .map_err(|error| failed(error.to_string()))?;
        writer.write_all(plain).and_then(|()| writer.finish()).map_err(|error| failed(error.to_string()))?;
        Ok(file)
    }

    /// What the file at `path` holds, whose bytes are `file`.
    pub(super) fn decrypt(&self, path: &Path, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        let damaged = || StorageError::Damaged { path: path.to_owned() };
        let mut identity = scrypt::Identity::new(self.passphrase());
        identity.set_max_work_factor(MOST);
        let decryptor = Decryptor::new_buffered(file).map_err(|_| damaged())?;
        let mut reader = decryptor.decrypt(iter::once(&identity as _)).map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => self.is_wrong_for(path),
            _ => damaged(),
        })?;
        // Large enough that the buffer is not moved while it grows, which would leave copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(file.len()));
        reader.read_to_end(&mut plain).map_err(|_| damaged())?;
        Ok(plain)
    }

    /// As the library takes it, for one use.
    fn passphrase(&self) -> SecretString {
        String::from_utf8_lossy(self.passphrase.expose()).into_owned().into()
    }

    fn is_wrong_for(&self, path: &Path) -> StorageError {
        let path = path.to_owned();
        if self.work_factor == TYPED { StorageError::WrongPassphrase { path } } else { StorageError::WrongKey { path } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(key: &Key, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, StorageError> {
        key.decrypt(Path::new("a.age"), file)
    }

    #[test]
    fn what_was_encrypted_is_decrypted_with_the_same_key_only() {
        let key = Key::of_bytes(&[1; 32]);

        let file = key.encrypt(b"secret").unwrap();

        assert_eq!(open(&key, &file).unwrap().as_slice(), b"secret");
        assert_eq!(open(&Key::of_bytes(&[2; 32]), &file).unwrap_err().code(), "wrong_store_key");
    }

    #[test]
    fn a_wrong_passphrase_is_called_so() {
        let key = |passphrase: &str| Key::typed(&passphrase.to_owned().into());

        let file = key("correct horse").encrypt(b"secret").unwrap();

        assert_eq!(open(&key("correct horse"), &file).unwrap().as_slice(), b"secret");
        assert_eq!(open(&key("battery staple"), &file).unwrap_err().code(), "wrong_passphrase");
    }

    #[test]
    fn every_byte_counts() {
        let key = Key::of_bytes(&[1; 32]);
        let file = key.encrypt(b"secret").unwrap();

        for position in 0..file.len() {
            let mut altered = file.clone();
            altered[position] ^= 1;

            assert!(open(&key, &altered).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_file_that_was_cut_short_is_damaged() {
        let key = Key::of_bytes(&[1; 32]);
        let file = key.encrypt(b"secret").unwrap();

        for length in 0..file.len() {
            assert_eq!(open(&key, &file[..length]).unwrap_err().code(), "session_file_damaged", "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_demands_too_much_work_is_refused_at_once() {
        let key = Key::of_bytes(&[1; 32]);
        let text = key.encrypt(b"secret").unwrap();
        let end_of_stanza = text.windows(3).position(|window| window == b" 1\n").unwrap();
        let greedy = [&text[..end_of_stanza], b" 30\n", &text[end_of_stanza + 3..]].concat();

        assert_eq!(open(&key, &greedy).unwrap_err().code(), "session_file_damaged");
    }
}
