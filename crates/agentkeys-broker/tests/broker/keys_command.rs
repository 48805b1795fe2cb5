//! `agentkeys-broker keys`, as an operator runs it.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use agentkeys_crypto::{KeyRing, RingName};
use agentkeys_types::{Clock, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

fn state_with(names: &[RingName]) -> TempDir {
    let state = tempfile::tempdir().unwrap();
    for name in names {
        KeyRing::open(&state.path().join("keys"), *name, SystemClock.now()).unwrap();
    }
    state
}

fn keys(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentkeys-broker"));
    command.env_clear().arg("keys").args(arguments).arg("--state").arg(state);
    command.stdin(Stdio::null()).output().unwrap()
}

fn succeed(state: &Path, arguments: &[&str]) -> (String, String) {
    let output = keys(state, arguments);
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn fail(state: &Path, arguments: &[&str]) -> String {
    let output = keys(state, arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// `session current KID`, and so on.
fn listed(state: &Path) -> Vec<String> {
    let listed: Vec<Value> = serde_json::from_str(&succeed(state, &["list", "--json"]).0).unwrap();
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    listed.iter().map(|key| ["purpose", "state", "kid"].map(|name| text(key, name)).join(" ")).collect()
}

#[test]
fn a_rotation_is_of_all_keys_or_of_those_of_one_purpose() {
    let state = state_with(&[RingName::Session, RingName::OidcEs256]);
    let before = listed(state.path());

    let (one, _) = succeed(state.path(), &["rotate", "--purpose", "oidc"]);
    let between = listed(state.path());
    let (all, warned) = succeed(state.path(), &["rotate"]);

    assert_eq!((before.len(), between.len(), listed(state.path()).len()), (4, 5, 7));
    assert_eq!(before[..2], between[..2]);
    assert_eq!(between[2], before[3].replace("next", "current"));
    assert_eq!(between[4], before[2].replace("current", "previous"));
    assert_eq!(one, format!("oidc ES256: {} signs now\n", before[3].rsplit(' ').next().unwrap()));
    assert_eq!(all.lines().count(), 2);
    assert!(warned.contains("less than five minutes ago"), "{warned}");
}

#[test]
fn the_table_has_a_line_for_each_key() {
    let state = state_with(&[RingName::OidcRs256]);

    let (table, _) = succeed(state.path(), &["list"]);

    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>()).collect();
    assert_eq!(lines, [["PURPOSE", "ALG", "STATE"], ["oidc", "RS256", "current"], ["oidc", "RS256", "next"]]);
}

#[test]
fn dropping_what_a_leaked_key_signed_needs_a_yes() {
    let state = state_with(&[RingName::Session]);
    let before = listed(state.path());

    let refusal = fail(state.path(), &["rotate", "--drop-previous"]);
    let unchanged = listed(state.path());
    let (_, said) = succeed(state.path(), &["rotate", "--drop-previous", "--yes"]);

    assert!(refusal.contains("This ends every session") && refusal.contains("`--yes`"), "{refusal}");
    assert_eq!(unchanged, before);
    assert!(said.contains("This ends every session"), "{said}");
    let after = listed(state.path());
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|key| !before.iter().any(|old| old.ends_with(key.rsplit(' ').next().unwrap()))));
}

#[test]
fn without_keys_there_is_nothing_to_do_and_nothing_is_made() {
    let state = tempfile::tempdir().unwrap();

    for arguments in [&["list"][..], &["rotate"], &["rotate", "--drop-previous", "--yes"]] {
        assert!(fail(state.path(), arguments).contains("holds no signing keys"), "{arguments:?}");
    }
    assert!(!state.path().join("keys").exists());
    let sessions = state_with(&[RingName::Session]);
    assert!(fail(sessions.path(), &["rotate", "--purpose", "oidc"]).contains("no keys of that purpose"));
}
