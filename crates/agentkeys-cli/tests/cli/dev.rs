//! `agentkeys dev`, and what the other commands do while it runs.

use crate::bench::Home;

#[test]
fn the_walk_goes_well_and_leads_to_the_same_account_and_wallet_each_time() {
    let home = Home::new();

    let first = home.dev(&["--once", "--json"]).document();
    let second = home.dev(&["--once", "--json"]).document();

    let steps = first["steps"].as_array().unwrap();
    let numbers: Vec<u64> = steps.iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    for line in steps.iter().chain(first["checks"].as_array().unwrap()) {
        assert!(line["ok"] == true && line["ms"].as_f64().unwrap() > 0.0, "{line}");
    }
    assert_eq!((&first["account"], &first["wallet"]), (&second["account"], &second["wallet"]));
    assert!(first["expires_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn the_screen_names_every_part_and_every_step() {
    let ended = Home::new().dev(&["--once", "--email", "ada@example.com"]);

    let screen = ended.stdout();
    assert_eq!((ended.code(), ended.stderr()), (Some(0), String::new()));
    for text in [
        "broker        http://127.0.0.1:",
        "keep no funds on it",
        "✓ 1 signed in as ada@example.com",
        "✓ 8 temporary AWS credentials",
        "✓   wrote and read  s3://agentkeys-dev/bots/0x",
        "✓   refused         s3://agentkeys-dev/bots/0x0000000000000000000000000000000000000000/",
    ] {
        assert!(screen.contains(text), "{text} is missing:\n{screen}");
    }
}

#[test]
fn a_program_gets_the_credentials_and_stdout_and_nothing_secret_of_ours() {
    let home = Home::new();
    let script = r"env | cut -d= -f1 | grep -E '^(AWS|DEV)' | grep -v CA_BUNDLE | sort; exit 42";
    let mut command = home.command(&["dev", "--broker-port", "0", "--metrics-port", "0", "--signer-port", "0"]);
    command.args(["--aws-port", "0", "--smtp-port", "0", "--", "sh", "-c", script]);
    command.env("DEV_KEY_SERVICE_MASTER_SECRET", "00".repeat(32)).env("AWS_PROFILE", "other");

    let output = command.output().unwrap();

    let names = "AWS_ACCESS_KEY_ID\nAWS_CREDENTIAL_EXPIRATION\nAWS_DEFAULT_REGION\nAWS_ENDPOINT_URL\nAWS_REGION\n\
        AWS_SECRET_ACCESS_KEY\nAWS_SESSION_TOKEN\n";
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap()), (Some(42), names.to_owned()));
}

#[test]
fn a_program_that_is_missing_ends_with_127() {
    let ended = Home::new().dev(&["--", "agentkeys-no-such-program"]);

    assert_eq!(ended.code(), Some(127));
    assert!(ended.stderr().contains("error: `agentkeys-no-such-program` could not be run"));
}

#[test]
fn a_master_secret_in_the_environment_wins_and_a_malformed_one_stops_it() {
    let home = Home::new();
    let walk = |secret: &str| {
        let arguments = ["dev", "--once", "--json", "--broker-port", "0", "--metrics-port", "0", "--signer-port", "0"];
        let mut command = home.command(&arguments);
        command.args(["--aws-port", "0", "--smtp-port", "0"]).env("DEV_KEY_SERVICE_MASTER_SECRET", secret);
        command.output().unwrap()
    };
    let own = home.dev(&["--once", "--json"]).document();

    let other = walk(&"11".repeat(32));
    let malformed = walk("11");

    let other: serde_json::Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_ne!(own["wallet"], other["wallet"]);
    assert_eq!(malformed.status.code(), Some(1));
    assert!(String::from_utf8(malformed.stderr).unwrap().contains("must be 64 hex digits"));
}

#[test]
fn while_it_runs_the_profile_dev_hands_out_credentials_until_ctrl_c() {
    let home = Home::new();
    let running = home.start_dev();
    let try_it = running.screen.iter().rev().nth(1).unwrap().trim().to_owned();

    let status = home.agentkeys(&["--profile", "dev", "daemon", "status", "--json"]).document();
    let whoami = home.agentkeys(&["--profile", "dev", "whoami", "--json"]).document();
    let process = home.agentkeys(&["--profile", "dev", "aws", "credential-process"]).document();
    let export = home.agentkeys(&["--profile", "dev", "aws", "export", "--format", "json"]).document();
    let second = home.dev(&["--once"]);
    let (eval, rest) = try_it.split_once("; ").unwrap();
    let mut shell = std::process::Command::new("sh");
    let pasted = shell.args(["-c", &format!("{eval}; echo $AWS_ACCESS_KEY_ID")]).envs(home.environment()).output();

    assert_eq!(status["state"], "ready");
    assert_eq!(whoami["wallet"], status["wallet"]);
    assert_eq!(process["Version"], 1);
    assert_eq!(process["AccessKeyId"], export["access_key_id"]);
    assert_eq!(String::from_utf8(pasted.unwrap().stdout).unwrap().trim(), export["access_key_id"]);
    assert!(rest.starts_with("aws s3 ls s3://agentkeys-dev/bots/0x"));
    assert_eq!(second.code(), Some(1));
    assert!(second.stderr().starts_with("error: another `agentkeys dev` is using"), "{}", second.stderr());
    assert_eq!(running.interrupt(), Some(0));
    assert_eq!(home.agentkeys(&["--profile", "dev", "aws", "export"]).code(), Some(6));
}
