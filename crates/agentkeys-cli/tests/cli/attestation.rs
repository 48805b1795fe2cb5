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

pub(crate) fn write_policy(home: &Home, name: &str) -> PathBuf {
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
fn an_entry_below_the_lowest_release_is_not_said_to_be_accepted() {
    let home = Home::new();
    let policy = write_policy(&home, "policy.toml");
    let check = ["--json", "attestation", "policy", "check", policy.to_str().unwrap()];
    let refused_of = |output: String| serde_json::from_str::<Value>(&output).unwrap()["accept"][0]["refused"].clone();
    let before = home.agentkeys(&check);
    let raised = fs::read_to_string(&policy).unwrap().replace("min_release = \"0.1.0\"", "min_release = \"0.2.0\"");
    fs::write(&policy, raised).unwrap();

    let checked = home.agentkeys(&check[1..]);
    let for_programs = home.agentkeys(&check);

    assert!(checked.stdout().contains("refuses tpm2, release 0.1.0"), "{}", checked.stdout());
    assert!(!checked.stdout().contains("accepts"), "{}", checked.stdout());
    assert_eq!(refused_of(before.stdout()), false);
    assert_eq!(refused_of(for_programs.stdout()), true);
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

/// What is written down of an image whose registers hold 44…, 77…, bb… and zeros.
fn write_registers(home: &Home, name: &str) -> PathBuf {
    let at_start = ["4", "7", "b", "0"].map(|digit| digit.repeat(64));
    // SHA-256 of register 11 at start, followed by SHA-256("agentkeys/cap/v1").
    let capped = "bf57d2167c2a81b6162220aba38423db82d83315915c302134f1a57811aa536d";
    let [boot, secure_boot, image, command_line] = &at_start;
    let document = serde_json::json!({
        "release": "0.1.0",
        "bank": "sha256",
        "pcrs": {"4": boot, "7": secure_boot, "11": image, "12": command_line},
        "capped": {"4": boot, "7": secure_boot, "11": capped, "12": command_line},
        "kernel": "linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64",
        "image_sha256": "a".repeat(64),
    });
    let path = home.path(name);
    fs::write(&path, document.to_string()).unwrap();
    path
}

#[test]
fn an_image_is_approved_of_offline_and_an_approval_is_not_replaced_by_accident() {
    let home = Home::new();
    let (key, pcrs, out) = (home.path("release.pem"), write_registers(&home, "pcrs.json"), home.path("approval.json"));
    let [key, pcrs, out] = [&key, &pcrs, &out].map(|path| path.to_str().unwrap());
    let made = home.agentkeys(&["--json", "attestation", "keygen", key]);
    let public: Value = serde_json::from_str(&made.stdout()).unwrap();
    let approve = ["--json", "attestation", "approve", pcrs, "--key", key, "--epoch", "2", "--out", out];

    let approved = home.agentkeys(&approve);
    let first = fs::read_to_string(out).unwrap();
    let again = home.agentkeys(&approve);
    let kept = fs::read_to_string(out).unwrap();
    let forced = home.agentkeys(&[&approve[..], &["--force"]].concat());

    assert_eq!((approved.code(), again.code(), forced.code()), (Some(0), Some(1), Some(0)), "{}", approved.stderr());
    let document: Value = serde_json::from_str(&approved.stdout()).unwrap();
    assert_eq!((&document["release"], &document["epoch"]), (&"0.1.0".into(), &2.into()));
    assert_eq!(document["release_key"], public["release_key"]);
    assert_eq!(document["pcrs"]["11"], "b".repeat(64));
    let approval: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(approval["pcrs"], document["pcrs"]);
    assert_eq!(approval["approvals"].as_array().unwrap().len(), 3);
    assert_eq!(kept, first);
    let refused: Value = serde_json::from_str(&again.stderr()).unwrap();
    assert_eq!(refused["error"]["hint"], "`--out` takes another name, `--force` replaces what is there");
    assert_ne!(fs::read_to_string(out).unwrap(), first);
}

#[test]
fn registers_as_a_quote_shows_them_are_not_approved_of() {
    let home = Home::new();
    let (key, pcrs, out) = (home.path("release.pem"), write_registers(&home, "pcrs.json"), home.path("approval.json"));
    let [key, pcrs, out] = [&key, &pcrs, &out].map(|path| path.to_str().unwrap());
    home.agentkeys(&["attestation", "keygen", key]);
    let mut document: Value = serde_json::from_str(&fs::read_to_string(pcrs).unwrap()).unwrap();
    document["pcrs"] = document["capped"].clone();
    fs::write(pcrs, document.to_string()).unwrap();

    let refused = home.agentkeys(&["attestation", "approve", pcrs, "--key", key, "--epoch", "0", "--out", out]);

    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("`capped` is not what becomes of `pcrs`"), "{}", refused.stderr());
    assert!(fs::metadata(out).is_err());
}

#[test]
fn a_key_that_others_may_read_signs_nothing() {
    let home = Home::new();
    let (key, policy) = (home.path("release.pem"), write_policy(&home, "policy.toml"));
    let (key, policy) = (key.to_str().unwrap(), policy.to_str().unwrap());
    home.agentkeys(&["attestation", "keygen", key]);
    fs::set_permissions(key, fs::Permissions::from_mode(0o640)).unwrap();

    let refused = home.agentkeys(&["attestation", "policy", "sign", policy, "--key", key]);

    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("chmod 600"), "{}", refused.stderr());
    assert!(refused.stderr().contains("hint: "), "{}", refused.stderr());
    assert!(fs::metadata(home.path("policy.toml.sig")).is_err());
}
