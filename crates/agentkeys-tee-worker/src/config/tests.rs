use super::*;

const GOOD: &str = r#"
    listen = "127.0.0.1:0"
    public_url = "https://worker.example"
    broker_url = "https://broker.example"
    state = "/state"
    tpm = "unix:/run/tpm"
    approvals = ["/etc/agentkeys/approval.json"]
    release_key = "04aa"
    log_origin = "signer.example/log"
    chain_ids = [1]
"#;

fn read(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn a_configuration_that_names_all_it_needs_is_taken() {
    let config = read(GOOD).unwrap();

    assert_eq!(config.purpose(), Purpose::WalletProof { chain_ids: vec![1] });
    assert_eq!((config.sealer, config.attester), (SealerKind::Tpm2, AttesterKind::Tpm2));
    assert_eq!(config.epoch, 0);
}

#[test]
fn the_epoch_is_part_of_the_configuration() {
    assert_eq!(read(&format!("{GOOD}\nepoch = 3")).unwrap().epoch, 3);
    assert!(read(&format!("{GOOD}\nepoch = -1")).is_err());
}

#[test]
fn a_worker_that_is_not_confined_starts_only_where_it_says_so() {
    assert!(read(GOOD).unwrap().require_sandbox);
    assert!(!read(&format!("{GOOD}\nrequire_sandbox = false")).unwrap().require_sandbox);
}

#[test]
fn a_misspelt_setting_is_refused_by_name() {
    let refused = read(&format!("{GOOD}\nalow_any_message = true")).unwrap_err();

    assert!(refused.contains("unknown field `alow_any_message`"), "{refused}");
}

#[test]
fn no_setting_can_hold_a_secret() {
    for name in ["master_secret", "secret", "seed", "private_key"] {
        assert!(read(&format!("{GOOD}\n{name} = \"{}\"", "0".repeat(64))).is_err(), "{name}");
    }
}

#[test]
fn what_cannot_work_is_refused_with_the_setting_to_change() {
    let identity = format!("restore_identity = \"{}\"", "02".repeat(33));
    let recipients = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| format!("\"{}\"", key.repeat(32))).collect();
        format!("recipients = [{}]", keys.join(", "))
    };
    let table = [
        ("chain_ids = [1]", "", "chain_ids:"),
        ("https://worker.example", "http://worker.example", "public_url:"),
        ("listen = \"127.0.0.1:0\"\n    public_url = \"https://worker.example\"", "", "public_url:"),
        ("https://worker.example", "https://worker.example/path", "public_url:"),
        ("https://broker.example", "https://broker.example/", "broker_url:"),
        ("https://broker.example", "http://broker.example", "broker_url:"),
        ("signer.example/log", "signer example", "log_origin:"),
        ("signer.example/log", "signer+log", "log_origin:"),
        ("approvals = [\"/etc/agentkeys/approval.json\"]", "", "approvals:"),
        ("release_key = \"04aa\"", "", "release_key:"),
        ("chain_ids = [1]", "chain_ids = [1]\nsealer = \"none\"\nattester = \"tdx\"", "sealer:"),
        ("chain_ids = [1]", &format!("chain_ids = [1]\nsealer = \"none\"\n[backup]\n{identity}"), "sealer:"),
        ("chain_ids = [1]", "chain_ids = [1]\n[backup]\nrestore_identity = \"02\"", "backup.restore_identity:"),
        (
            "chain_ids = [1]",
            &format!(
                "chain_ids = [1]\n[backup]\n{}\nthreshold = 2\nrestore_without_log = true",
                recipients(&["aa", "bb"])
            ),
            "backup.restore_without_log:",
        ),
        (
            "chain_ids = [1]",
            "chain_ids = [1]\n[endorsements]\nvcek_chain = [\"/vcek.pem\"]",
            "endorsements.vcek_chain:",
        ),
        ("chain_ids = [1]", "chain_ids = [1]\n[backup]\nrecipients = [\"ada\"]\nthreshold = 1", "backup.recipients:"),
        (
            "chain_ids = [1]",
            &format!("chain_ids = [1]\n[backup]\n{}\nthreshold = 2", recipients(&["aa", "aa"])),
            "backup.recipients:",
        ),
        (
            "chain_ids = [1]",
            &format!("chain_ids = [1]\n[backup]\n{}\nthreshold = 1", recipients(&["aa", "bb"])),
            "backup.threshold:",
        ),
        (
            "chain_ids = [1]",
            &format!("chain_ids = [1]\n[backup]\n{}\nthreshold = 3", recipients(&["aa", "bb"])),
            "backup.threshold:",
        ),
    ];

    for (part, instead, setting) in table {
        let refused = read(&GOOD.replace(part, instead)).unwrap_err();

        assert!(refused.starts_with(setting), "{instead}: {refused}");
    }
}

#[test]
fn a_platform_without_a_sealer_restores_at_each_start() {
    let identity = "02".repeat(33);
    let text =
        format!("{GOOD}\nsealer = \"none\"\nattester = \"sev-snp\"\n[backup]\nrestore_identity = \"{identity}\"");

    assert_eq!(read(&text).unwrap().restore_identity(), Some(identity.as_str()));
}

#[test]
fn any_message_is_signed_only_where_it_says_so() {
    let config = read(&GOOD.replace("chain_ids = [1]", "allow_any_message = true")).unwrap();

    assert_eq!(config.purpose(), Purpose::AnyMessage);
}
