//! `agentkeys mcp`, used by the official client of the Model Context Protocol.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Stdio, sync::Arc};

use agentkeys_api::{AccessKind, AgentGrant, Audience};
use agentkeys_client::{
    Agent, AgentBook, AgentFolder, AskedStorage, Places, ProfileName, Session, SessionStorage, StoreChoice, StoreKey,
    TerminalPrompt,
};
use agentkeys_testing::{Home, Process, System};
use agentkeys_types::{AgentName, Clock, RoleName, SystemClock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

use crate::parts::at;

const USE_MCP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/javascript/use_mcp.mjs");

#[tokio::test]
#[ignore = "needs MCP's own client: cargo xtask test"]
async fn an_agent_sees_its_access_signs_urls_and_asks_for_more_but_gets_no_secret() {
    let system = System::start().await;
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let machine = Machine::of(&ada.session, &system).await;
    let own = format!("bots/{}/", ada.wallet.to_lowercase());
    let other = "bots/0x0000000000000000000000000000000000000000/";
    let mut command = machine.use_mcp(&own, other);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut client = command.spawn().unwrap();
    let mut said = BufReader::new(client.stdout.take().unwrap()).lines();

    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("waiting"));
    let _daemon = machine.start_daemon().await;
    client.stdin.take().unwrap().write_all(b"\n").await.unwrap();
    let seen = said.next_line().await.unwrap().expect("it goes on to its end");

    let seen: Value = serde_json::from_str(&seen).unwrap();
    let requests = machine.book().read().unwrap().requests;
    assert_eq!(
        seen,
        json!({
            "server": "agentkeys",
            "tools": ["list_access", "caller_identity", "presign_s3_url", "request_access"],
            "unknown arguments that a schema lets through": [],
            "without a daemon": "no_daemon",
            "access": {
                "agent": "claude",
                "expires_at": null,
                "roles": [{ "name": "default", "role_arn": System::ROLE_ARN, "region": "us-east-1" }],
                "audiences": ["sts.amazonaws.com"],
            },
            "identity": {
                "account": ada.session.omni_account,
                "wallet": ada.wallet,
                "role": "default",
                "role_arn": System::ROLE_ARN,
                "region": "us-east-1",
                "agent": "claude",
                "credentials_expire_at": seen["identity"]["credentials_expire_at"],
            },
            "put": 200,
            "get": "hello",
            "another object with the same signature": 403,
            "another method with the same signature": 403,
            "an object of somebody else": 403,
            "a role that is not given": "agent_not_allowed",
            "requested": {
                "id": requests[0].id,
                "granted": false,
                "approve_with": format!("agentkeys agent approve {}", requests[0].id),
            },
            "a session token, by kind": "secret_not_exportable",
            "a session token, by tool": "secret_not_exportable",
            "another tool": "unknown_tool",
            "a wrong argument": "invalid_argument",
            "there is a log": true,
            "the log repeats a URL": false,
        })
    );
    assert_eq!((requests.len(), requests[0].kind, requests[0].name.as_str()), (1, AccessKind::Role, "deploy"));
    assert!(client.wait().await.unwrap().success());
}

/// A machine on which somebody is signed in and has an agent, but runs no daemon yet.
struct Machine {
    home: Home,
    places: Places,
}

impl Machine {
    async fn of(session: &Session, system: &System) -> Self {
        let home = Home::default();
        let below = |name: &str| home.path().join(name);
        for folder in ["home", "state", "run", "credentials", "config/agentkeys"] {
            fs::create_dir_all(below(folder)).unwrap();
        }
        let (broker, signer, aws) = (system.broker_url(), system.signer_url(), system.aws_url());
        let settings = format!(
            "broker_url = \"{broker}\"\nsigner_url = \"{signer}\"\n[aws]\nrole_arn = \"{}\"\nendpoint_url = \"{aws}\"\n\
             [aws.roles.deploy]\nrole_arn = \"arn:aws:iam::000000000000:role/deploy\"\n",
            System::ROLE_ARN,
        );
        fs::write(below("config/agentkeys/config.toml"), settings).unwrap();
        fs::write(below("credentials/agentkeys-session-key"), [7; 32]).unwrap();
        let places = Places::new(&below("home"), Some(below("config")), Some(below("state")), Some(below("run")));
        let places = places.with_credentials(below("credentials"));
        let machine = Self { home, places };
        machine.keep(session).await;
        machine.create_agent(session, system).await;
        machine
    }

    async fn keep(&self, session: &Session) {
        let asked = AskedStorage { choice: Some(StoreChoice::File), key: Some(StoreKey::Systemd) };
        let profile = ProfileName::default();
        let storage = SessionStorage::decide(asked, &self.places, &profile).unwrap();
        storage.open(Arc::new(TerminalPrompt { may_ask: false })).save(&profile, session).await.unwrap();
    }

    /// Which may have the default role, and not the other one.
    async fn create_agent(&self, session: &Session, system: &System) {
        system.flow().broker.put_agent(session, &claude(), &AgentGrant::default()).await.unwrap();
        let agent = Agent {
            roles: BTreeSet::from([RoleName::default()]),
            audiences: BTreeSet::from([Audience::aws_sts()]),
            created_at: SystemClock.now(),
            expires_at: None,
            token_file: None,
        };
        self.book().change(|pages| pages.agents.insert(claude(), agent)).unwrap();
    }

    fn book(&self) -> AgentBook {
        AgentBook::of(&self.places, &ProfileName::default())
    }

    /// Where the agent's programs find the daemon.
    fn socket(&self) -> PathBuf {
        AgentFolder::beside(&self.places.socket(&ProfileName::default()), &claude()).socket()
    }

    async fn start_daemon(&self) -> Process {
        let mut command = self.home.command("agentkeys-daemon");
        command.args(["--store", "file", "--store-key", "systemd"]);
        command.env("CREDENTIALS_DIRECTORY", self.home.path().join("credentials"));
        let mut daemon = Process::start(command);
        daemon.line_with("credentials are served").await;
        daemon
    }

    fn use_mcp(&self, own_prefix: &str, other_prefix: &str) -> Command {
        let mut command = Process::command("node");
        command.envs(self.home.environment()).args([USE_MCP, &at("AGENTKEYS_TEST_NODE_MODULES")]);
        command.arg(Process::binary("agentkeys")).arg(self.socket());
        command.args([System::BUCKET, own_prefix, other_prefix]);
        command
    }
}

fn claude() -> AgentName {
    "claude".parse().unwrap()
}
