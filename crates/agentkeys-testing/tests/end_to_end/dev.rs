//! `agentkeys dev`: the whole system by one command.

use std::{fs, path::PathBuf, process::Output};

use agentkeys_testing::Home;
use serde_json::Value;

#[tokio::test]
async fn the_first_command_does_the_whole_job_and_a_second_comes_back_to_the_same_wallet() {
    let home = Home::default();

    let first = document(&home.dev(&["--once", "--json"]).output().await.unwrap());
    let second = document(&home.dev(&["--once", "--json"]).output().await.unwrap());

    for walk in [&first, &second] {
        let steps = walk["steps"].as_array().unwrap();
        assert!(steps.iter().zip(1..=8).all(|(step, number)| step["step"] == number && step["ok"] == true), "{walk}");
        assert_eq!(steps.len(), 8);
        assert!(walk["checks"].as_array().unwrap().iter().all(|check| check["ok"] == true), "{walk}");
    }
    assert_eq!(first["account"], second["account"]);
    assert_eq!(first["wallet"], second["wallet"]);
}

#[tokio::test]
async fn a_line_that_fails_makes_the_walk_fail() {
    let home = Home::default();
    document(&home.dev(&["--once", "--json"]).output().await.unwrap());
    // What was the folder of all wallets can hold nothing any more.
    let bots = bucket(&home).join("bots");
    fs::remove_dir_all(&bots).unwrap();
    fs::write(&bots, "").unwrap();

    let ended = home.dev(&["--once", "--json"]).output().await.unwrap();

    let walk: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(walk["checks"][0]["ok"], false, "{walk}");
    assert_eq!(walk["checks"][1]["ok"], true, "{walk}");
}

#[tokio::test]
async fn a_program_runs_with_the_credentials_and_its_exit_code_is_ours() {
    let home = Home::default();

    let ended = home.dev(&["--", "sh", "-c", "env; exit 7"]).output().await.unwrap();

    let environment = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(7));
    for name in [
        "AWS_ACCESS_KEY_ID=ASIA",
        "AWS_SECRET_ACCESS_KEY=",
        "AWS_SESSION_TOKEN=",
        "AWS_ENDPOINT_URL=http://127.0.0.1:",
        "AWS_REGION=us-east-1",
        "AWS_DEFAULT_REGION=us-east-1",
    ] {
        assert!(environment.lines().any(|line| line.starts_with(name)), "{name} is missing");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_sees_neither_the_session_token_nor_the_master_secret() {
    let home = Home::default();
    let mut command =
        home.dev(&["--", "sh", "-c", "env; cat /proc/$PPID/cmdline /proc/$PPID/environ; ls -l /proc/self/fd"]);
    let secret = "5e".repeat(32);
    command.env("DEV_KEY_SERVICE_MASTER_SECRET", &secret);

    let ended = command.output().await.unwrap();

    let seen = String::from_utf8_lossy(&ended.stdout);
    assert!(seen.contains("AWS_SESSION_TOKEN="));
    assert!(!seen.contains("aks_"));
    assert!(!seen.contains(&secret));
    assert!(!seen.contains("socket:") && !seen.contains("agentkeys.db"), "an open descriptor went along");
}

#[tokio::test]
async fn without_a_keychain_neither_sign_in_nor_daemon_go_on() {
    let home = Home::default();

    let init = home.agentkeys(&["--no-input", "init", "--email", "ada@example.com"]).output().await.unwrap();
    let daemon = home.command("agentkeys-daemon").output().await.unwrap();

    assert_eq!(init.status.code(), Some(8), "{}", String::from_utf8_lossy(&init.stderr));
    assert_eq!(daemon.status.code(), Some(8), "{}", String::from_utf8_lossy(&daemon.stderr));
}

fn document(ended: &Output) -> Value {
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn bucket(home: &Home) -> PathBuf {
    home.path().join("state/agentkeys/dev/s3/agentkeys-dev")
}
