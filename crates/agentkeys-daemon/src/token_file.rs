use std::path::Path;

use agentkeys_types::OidcJwt;

use crate::{PrivateFileError, private_file::PrivateFile};

/// The file that SDKs read a web-identity JWT from (`AWS_WEB_IDENTITY_TOKEN_FILE`).
///
/// A reader finds one whole JWT, the old or the new one, and nothing after its last character. Where it is, the folder
/// must be the daemon's own user's, and nobody else may write into it; folders above are not looked at.
#[derive(Clone, Debug)]
pub struct TokenFile(PrivateFile);

impl TokenFile {
    /// The file at `path`, which need not exist; its folder must.
    pub fn new(path: &Path) -> Self {
        Self(PrivateFile::in_owned_folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts `jwt` in place of what was there. Only one may do so at a time.
    pub fn write(&self, jwt: &OidcJwt) -> Result<(), PrivateFileError> {
        self.0.replace(jwt.expose().as_bytes())
    }

    /// Removes the file, if it is there.
    pub fn remove(&self) -> Result<(), PrivateFileError> {
        self.0.remove()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("token")
        }

        fn write(&self, jwt: &str) -> Result<(), PrivateFileError> {
            TokenFile::new(&self.path()).write(&OidcJwt::new(jwt.to_owned()))
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    #[test]
    fn the_file_holds_the_jwt_and_nothing_else_for_its_owner_alone() {
        let bench = Bench::new();

        bench.write("a.b.a-long-one").unwrap();
        fs::write(bench.folder.path().join(".token.new"), "half").unwrap();
        bench.write("a.b.c").unwrap();

        assert_eq!(fs::read(bench.path()).unwrap(), b"a.b.c");
        assert_eq!(fs::metadata(bench.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(bench.names(), ["token"]);
    }

    #[test]
    fn a_removed_file_is_gone_and_may_be_removed_again() {
        let bench = Bench::new();
        bench.write("a.b.c").unwrap();

        TokenFile::new(&bench.path()).remove().unwrap();
        TokenFile::new(&bench.path()).remove().unwrap();

        assert!(bench.names().is_empty());
    }

    #[test]
    fn a_folder_into_which_others_may_write_is_refused() {
        let bench = Bench::new();

        for mode in [0o720, 0o702, 0o1777] {
            fs::set_permissions(bench.folder.path(), Permissions::from_mode(mode)).unwrap();
            let refused = bench.write("a.b.c");

            assert!(matches!(refused, Err(PrivateFileError::InsecureFolder { .. })), "{mode:o}");
            assert!(bench.names().is_empty());
        }
        fs::set_permissions(bench.folder.path(), Permissions::from_mode(0o755)).unwrap();
        bench.write("a.b.c").unwrap();
    }

    #[test]
    fn a_folder_that_is_missing_or_no_folder_is_refused() {
        let bench = Bench::new();
        bench.write("a.b.c").unwrap();

        for path in [bench.folder.path().join("missing/token"), bench.path().join("token"), PathBuf::from("/")] {
            let refused = TokenFile::new(&path).write(&OidcJwt::new("a.b.c".to_owned()));

            assert!(matches!(refused, Err(PrivateFileError::Io { .. })), "{}", path.display());
        }
    }

    #[test]
    fn what_is_not_a_file_is_neither_replaced_nor_removed() {
        let bench = Bench::new();
        let elsewhere = bench.folder.path().join("elsewhere");
        fs::write(&elsewhere, "kept").unwrap();
        symlink(&elsewhere, bench.path()).unwrap();

        assert!(matches!(bench.write("a.b.c"), Err(PrivateFileError::NotAFile(_))));
        assert!(matches!(TokenFile::new(&bench.path()).remove(), Err(PrivateFileError::NotAFile(_))));
        assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
        assert!(bench.path().is_symlink());

        fs::remove_file(bench.path()).unwrap();
        fs::create_dir(bench.path()).unwrap();
        assert!(matches!(bench.write("a.b.c"), Err(PrivateFileError::NotAFile(_))));
    }

    #[test]
    fn readers_meanwhile_find_one_whole_jwt_each_time() {
        let bench = Bench::new();
        let jwts = ["a".repeat(2000), "b".repeat(700)];
        bench.write(&jwts[0]).unwrap();
        let done = AtomicBool::new(false);

        let (read, torn) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut read, mut torn) = (0, 0);
                while !done.load(Ordering::Relaxed) || read == 0 {
                    let found = fs::read_to_string(bench.path()).unwrap_or_default();
                    read += 1;
                    torn += i32::from(!jwts.contains(&found));
                }
                (read, torn)
            });
            for round in 0..2000 {
                bench.write(&jwts[round % 2]).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });

        assert!(read > 0);
        assert_eq!(torn, 0);
    }
}
