use agentkeys_client::StorageError;

use crate::context::Context;

/// How a profile's session is kept, as far as a way out depends on it.
pub(super) struct Keeping {
    /// How this program is called for the profile.
    command: String,
    /// How the next call is told to keep the session as this one does.
    store_flags: String,
    /// Whether what cannot be read now is where the last sign-in left its device key, which the next one wants.
    has_device_key: bool,
}

impl Keeping {
    /// As `context` says.
    pub(super) fn of(context: Option<&Context>) -> Self {
        let Some(context) = context else {
            return Self { command: "agentkeys".to_owned(), store_flags: String::new(), has_device_key: false };
        };
        let before = context.storage_before().ok().flatten();
        Self {
            command: context.command(),
            store_flags: context.store_flags(),
            has_device_key: before.is_some_and(|before| context.is_kept_by(&before)),
        }
    }

    /// The ways out where the session cannot be kept or read.
    pub(super) fn storage_hint(&self, error: &StorageError) -> String {
        let Self { command, store_flags, .. } = self;
        match error {
            StorageError::Insecure { advice, .. } => advice.clone(),
            StorageError::KeyLost { .. } => {
                format!("`{command} init` signs in anew, as another device; `{command} logout --local` forgets it")
            }
            StorageError::Damaged { .. } | StorageError::Malformed => format!(
                "put back what was there before; where that is lost, `{command} init{store_flags} --new-device-key` replaces \
                 it, as another device"
            ),
            StorageError::WrongPassphrase { .. } => {
                format!("try again; where it is lost, `{command} logout --local` forgets the session")
            }
            StorageError::WrongKey { .. } => format!(
                "give back the key that it was written with; where it is lost, `{command} logout --local` forgets the session"
            ),
            StorageError::KeyUnavailable(_) => format!(
                "type a passphrase at a terminal, or give the unit `LoadCredential=agentkeys-session-key:PATH`, or {}: `{}`, \
                 `{}`",
                self.elsewhere(),
                self.init_with("file --store-key kernel"),
                self.init_with("memory")
            ),
            StorageError::File { .. } => "make it usable, and try again".to_owned(),
            StorageError::Unavailable(_) => format!(
                "there is no keychain here to unlock: start one (log in to the desktop, or run `gnome-keyring-daemon \
                 --unlock`), or {}",
                self.other_stores()
            ),
            _ => format!(
                "unlock the keychain (log in to the desktop, or run `gnome-keyring-daemon --unlock`), or {}",
                self.other_stores()
            ),
        }
    }

    /// The ways out where a sign-in would otherwise lose the device key before, which cannot be read.
    pub(super) fn device_key_hint(&self, error: &StorageError, is_to_be_bound: bool) -> String {
        let Self { command, store_flags, .. } = self;
        let other = if is_to_be_bound {
            format!("`{command} init{store_flags} --new-device-key` signs in as another device")
        } else {
            format!(
                "`{command} logout --local` forgets it: then sign in again, `{command} init{store_flags} --no-bind`"
            )
        };
        match error {
            StorageError::Damaged { .. } | StorageError::Malformed => {
                format!("put back what was there before; where that is lost, {other}")
            }
            StorageError::Insecure { advice, .. } => format!("{advice}; or {other}"),
            StorageError::File { .. } => format!("make it usable, and try again; where it is lost, {other}"),
            StorageError::KeyUnavailable(_) => {
                format!("make its key available, and try again; where it is lost, {other}")
            }
            StorageError::WrongKey { .. } => {
                format!("give back the key that it was written with; where it is lost, {other}")
            }
            StorageError::WrongPassphrase { .. } => format!("try again; where the passphrase is lost, {other}"),
            StorageError::Unavailable(_) => {
                format!("there is no keychain here to unlock: start it, and try again; where that cannot be, {other}")
            }
            _ => format!("unlock the keychain, and try again; where that cannot be, {other}"),
        }
    }

    fn other_stores(&self) -> String {
        let (file, memory) = (self.init_with("file"), self.init_with("memory"));
        format!("{}: `{file}` encrypts it, `{memory}` keeps it until it ends", self.elsewhere())
    }

    fn elsewhere(&self) -> &'static str {
        if self.has_device_key { "keep the session elsewhere, as another device" } else { "keep the session elsewhere" }
    }

    /// A sign-in that needs nothing of what cannot be read now.
    fn init_with(&self, store: &str) -> String {
        let flag = if self.has_device_key { " --new-device-key" } else { "" };
        format!("{} init --store {store}{flag}", self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::CliError, failure::Failure};

    fn keeping(store_flags: &str, has_device_key: bool) -> Keeping {
        Keeping { command: "agentkeys".to_owned(), store_flags: store_flags.to_owned(), has_device_key }
    }

    fn unread() -> [(StorageError, &'static str); 6] {
        let path = || "s.age".into();
        [
            (StorageError::Locked, "unlock the keychain"),
            (StorageError::TimedOut, "unlock the keychain"),
            (StorageError::Unavailable("no bus".to_owned()), "there is no keychain here to unlock"),
            (StorageError::Malformed, "put back what was there before"),
            (StorageError::Damaged { path: path() }, "put back what was there before"),
            (StorageError::WrongKey { path: path() }, "give back the key"),
        ]
    }

    #[test]
    fn a_device_key_that_cannot_be_read_is_not_silently_another_one() {
        for (source, way_back) in unread() {
            let code = source.code().to_owned();

            let failure = Failure::of(&CliError::DeviceKeyUnread { source, is_to_be_bound: true }, None);

            assert_eq!((failure.exit, &failure.code), (8, &code));
            assert!(
                failure.message.starts_with("the device key of the sign-in before cannot be read: "),
                "{failure:?}"
            );
            let hint = failure.hint.unwrap();
            assert!(hint.starts_with(way_back) && hint.contains("`agentkeys init --new-device-key`"), "{hint}");
            assert!(hint.ends_with("as another device"), "{hint}");
        }
    }

    #[test]
    fn whoever_asked_for_another_store_is_led_on_to_that_one() {
        for (error, _) in unread() {
            let hint = keeping(" --store file", false).device_key_hint(&error, true);

            assert!(hint.contains("`agentkeys init --store file --new-device-key`"), "{hint}");
        }
    }

    #[test]
    fn a_sign_in_that_wants_no_key_is_not_told_to_take_a_new_one() {
        for (error, way_back) in unread() {
            let hint = keeping(" --store file", false).device_key_hint(&error, false);

            assert!(hint.starts_with(way_back) && !hint.contains("--new-device-key"), "{hint}");
            assert!(hint.contains("`agentkeys logout --local` forgets it: then sign in again"), "{hint}");
            assert!(hint.ends_with("`agentkeys init --store file --no-bind`"), "{hint}");
        }
    }

    #[test]
    fn another_store_is_offered_for_another_device_where_the_key_is_in_the_one_that_fails() {
        let fails = [
            (StorageError::Locked, ["file", "memory"]),
            (StorageError::Unavailable("no bus".to_owned()), ["file", "memory"]),
            (StorageError::KeyUnavailable("none".to_owned()), ["file --store-key kernel", "memory"]),
        ];
        for (error, stores) in fails {
            let (first, again) = (keeping("", false).storage_hint(&error), keeping("", true).storage_hint(&error));

            for store in stores {
                assert!(first.contains(&format!("`agentkeys init --store {store}`")), "{first}");
                assert!(again.contains(&format!("`agentkeys init --store {store} --new-device-key`")), "{again}");
            }
            assert!(!first.contains("another device") && again.contains("as another device"), "{first}\n{again}");
        }
    }
}
