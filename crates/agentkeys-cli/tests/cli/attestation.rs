//! `agentkeys attestation`: what an operator does with a policy, and what a person then sees.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::bench::Home;

const POLICY: &str = r#"
version = 7
min_release = "0.1.0"
revoked = []
[[accept]]
backend = "tpm2"
release = "0.1.0"
bank = "sha256"
pcr = { 4 = ["PCR4"], 7 = ["PCR7"], 11 = ["PCR11"], 12 = ["PCR12"] }
anchor = { ek_ca_sha256 = ["CA"] }
"#;

fn write_policy(home: &Home, name: &str) -> PathBuf {
    let path = home.path(name);
    let mut text = POLICY.to_owned();
    for (name, digit) in [("PCR4", "4"), ("PCR7", "7"), ("PCR11", "b"), ("PCR12", "0"), ("CA", "c")] {
        text = text.replace(&format!("\"{name}\""), &format!("\"{}\"", digit.repeat(64)));
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_policy_that_the_release_key_has_signed_is_used_and_a_changed_one_is_not() {
    let home = Home::new();
    let (key, policy) = (home.path("release.pem"), write_policy(&home, "policy.toml"));
    let (key, policy) = (key.to_str().unwrap(), policy.to_str().unwrap());

    let made = home.agentkeys(&["--json", "attestation", "keygen", key]);
    let again = home.agentkeys(&["attestation", "keygen", key]);
    let public: Value = serde_json::from_str(&made.stdout()).unwrap();
    let public = public["release_key"].as_str().unwrap();
    let signed = home.agentkeys(&["attestation", "policy", "sign", policy, "--key", key]);
    let check = ["--release-key", public, "attestation", "policy", "check", policy];
    let checked = home.agentkeys(&check);
    fs::write(policy, fs::read_to_string(policy).unwrap().replace("version = 7", "version = 8")).unwrap();
    let changed = home.agentkeys(&check);

    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((again.code(), signed.code(), checked.code()), (Some(1), Some(0), Some(0)), "{}", checked.stderr());
    assert!(checked.stdout().contains("version 7, signed by the release key"), "{}", checked.stdout());
    assert!(checked.stdout().contains("tpm2, release 0.1.0"), "{}", checked.stdout());
    assert_eq!(changed.code(), Some(2), "{}", changed.stdout());
    assert!(changed.stderr().contains("is not signed by the release key"), "{}", changed.stderr());
}

#[test]
fn a_policy_in_the_usual_place_counts_for_every_signer_but_that_of_the_development_command() {
    let home = Home::new();
    write_policy(&home, "config/agentkeys/attestation-policy.toml");

    let with_tls = home.agentkeys(&["attestation", "show", "--signer-url", "https://127.0.0.1:1"]);
    let plain = home.agentkeys(&["attestation", "show"]);
    let of_the_command = home.agentkeys(&["--profile", "dev", "attestation", "show"]);
    let spelt_out =
        home.agentkeys(&["attestation", "show", "--attestation-policy", home.path("missing").to_str().unwrap()]);

    assert_eq!(with_tls.code(), Some(6), "{}", with_tls.stderr());
    assert_eq!(plain.code(), Some(4), "{}", plain.stderr());
    assert!(plain.stderr().contains("hint: point `--signer-url` at the signer of that policy"), "{}", plain.stderr());
    assert!(plain.stderr().contains("say `allow_dev = true`"), "{}", plain.stderr());
    assert_eq!(of_the_command.code(), Some(2), "{}", of_the_command.stderr());
    let unjudged = "no attestation policy judges the signer";
    assert!(of_the_command.stderr().contains(unjudged), "{}", of_the_command.stderr());
    assert_eq!(spelt_out.code(), Some(2), "{}", spelt_out.stderr());
}

#[test]
fn a_policy_that_is_set_refuses_a_development_signer_that_it_does_not_allow() {
    let home = Home::new();
    let policy = write_policy(&home, "policy.toml");

    let refused = home.agentkeys(&["attestation", "show", "--json", "--attestation-policy", policy.to_str().unwrap()]);

    assert_eq!(refused.code(), Some(4), "{}", refused.stderr());
    let error: Value = serde_json::from_str(&refused.stderr()).unwrap();
    assert_eq!(error["error"]["code"], "attestation_invalid");
}
