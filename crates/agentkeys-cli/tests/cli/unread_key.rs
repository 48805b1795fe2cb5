//! `agentkeys init` where the device key of the sign-in before cannot be read: each hint leads on, and none back.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    process::Command,
};

use serde_json::Value;

use crate::bench::{Ended, Home};

/// A machine whose keychain is gone, in which the last sign-in was kept, and on which systemd gives a key.
fn after_the_keychain() -> Home {
    let home = Home::new();
    let sessions = home.path("state/agentkeys/sessions");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&sessions).unwrap();
    let memo = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(sessions.join("default.store"));
    std::io::Write::write_all(&mut memo.unwrap(), b"keychain\n").unwrap();
    fs::create_dir(home.path("credentials")).unwrap();
    fs::write(home.path("credentials/agentkeys-session-key"), [7; 32]).unwrap();
    home
}

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(&["--json", "--no-input"]);
    command.args(arguments).env("CREDENTIALS_DIRECTORY", home.path("credentials"));
    command
}

/// The failure's code, and its hint.
fn failure(home: &Home, arguments: &[&str]) -> (String, String) {
    let ended = Ended::of(&mut command(home, arguments));
    let document: Value = serde_json::from_str(&ended.stderr()).unwrap_or_else(|_| panic!("{}", ended.stderr()));
    let text = |name: &str| document["error"][name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("hint"))
}

/// Nobody is there to sign in, which is asked for when all that was kept is out of the way.
const NEXT: &str = "input_needed";

#[test]
fn a_hint_names_the_store_and_the_new_key_that_a_gone_keychain_makes_needed() {
    let home = after_the_keychain();

    let (code, hint) = failure(&home, &["init", "--device"]);
    let (by_hint, _) = failure(&home, &["init", "--device", "--store", "file", "--new-device-key"]);

    assert_eq!(code, "keychain_unavailable");
    assert!(hint.starts_with("there is no keychain here to unlock"), "{hint}");
    assert!(hint.contains("`agentkeys init --store file --new-device-key`"), "{hint}");
    assert!(hint.contains("`agentkeys init --store memory --new-device-key`"), "{hint}");
    assert_eq!(by_hint, NEXT);
}

#[test]
fn a_refusal_in_another_store_leads_on_in_that_store() {
    let home = after_the_keychain();

    let (code, hint) = failure(&home, &["--store", "file", "init", "--device"]);
    let (_, with_key) = failure(&home, &["--store", "file", "--store-key", "passphrase", "init", "--device"]);

    assert_eq!(code, "keychain_unavailable");
    assert!(hint.starts_with("there is no keychain here to unlock"), "{hint}");
    assert!(hint.contains("`agentkeys init --store file --new-device-key` signs in as another device"), "{hint}");
    // Nobody may be asked for one.
    assert!(with_key.starts_with("type a passphrase"), "{with_key}");
}

#[test]
fn a_sign_in_without_a_key_goes_on_once_the_one_before_is_forgotten() {
    let home = after_the_keychain();
    let unbound = ["--store", "file", "init", "--device", "--no-bind"];

    let (code, hint) = failure(&home, &unbound);
    let forgotten = Ended::of(&mut command(&home, &["logout", "--local"])).document();
    let (after, _) = failure(&home, &unbound);

    assert_eq!(code, "keychain_unavailable");
    assert!(!hint.contains("--new-device-key"), "{hint}");
    assert!(hint.contains("`agentkeys logout --local` forgets it"), "{hint}");
    assert!(hint.ends_with("`agentkeys init --store file --no-bind`"), "{hint}");
    assert_eq!((&forgotten["signed_out"], &forgotten["left_in"]), (&true.into(), &"keychain".into()));
    assert_eq!(after, NEXT);
}
