//! `agentkeys setup` and `agentkeys daemon install`: what they write, and that it can be taken back.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::bench::Home;

/// A home with two roles, and an agent for each helper.
fn home() -> Home {
    let home = Home::new();
    let aws = "[aws]\nrole_arn = \"arn:aws:iam::123456789012:role/agents\"\nregion = \"eu-west-1\"\n\
        [aws.roles.deploy]\nrole_arn = \"arn:aws:iam::123456789012:role/deploy\"\n";
    write(&home, "config/agentkeys/config.toml", aws);
    let agent = json!({
        "roles": ["default", "deploy"], "audiences": ["sts.amazonaws.com"], "created_at": "2026-11-26T00:00:00Z",
    });
    let book = json!({"agents": {"claude": agent, "codex": agent}});
    write(&home, "state/agentkeys/agents/default.json", &book.to_string());
    home
}

fn write(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn read_json(home: &Home, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(home.path(name)).unwrap()).unwrap()
}

#[test]
fn claude_code_gets_the_server_and_the_profile_and_gives_them_back_to_the_byte() {
    let home = home();
    let servers = write(&home, "home/.claude.json", "{\n  \"numStartups\": 7,\n  \"mcpServers\": {}\n}\n");
    let settings = write(&home, "home/.claude/settings.json", "{\"permissions\": {\"deny\": [\"Read(.env)\"]}}");
    let aws = write(&home, "home/.aws/config", "[default]\nregion = us-east-1\n");
    let before = [&servers, &settings, &aws].map(|path| fs::read_to_string(path).unwrap());

    let done = home.agentkeys(&["setup", "claude", "--yes"]);
    let server = read_json(&home, "home/.claude.json")["mcpServers"]["agentkeys"].clone();
    let deny = read_json(&home, "home/.claude/settings.json");
    let profiles = fs::read_to_string(&aws).unwrap();
    let again = home.agentkeys(&["setup", "claude", "--yes", "--json"]);
    let undone = home.agentkeys(&["setup", "claude", "--undo", "--yes"]);

    assert_eq!(done.code(), Some(0), "{}", done.stderr());
    assert!(done.stderr().contains("+     \"agentkeys\": {"), "{}", done.stderr());
    assert_eq!((&server["type"], &server["args"]), (&json!("stdio"), &json!(["mcp", "--agent", "claude"])));
    assert!(server["command"].as_str().unwrap().starts_with('/'), "{server}");
    assert_eq!(deny["env"]["AWS_PROFILE"], "agentkeys-claude");
    let state = format!("Read(/{}/**)", home.path("state/agentkeys").display());
    assert!(deny["permissions"]["deny"].as_array().unwrap().contains(&json!(state)), "{deny}");
    assert!(profiles.contains("\n[profile agentkeys-claude]\ncredential_process = /"), "{profiles}");
    assert!(profiles.contains("aws credential-process --agent claude\nregion = eu-west-1\n"), "{profiles}");
    assert!(profiles.contains("\n[profile agentkeys-deploy-claude]\n"), "{profiles}");
    assert_eq!(again.document()["changed"], json!([]));
    assert_eq!(undone.code(), Some(0), "{}", undone.stderr());
    assert_eq!([&servers, &settings, &aws].map(|path| fs::read_to_string(path).unwrap()), before);
    assert!(!home.path("state/agentkeys/setup/default-claude.json").exists());
}

#[test]
fn the_profile_is_the_one_that_aws_configure_writes_and_somebody_elses_is_refused() {
    let home = home();
    let configure = ["aws", "configure", "--no-input", "--json", "--agent", "claude"];
    let theirs = "[profile agentkeys-claude]\nregion = x\n";

    let done = home.agentkeys(&["setup", "claude", "--yes"]);
    let default = home.agentkeys(&configure).document();
    let deploy = home.agentkeys(&[&configure[..], &["--role", "deploy"]].concat()).document();
    let aws = write(&home, "home/.aws/config", theirs);
    let refused = home.agentkeys(&["setup", "claude", "--yes", "--json"]);

    assert_eq!(done.code(), Some(0), "{}", done.stderr());
    assert_eq!((&default["changed"], &default["aws_profile"]), (&json!(false), &json!("agentkeys-claude")));
    assert_eq!((&deploy["changed"], &deploy["aws_profile"]), (&json!(false), &json!("agentkeys-deploy-claude")));
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("\"not_ours\""), "{}", refused.stderr());
    assert_eq!(fs::read_to_string(aws).unwrap(), theirs);
}

#[test]
fn codex_gets_them_in_its_own_words_and_files_that_were_made_go_again() {
    let home = home();

    let done = home.agentkeys(&["setup", "codex", "--yes"]);
    let written = fs::read_to_string(home.path("home/.codex/config.toml")).unwrap();
    let undone = home.agentkeys(&["setup", "codex", "--undo", "--yes"]);

    assert_eq!((done.code(), undone.code()), (Some(0), Some(0)), "{}{}", done.stderr(), undone.stderr());
    assert!(written.starts_with("[mcp_servers.agentkeys]\ncommand = \"/"), "{written}");
    assert!(written.contains("args = [\"mcp\", \"--agent\", \"codex\"]\n"), "{written}");
    assert!(written.contains("[shell_environment_policy.set]\nAWS_PROFILE = \"agentkeys-codex\"\n"), "{written}");
    assert!(!home.path("home/.codex/config.toml").exists() && !home.path("home/.aws/config").exists());
}

#[test]
fn a_file_that_is_not_json_stays_as_it_is_and_so_do_the_others() {
    let home = home();
    let settings = write(&home, "home/.claude/settings.json", "{\n  \"env\": {},\n}\n");

    let refused = home.agentkeys(&["setup", "claude", "--yes"]);

    assert_eq!(refused.code(), Some(1));
    let said = refused.stderr();
    assert!(said.contains("settings.json` was left as it is: line 3: "), "{said}");
    assert_eq!(fs::read_to_string(settings).unwrap(), "{\n  \"env\": {},\n}\n");
    assert!(!home.path("home/.claude.json").exists() && !home.path("home/.aws/config").exists());
}

#[test]
fn nothing_is_written_that_nobody_has_agreed_to() {
    let home = home();

    let setup = home.agentkeys(&["setup", "codex"]);
    let install = home.agentkeys(&["daemon", "install"]);

    assert_eq!((setup.code(), install.code()), (Some(2), Some(2)));
    assert!(!home.path("home/.codex").exists() && !home.path("config/systemd").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_is_written_once_and_removed_whole() {
    let home = home();
    let aws = "[profiles.work.aws]\nrole_arn = \"arn:aws:iam::123456789012:role/work\"\n";
    write(&home, "config/agentkeys/config.toml", aws);
    let units = ["agentkeys-work.service", "agentkeys-work.socket"];
    let install = ["--profile", "work", "daemon", "install", "--yes", "--json"];

    let done = home.agentkeys(&install).document();
    let service = fs::read_to_string(home.path("config/systemd/user").join(units[0])).unwrap();
    let again = home.agentkeys(&install).document();
    let removed = home.agentkeys(&[&install[..], &["--uninstall"]].concat()).document();

    assert_eq!(done["changed"].as_array().unwrap().len(), 2, "{done}");
    assert!(service.contains(" --profile work daemon run\n"), "{service}");
    // No manager answers in this home.
    assert_eq!(done["taken_over"], false);
    assert_eq!(
        done["commands"],
        json!(["systemctl --user daemon-reload", "systemctl --user enable --now agentkeys-work.socket"])
    );
    assert_eq!((&again["changed"], &removed["installed"]), (&json!([]), &json!(false)));
    assert!(units.iter().all(|unit| !home.path("config/systemd/user").join(unit).exists()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_unit_that_somebody_else_wrote_is_not_replaced() {
    let home = home();
    let unit = write(&home, "config/systemd/user/agentkeys.service", "[Service]\nExecStart=/bin/mine\n");

    let refused = home.agentkeys(&["daemon", "install", "--yes"]);

    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr().contains("was not written by this command"), "{}", refused.stderr());
    assert_eq!(fs::read_to_string(unit).unwrap(), "[Service]\nExecStart=/bin/mine\n");
}
