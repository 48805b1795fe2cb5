use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use super::{passphrase::tests::Typed, *};
use crate::session_token_key_store::kept::tests::session;

const TOKEN: &str = "aks_eyJhbGciOiJFUzI1NiJ9.very-secret-and-long-enough-to-be-found";

/// A home with a systemd credential in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.set_credential(&[7; 32]);
        home
    }

    fn set_credential(&self, bytes: &[u8]) {
        fs::write(self.credential(), bytes).unwrap();
    }

    fn credential(&self) -> PathBuf {
        self.0.path().join("credential")
    }

    fn sessions(&self) -> PathBuf {
        self.0.path().join("sessions")
    }

    fn file(&self) -> PathBuf {
        self.sessions().join("default.age")
    }

    /// The store as a process finds it, with the credential.
    fn store(&self) -> FileStore {
        self.store_with(KeySource::Systemd(self.credential()))
    }

    fn store_with(&self, source: KeySource) -> FileStore {
        FileStore::new(PrivateFolder::at(self.sessions()), ProfileName::default(), source)
    }

    async fn load(&self) -> Result<Option<Session>, StorageError> {
        self.store().load(&ProfileName::default()).await
    }

    async fn save(&self, token: &str) {
        self.store().save(&ProfileName::default(), &session(token)).await.unwrap();
    }
}

fn typed(words: &[&'static str]) -> (Arc<Typed>, KeySource) {
    let typed = Arc::new(Typed::new(words));
    (Arc::clone(&typed), KeySource::Passphrase(typed))
}

#[tokio::test]
async fn a_session_is_kept_for_another_process_replaced_and_forgotten() {
    let (home, profile) = (Home::new(), ProfileName::default());

    assert!(home.load().await.unwrap().is_none());
    home.save("aks_one").await;
    home.save("aks_two").await;
    assert_eq!(home.load().await.unwrap().unwrap().token.expose(), "aks_two");
    home.store().delete(&profile).await.unwrap();
    home.store().delete(&profile).await.unwrap();
    assert!(home.load().await.unwrap().is_none());
}

#[tokio::test]
async fn no_piece_of_the_session_is_in_the_file() {
    let home = Home::new();

    home.save(TOKEN).await;

    let file = fs::read(home.file()).unwrap();
    let plain = Kept::write(&session(TOKEN)).unwrap();
    assert!(plain.windows(6).all(|piece| !file.windows(6).any(|window| window == piece)));
    assert!(file.starts_with(b"age-encryption.org/v1\n"));
}

#[tokio::test]
async fn a_check_leaves_nothing_behind() {
    let home = Home::new();

    home.store().check().await.unwrap();

    assert_eq!(fs::read_dir(home.sessions()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_fails_the_check() {
    let home = Home::new();
    fs::write(home.sessions(), "a file in the folder's place").unwrap();

    assert_eq!(home.store().check().await.unwrap_err().code(), "insecure_storage");
}

#[tokio::test]
async fn a_loosened_file_or_folder_is_refused_until_it_is_mended() {
    let home = Home::new();
    home.save(TOKEN).await;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

    for (path, loose, private) in [(home.file(), 0o644, 0o600), (home.sessions(), 0o755, 0o700)] {
        set_mode(&path, loose);
        assert_eq!(home.load().await.unwrap_err().code(), "insecure_storage");
        set_mode(&path, private);
        assert!(home.load().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_link_in_the_files_place_is_refused() {
    let home = Home::new();
    home.save(TOKEN).await;
    let elsewhere = home.0.path().join("elsewhere");
    fs::rename(home.file(), &elsewhere).unwrap();
    symlink(&elsewhere, home.file()).unwrap();

    assert_eq!(home.load().await.unwrap_err().code(), "insecure_storage");
}

#[tokio::test]
async fn another_key_does_not_open_the_file_and_changes_nothing() {
    let home = Home::new();
    home.save(TOKEN).await;
    let before = fs::read(home.file()).unwrap();
    home.set_credential(&[8; 32]);

    let error = home.load().await.unwrap_err();

    assert_eq!(error.code(), "wrong_store_key");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_and_left_alone() {
    let home = Home::new();
    home.save(TOKEN).await;
    let whole = fs::read(home.file()).unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;

    for damaged in [&whole[..whole.len() / 2], &altered, b"", b"{}"] {
        fs::write(home.file(), damaged).unwrap();

        assert_eq!(home.load().await.unwrap_err().code(), "session_file_damaged");
        assert_eq!(fs::read(home.file()).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_systemd_credential_that_is_short_or_missing_is_no_key() {
    let home = Home::new();
    home.save(TOKEN).await;

    home.set_credential(&[7; 31]);
    assert_eq!(home.store().check().await.unwrap_err().code(), "store_key_unavailable");
    fs::remove_file(home.credential()).unwrap();
    assert_eq!(home.load().await.unwrap_err().code(), "store_key_unavailable");
}

#[tokio::test]
async fn writers_at_once_leave_one_whole_session() {
    let home = Home::new();
    let profile = ProfileName::default();
    let (one, two) = (home.store(), home.store());
    let save_often = async |store: &FileStore, token| {
        for _ in 0..20 {
            store.save(&profile, &session(token)).await.unwrap();
        }
    };

    tokio::join!(save_often(&one, "aks_one"), save_often(&two, "aks_two"));

    let token = home.load().await.unwrap().unwrap().token;
    assert!(["aks_one", "aks_two"].contains(&token.expose()));
    assert_eq!(fs::read_dir(home.sessions()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_passphrase_is_typed_twice_for_a_new_file_and_once_for_an_old_one() {
    let (home, profile) = (Home::new(), ProfileName::default());
    let (first, source) = typed(&["correct horse", "correct horse"]);
    let store = home.store_with(source);

    store.check().await.unwrap();
    store.save(&profile, &session(TOKEN)).await.unwrap();
    assert!(first.is_all_typed());

    let (second, source) = typed(&["correct horse"]);
    let store = home.store_with(source);
    assert_eq!(store.load(&profile).await.unwrap().unwrap().token.expose(), TOKEN);
    store.save(&profile, &session("aks_two")).await.unwrap();
    assert!(second.is_all_typed());
}

#[tokio::test]
async fn a_mistyped_passphrase_neither_opens_nor_replaces_the_file() {
    let (home, profile) = (Home::new(), ProfileName::default());
    let (_, source) = typed(&["correct horse", "correct horse"]);
    home.store_with(source).save(&profile, &session(TOKEN)).await.unwrap();
    let before = fs::read(home.file()).unwrap();

    let (_, source) = typed(&["battery staple", "correct horse"]);
    let store = home.store_with(source);

    assert_eq!(store.load(&profile).await.unwrap_err().code(), "wrong_passphrase");
    assert_eq!(store.load(&profile).await.unwrap().unwrap().token.expose(), TOKEN);
    let (_, source) = typed(&["battery staple"]);
    assert_eq!(home.store_with(source).check().await.unwrap_err().code(), "wrong_passphrase");
    assert_eq!(fs::read(home.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_is_forgotten_without_its_key() {
    let (home, profile) = (Home::new(), ProfileName::default());
    home.save(TOKEN).await;
    let (_, source) = typed(&[]);

    home.store_with(source).delete(&profile).await.unwrap();

    assert!(!home.file().exists());
}

#[tokio::test]
async fn nobody_is_asked_for_the_passphrase_of_a_file_that_is_not_there() {
    let (_, source) = typed(&[]);

    assert!(Home::new().store_with(source).load(&ProfileName::default()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_file_is_replaced_by_one_with_a_new_passphrase() {
    let (home, profile) = (Home::new(), ProfileName::default());
    PrivateFolder::at(home.sessions()).write("default.age", b"what is left of it").unwrap();
    let (person, source) = typed(&["correct horse", "battery staple", "battery staple"]);
    let store = home.store_with(source);

    store.check().await.unwrap();
    store.save(&profile, &session(TOKEN)).await.unwrap();

    assert!(person.is_all_typed());
    let (_, source) = typed(&["battery staple"]);
    assert!(home.store_with(source).load(&profile).await.unwrap().is_some());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_whose_key_was_in_the_kernel_is_lost_with_it_and_replaced_by_the_next_sign_in() {
    let Some(name) = kernel::tests::Name::fresh() else { return };
    let (home, profile) = (Home::new(), ProfileName::default());
    let store = || home.store_with(KeySource::Kernel(name.0.clone()));
    store().save(&profile, &session("aks_one")).await.unwrap();
    assert_eq!(store().load(&profile).await.unwrap().unwrap().token.expose(), "aks_one");

    kernel::remove(&name.0).unwrap();
    let later = store();

    later.check().await.unwrap();
    assert_eq!(later.load(&profile).await.unwrap_err().code(), "store_key_lost");
    later.save(&profile, &session("aks_two")).await.unwrap();
    assert_eq!(store().load(&profile).await.unwrap().unwrap().token.expose(), "aks_two");
}
