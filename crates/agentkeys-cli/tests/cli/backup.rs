//! `agentkeys backup`: what the holder of a share does, before any worker hears of it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::{attestation::write_policy, bench::Home};

/// A worker that nobody runs: what asks it ends with 6, and what never gets so far with something else.
const NOBODY: &str = "https://127.0.0.1:1";

/// Makes a key, and gives what is said of it.
fn keygen(home: &Home, name: &str) -> Value {
    let made = home.agentkeys(&["--json", "backup", "keygen", home.path(name).to_str().unwrap()]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    serde_json::from_str(&made.stdout()).unwrap()
}

/// A share of two that is sealed to the key that was `made`.
fn write_share(home: &Home, made: &Value) -> PathBuf {
    let mut key = [0; 32];
    hex::decode_to_slice(made["public_key"].as_str().unwrap(), &mut key).unwrap();
    let shares = agentkeys_backup::split(&[7; 32], &[2; 33], 2, &[key, [9; 32]]).unwrap();
    agentkeys_backup::write_shares(&home.path("backup"), &shares).unwrap();
    home.path("backup/share-1.json")
}

#[test]
fn a_key_is_for_its_owner_alone_and_never_written_over_another() {
    let home = Home::new();
    let key = home.path("key");

    let made = keygen(&home, "key");
    let share = agentkeys_backup::read_share(&write_share(&home, &made)).unwrap();
    let before = fs::read(&key).unwrap();
    let again = home.agentkeys(&["backup", "keygen", key.to_str().unwrap()]);

    assert_eq!(made["recipient"], share.recipient);
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

#[test]
fn a_policy_that_the_release_key_has_not_signed_lets_no_share_go_before_anybody_is_asked() {
    let home = Home::new();
    let share = write_share(&home, &keygen(&home, "key"));
    let (key, policy, release_key) = (home.path("key"), write_policy(&home, "policy.toml"), home.path("release.pem"));
    let (policy, release_key) = (policy.to_str().unwrap(), release_key.to_str().unwrap());
    let files = ["--share", share.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let worker = ["backup", "restore", "--signer-url", NOBODY, "--attestation-policy", policy];
    let restore = |more: &[&str]| home.agentkeys(&[&worker[..], &files, more].concat());
    let made = home.agentkeys(&["--json", "attestation", "keygen", release_key]);
    let made: Value = serde_json::from_str(&made.stdout()).unwrap();

    let unsigned = restore(&[]);
    home.agentkeys(&["attestation", "policy", "sign", policy, "--key", release_key]);
    let unverified = restore(&[]);
    let signed = restore(&["--release-key", made["release_key"].as_str().unwrap()]);

    for refused in [unsigned, unverified] {
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr());
        assert!(refused.stderr().contains("no share goes") && refused.stderr().contains("hint: `--release-key KEY`"));
    }
    assert_eq!(signed.code(), Some(6), "{}", signed.stderr());
}
