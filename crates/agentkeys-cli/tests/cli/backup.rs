//! `agentkeys backup`: what the holder of a share does, before any worker hears of it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::bench::Home;

/// A worker that nobody runs: whatever would ask it ends with 6.
const NOBODY: &str = "https://127.0.0.1:1";

/// Makes a key, and gives its public half.
fn keygen(home: &Home, name: &str) -> String {
    let made = home.agentkeys(&["--json", "backup", "keygen", home.path(name).to_str().unwrap()]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    let made: Value = serde_json::from_str(&made.stdout()).unwrap();
    made["recipient"].as_str().unwrap().to_owned()
}

/// A share of two that is sealed to `recipient`.
fn write_share(home: &Home, recipient: &str) -> PathBuf {
    let mut key = [0; 32];
    hex::decode_to_slice(recipient, &mut key).unwrap();
    let shares = agentkeys_backup::split(&[7; 32], &[2; 33], 2, &[key, [9; 32]]).unwrap();
    agentkeys_backup::write(&home.path("backup"), &shares).unwrap();
    home.path("backup/share-1.json")
}

#[test]
fn a_key_is_for_its_owner_alone_and_never_written_over_another() {
    let home = Home::new();
    let key = home.path("key");

    let recipient = keygen(&home, "key");
    let before = fs::read(&key).unwrap();
    let again = home.agentkeys(&["backup", "keygen", key.to_str().unwrap()]);

    assert_eq!(hex::decode(recipient).unwrap().len(), 32);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(again.code(), Some(1));
    assert!(again.stderr().contains("hint: name a new file"), "{}", again.stderr());
    assert_eq!(fs::read(&key).unwrap(), before);
}

#[test]
fn a_share_that_is_not_there_no_share_or_for_another_key_is_refused_before_anybody_is_asked() {
    let home = Home::new();
    write_share(&home, &keygen(&home, "key"));
    keygen(&home, "other");
    fs::write(home.path("text"), "my share").unwrap();
    fs::set_permissions(home.path("text"), fs::Permissions::from_mode(0o644)).unwrap();
    let restore = |share: &str, key: &str| {
        let (share, key) = (home.path(share), home.path(key));
        let files = ["--share", share.to_str().unwrap(), "--key", key.to_str().unwrap()];
        home.agentkeys(&[&["backup", "restore", "--signer-url", NOBODY][..], &files].concat())
    };

    for (share, key, reason) in [
        ("missing", "key", "No such file or directory"),
        ("text", "key", "the file is not a share"),
        ("backup/share-1.json", "other", "it is sealed to another key than the one in"),
        ("backup/share-1.json", "text", "must be private: chmod 600"),
    ] {
        let refused = restore(share, key);

        assert_eq!(refused.code(), Some(1), "{reason}");
        assert!(refused.stderr().contains(reason) && refused.stderr().contains("hint: "), "{}", refused.stderr());
    }
}

#[test]
fn a_worker_that_no_policy_judges_gets_no_share() {
    let home = Home::new();
    let share = write_share(&home, &keygen(&home, "key"));
    let key = home.path("key");
    let files = ["--share", share.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let restore = |more: &[&str]| home.agentkeys(&[&["backup", "restore"][..], &files, more].concat());

    let on_loopback = restore(&["--signer-url", NOBODY]);
    let spelt_out = restore(&["--signer-url", NOBODY, "--allow-unattested-signer"]);

    for refused in [on_loopback, spelt_out] {
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr());
        assert!(refused.stderr().contains("no attestation policy judges the signer"), "{}", refused.stderr());
    }
}
