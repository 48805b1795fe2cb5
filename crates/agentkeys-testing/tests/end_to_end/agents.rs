//! Agents from the command line: what the broker mints for them, what the daemon has for them, and how they end.

use agentkeys_api::MintOidcJwt;
use agentkeys_client::{ClientError, WalletProof};
use agentkeys_testing::{Process, System};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::machine::{Machine, document};

const INIT: [&str; 7] = ["--no-input", "--json", "--store", "file", "init", "--email", "ada@example.com"];
const ADA: &str = "ada@example.com";

/// A machine on which Ada is signed in, and which has a role.
async fn signed_in(system: &System) -> Machine {
    let machine = Machine::with_credential();
    machine.set_role(system);
    document(&system.init(machine.agentkeys(&INIT), ADA).await);
    machine
}

async fn run(system: &System, machine: &Machine, arguments: &[&str]) -> std::process::Output {
    system.used_by(machine.agentkeys(arguments)).output().await.unwrap()
}

async fn done(system: &System, machine: &Machine, arguments: &[&str]) -> Value {
    document(&run(system, machine, &[arguments, &["--json"]].concat()).await)
}

/// Ada, who has signed in elsewhere too.
async fn proof(system: &System) -> WalletProof {
    let walked = system.walk("ada", &mut ()).await.unwrap();
    system.flow().prove_wallet(&walked.session, walked.wallet, &mut ()).await.unwrap()
}

/// What a JWT for the agent says.
async fn claims(system: &System, proof: &WalletProof, agent: &str) -> Result<Value, ClientError> {
    let request = MintOidcJwt { audience: None, agent: Some(agent.parse().unwrap()) };
    let minted = system.flow().broker.mint_oidc_jwt(proof, &request).await?;
    let claims = minted.jwt.expose().split('.').nth(1).unwrap().to_owned();
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap())
}

#[tokio::test]
async fn an_agent_is_named_in_its_jwts_until_it_is_revoked() {
    let system = System::start().await;
    let machine = signed_in(&system).await;
    let ada = proof(&system).await;

    let created = done(&system, &machine, &["agent", "create", "claude", "--expires", "30d"]).await;
    let again = done(&system, &machine, &["agent", "create", "claude", "--expires", "30d"]).await;
    let listed = done(&system, &machine, &["agent", "list"]).await;
    let shown = done(&system, &machine, &["agent", "show", "claude"]).await;
    let said = claims(&system, &ada, "claude").await.unwrap();
    let revoked = done(&system, &machine, &["agent", "revoke", "claude"]).await;
    let refused = claims(&system, &ada, "claude").await;
    let gone = done(&system, &machine, &["agent", "revoke", "claude"]).await;

    assert_eq!((&created["created"], &again["created"], &again["changes"]), (&json!(true), &json!(false), &json!([])));
    assert_eq!(listed["agents"][0]["name"], "claude");
    assert_eq!(
        (&listed["agents"][0]["roles"], &listed["agents"][0]["on_this_machine"]),
        (&json!(["default"]), &json!(true))
    );
    assert_eq!(shown["doors"]["mcp"], "agentkeys mcp --agent claude");
    assert!(said["act"].to_string().contains("claude"), "{said}");
    assert_eq!((&revoked["was_at_broker"], &revoked["was_on_this_machine"]), (&json!(true), &json!(true)));
    assert_eq!(revoked["iam_statement"]["Condition"]["StringEquals"]["aws:PrincipalTag/agentkeys_agent"], "claude");
    assert!(refused.is_err(), "a JWT was minted for an agent that is revoked");
    assert_eq!((&gone["was_at_broker"], &gone["was_on_this_machine"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn what_is_changed_is_told_and_what_the_settings_lack_is_refused() {
    let system = System::start().await;
    let machine = signed_in(&system).await;

    done(&system, &machine, &["agent", "create", "claude"]).await;
    let changed = done(&system, &machine, &["agent", "create", "claude", "--token-file"]).await;
    let refused = run(&system, &machine, &["agent", "create", "claude", "--role", "deploy"]).await;
    let unknown = run(&system, &machine, &["agent", "show", "codex"]).await;

    assert_eq!(
        changed["changes"],
        json!(["audiences: sts.amazonaws.com (before: none)", "JWT file: sts.amazonaws.com (before: none)"])
    );
    assert!(
        changed["doors"]["token_file"].as_str().unwrap().ends_with("/agents/claude/web-identity/web-identity-token")
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the settings have no role `deploy`, only: default"), "{said}");
    assert_eq!(unknown.status.code(), Some(5));
}

#[tokio::test]
async fn an_agent_has_its_roles_and_no_jwt_for_aws_that_nobody_named() {
    const TOKEN: [&str; 5] = ["token", "--agent", "claude", "--audience", "sts.amazonaws.com"];
    let system = System::start().await;
    let machine = signed_in(&system).await;

    let created = done(&system, &machine, &["agent", "create", "claude"]).await;
    let credentials = run(&system, &machine, &["aws", "credential-process", "--agent", "claude"]).await;
    let refused = run(&system, &machine, &TOKEN).await;
    done(&system, &machine, &["agent", "create", "claude", "--audience", "sts.amazonaws.com"]).await;
    let named = run(&system, &machine, &TOKEN).await;

    assert_eq!((&created["roles"], &created["audiences"]), (&json!(["default"]), &json!([])));
    assert!(document(&credentials)["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!((refused.status.code(), named.status.code()), (Some(4), Some(0)));
}

#[tokio::test]
async fn a_daemon_that_is_stuck_keeps_nobody_from_revoking_an_agent_at_the_broker() {
    let system = System::start().await;
    let machine = signed_in(&system).await;
    let ada = proof(&system).await;
    let mut daemon = Process::start(system.used_by(machine.command("agentkeys-daemon")));
    daemon.line_with("credentials are served").await;
    done(&system, &machine, &["agent", "create", "claude"]).await;

    let pid = Pid::from_raw(daemon.id().cast_signed()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let revoked = run(&system, &machine, &["agent", "revoke", "claude", "--json"]).await;
    let refused = claims(&system, &ada, "claude").await;
    kill_process(pid, Signal::CONT).unwrap();

    let told: Value = serde_json::from_slice(&revoked.stdout).unwrap();
    assert_eq!((&told["was_at_broker"], &told["was_on_this_machine"]), (&json!(true), &json!(true)));
    let failure: Value = serde_json::from_slice(&revoked.stderr).unwrap();
    assert_eq!((revoked.status.code(), &failure["error"]["code"]), (Some(6), &json!("daemon_untold")));
    assert!(failure["error"]["hint"].as_str().unwrap().contains("agentkeys daemon stop"), "{failure}");
    assert!(refused.is_err(), "a JWT was minted for an agent that is revoked");
}

#[tokio::test]
async fn without_the_broker_an_agent_is_cut_off_here_and_that_is_said() {
    let system = System::start().await;
    let machine = signed_in(&system).await;
    done(&system, &machine, &["agent", "create", "claude"]).await;

    let mut command = machine.agentkeys(&["agent", "revoke", "claude", "--json"]);
    command.env("AGENTKEYS_BROKER_URL", system.broker_url());
    drop(system);
    let refused = command.output().await.unwrap();

    let failure: Value =
        serde_json::from_str(String::from_utf8_lossy(&refused.stderr).lines().last().unwrap()).unwrap();
    assert_eq!((&failure["error"]["code"], &failure["error"]["exit"]), (&json!("revoked_here_only"), &json!(6)));
    let book = std::fs::read_to_string(machine.path().join("state/agentkeys/agents/default.json")).unwrap();
    assert!(!book.contains("claude"), "{book}");
}

#[tokio::test]
async fn a_daemon_that_runs_follows_without_being_started_anew() {
    let system = System::start().await;
    let machine = signed_in(&system).await;
    let mut daemon = Process::start(system.used_by(machine.command("agentkeys-daemon")));
    daemon.line_with("credentials are served").await;

    done(&system, &machine, &["agent", "create", "claude"]).await;
    let with = done(&system, &machine, &["daemon", "status"]).await;
    done(&system, &machine, &["agent", "revoke", "claude"]).await;
    let without = done(&system, &machine, &["daemon", "status"]).await;
    let stopped = done(&system, &machine, &["daemon", "stop"]).await;

    assert_eq!(with["agents"], json!(["claude"]));
    assert_eq!(without["agents"], json!([]));
    assert_eq!((&stopped["stopped"], &stopped["pid"]), (&json!(true), &with["pid"]));
}
