//! Configurations that cannot work, and what the worker says about them.

use std::fs;

use crate::{refusal, run};

const GOOD: &str = r#"
public_url = "https://worker.example"
broker_url = "https://broker.example"
tpm = "unix:/nowhere/tpm.sock"
approvals = ["/nowhere/approval.json"]
release_key = "04"
log_origin = "signer.example/log"
chain_ids = [1]
"#;

fn refusal_of(configuration: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    fs::write(&file, configuration).unwrap();
    let state = folder.path().join("state");
    let arguments = ["--config", file.to_str().unwrap(), "--state", state.to_str().unwrap()];
    refusal(&[&arguments[..], more].concat())
}

#[test]
fn a_missing_configuration_is_refused_with_the_flag_that_names_one() {
    let said = refusal(&["--config", "/nowhere/worker.toml"]);

    assert!(said.contains("/nowhere/worker.toml") && said.contains("--config"), "{said}");
}

#[test]
fn an_unknown_setting_is_refused_by_name_and_line() {
    let said = refusal_of(&format!("{GOOD}master_secret = \"00\"\n"), &["--check"]);

    assert!(said.contains("unknown field `master_secret`") && said.contains("line 9"), "{said}");
}

#[test]
fn what_the_configuration_needs_is_said_by_setting() {
    let said = refusal_of(&GOOD.replace("chain_ids = [1]", ""), &["--check"]);

    assert!(said.contains("chain_ids"), "{said}");
}

#[test]
fn a_tpm_that_is_not_there_is_named() {
    let said = refusal_of(GOOD, &[]);

    assert!(said.contains("unix:/nowhere/tpm.sock"), "{said}");
}

#[test]
fn a_good_configuration_is_checked_without_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    fs::write(&file, GOOD).unwrap();

    assert!(run(&["--check", "--config", file.to_str().unwrap()]).status.success());
}
