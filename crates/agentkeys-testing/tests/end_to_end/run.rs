//! `agentkeys run`: what a program finds, and how it ends; and the doors beside it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use agentkeys_testing::System;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    machine::{Machine, document},
    terminal::Terminal,
};

const ADA: &str = "ada@example.com";
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine at which ada has signed in, without a daemon.
struct Bench {
    machine: Machine,
    system: System,
}

impl Bench {
    async fn start() -> Self {
        let (machine, system) = (Machine::with_credential(), System::start().await);
        machine.set_role(&system);
        let init = machine.agentkeys(&["--no-input", "--json", "--store", "file", "init", "--email", ADA]);
        document(&system.init(init, ADA).await);
        Self { machine, system }
    }

    fn agentkeys(&self, arguments: &[&str]) -> Command {
        let mut command = self.system.used_by(self.machine.agentkeys(arguments));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A script of a shell, as `agentkeys run` with these flags runs it.
    fn script(&self, flags: &[&str], script: &str) -> Command {
        let mut command = self.agentkeys(&["run"]);
        command.args(flags).args(["--", "sh", "-c", script]);
        command
    }

    /// The environment of a program.
    async fn environment(&self, mut command: Command) -> BTreeMap<String, String> {
        let ended = command.output().await.unwrap();
        assert!(ended.status.success(), "{}", complaint(&ended));
        let text = String::from_utf8(ended.stdout).unwrap();
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// What lies beside the socket.
    fn beside_socket(&self) -> Vec<String> {
        let entries = fs::read_dir(self.machine.path().join("run/agentkeys")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A program that runs, and what it has to say.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.unwrap().expect("a line")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Its end, after its stdin.
    async fn end(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("an end in time").unwrap().code()
    }
}

fn complaint(ended: &Output) -> String {
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[tokio::test]
async fn the_exit_code_is_the_programs_own_or_tells_why_it_did_not_run() {
    let bench = Bench::start().await;
    let no_program = bench.machine.credential().display().to_string();
    let code = async |mut command: Command| command.output().await.unwrap().status.code();

    for (script, expected) in [("exit 0", 0), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        assert_eq!(code(bench.script(&["--door", "environment"], script)).await, Some(expected), "{script}");
    }
    assert_eq!(code(bench.agentkeys(&["run", "--", "agentkeys-no-such-program"])).await, Some(127));
    assert_eq!(code(bench.agentkeys(&["run", "--", &no_program])).await, Some(126));
    assert_eq!(code(bench.agentkeys(&["run", "--role", "other", "--", "true"])).await, Some(125));
    assert_eq!(code(bench.agentkeys(&["run", "--door", "window", "--", "true"])).await, Some(125));
    assert_eq!(bench.beside_socket(), Vec::<String>::new());
}

#[tokio::test]
async fn what_signals_us_signals_the_program_once() {
    const SCRIPT: &str = "
        for name in HUP INT QUIT USR1 USR2 WINCH; do trap \"echo $name\" $name; done
        trap 'kill $!; exit 3' TERM
        sleep 600 >/dev/null & echo ready; while :; do wait $!; done";
    let bench = Bench::start().await;
    let mut running = Running::start(bench.script(&["--door", "environment"], SCRIPT));
    assert_eq!(running.line().await, "ready");

    for (signal, name) in [
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
        (Signal::QUIT, "QUIT"),
        (Signal::INT, "INT"),
    ] {
        running.signal(signal);
        assert_eq!(running.line().await, name);
    }
    running.signal(Signal::TERM);

    assert_eq!(running.lines.next_line().await.unwrap(), None);
    assert_eq!(running.end().await, Some(3));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn ctrl_c_at_a_terminal_reaches_the_program_once() {
    const SCRIPT: &str = "trap 'echo interrupted' INT; echo ready; until read line; do :; done; echo \"read $line\"";
    let bench = Bench::start().await;
    let file = bench.machine.path().join("program.sh");
    fs::write(&file, SCRIPT).unwrap();
    let agentkeys = bench.system.used_by(bench.machine.agentkeys(&[]));

    let mut terminal = Terminal::start(&agentkeys, &format!("run --door environment -- sh {}", file.display()));
    terminal.wait_for("ready").await;
    terminal.type_in("\x03").await;
    terminal.answer("interrupted", "on").await;
    let shown = terminal.end().await;

    assert!(shown.contains("read on"), "{shown}");
    assert_eq!(shown.matches("interrupted").count(), 1, "{shown}");
}

#[tokio::test]
async fn a_program_finds_its_door_and_neither_secrets_nor_doors_of_others() {
    let bench = Bench::start().await;
    let with_others = |flags: &[&str]| {
        let mut command = bench.script(flags, "env");
        for name in ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] {
            command.env(name, "other");
        }
        command.env("AGENTKEYS_STORE_KEY", "systemd").env("NOTIFY_SOCKET", "/n").env("LISTEN_FDS", "1");
        command.env("AWS_ACCESS_KEY_ID", "AKIAOTHER").env("EDITOR", "ed").env("LC_ALL", "C");
        command
    };

    let endpoint = bench.environment(with_others(&[])).await;
    let snapshot = bench.environment(with_others(&["--door", "environment"])).await;
    let web_identity = bench.environment(with_others(&["--door", "web-identity"])).await;
    let clean = bench.environment(with_others(&["--clean-env", "--keep", "EDITOR", "--keep", "CREDENTIALS_DIRECTORY"]));
    let clean = clean.await;

    assert!(endpoint["AWS_CONTAINER_CREDENTIALS_FULL_URI"].starts_with("http://127.0.0.1:"));
    assert!(endpoint["AWS_CONTAINER_CREDENTIALS_FULL_URI"].ends_with("/v1/container/default"));
    assert!(snapshot["AWS_ACCESS_KEY_ID"].starts_with("ASIA"));
    assert_eq!(web_identity["AWS_ROLE_ARN"], System::ROLE_ARN);
    for environment in [&endpoint, &snapshot, &web_identity] {
        assert_eq!((&*environment["AWS_REGION"], &*environment["AWS_DEFAULT_REGION"]), ("us-east-1", "us-east-1"));
        assert_eq!(environment["AWS_ENDPOINT_URL"], bench.system.aws_url());
        assert_eq!(environment["EDITOR"], "ed");
        for name in ["AWS_PROFILE", "AGENTKEYS_STORE_KEY", "NOTIFY_SOCKET", "LISTEN_FDS", "CREDENTIALS_DIRECTORY"] {
            assert!(!environment.contains_key(name), "{name}");
        }
        assert!(!environment.values().any(|value| value.contains("other") || value.contains("aks_")));
    }
    assert!(!endpoint.contains_key("AWS_ACCESS_KEY_ID"));
    let own: Vec<&str> = clean.keys().map(String::as_str).filter(|name| !name.starts_with("AWS_")).collect();
    // The shell adds the last three by itself.
    let expected = ["EDITOR", "HOME", "LC_ALL", "PATH", "PWD"];
    assert!(own.iter().all(|name| expected.contains(name) || ["OLDPWD", "SHLVL", "_"].contains(name)), "{own:?}");
    assert!(clean.contains_key("EDITOR") && clean.contains_key("LC_ALL"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_that_is_open_goes_along() {
    let bench = Bench::start().await;
    let run = bench.script(&[], "ls /proc/self/fd; ulimit -c");
    let run = run.as_std();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 7</dev/null 9</dev/null; exec \"$0\" \"$@\""]).arg(run.get_program()).args(run.get_args());
    shell.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());

    let ended = shell.output().await.unwrap();

    // The one after stderr is the folder that is listed. No core is dumped of what has credentials.
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "0\n1\n2\n3\n0\n");
}

#[tokio::test]
async fn the_endpoint_answers_the_program_alone_and_for_as_long_as_it_runs() {
    const SCRIPT: &str =
        "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; echo $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE; read _";
    let bench = Bench::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |url: &str, token: Option<&str>| {
        let mut request = http.get(url);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.send().await
    };

    let mut running = Running::start(bench.script(&[], SCRIPT));
    let (url, file) = (running.line().await, running.line().await);
    let token = fs::read_to_string(&file).unwrap();
    let (mode, folder_mode) = (mode(Path::new(&file)), mode(Path::new(&file).parent().unwrap()));
    let first: Value = ask(&url, Some(&token)).await.unwrap().json().await.unwrap();
    let second: Value = ask(&url, Some(&token)).await.unwrap().json().await.unwrap();
    let mut refused = Vec::new();
    for unverified in [None, Some(&token[1..]), Some("Bearer a")] {
        refused.push(ask(&url, unverified).await.unwrap().status());
    }
    let other_role = ask(&url.replace("default", "admin"), Some(&token)).await.unwrap().status();
    let code = running.end().await;

    assert!(first["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{first}");
    assert!(second["Expiration"].as_str().unwrap().ends_with('Z'), "{second}");
    assert!(!token.ends_with('\n'));
    assert_eq!((mode, folder_mode), (0o600, 0o700));
    assert_eq!(refused, [StatusCode::UNAUTHORIZED; 3]);
    assert_eq!(other_role, StatusCode::NOT_FOUND);
    assert_eq!(code, Some(1), "`read` found the end of its input");
    assert!(ask(&url, Some(&token)).await.is_err());
    assert_eq!(bench.beside_socket(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_with_a_jwt_is_the_programs_for_as_long_as_it_runs() {
    let bench = Bench::start().await;

    let mut running =
        Running::start(bench.script(&["--door", "web-identity"], "echo $AWS_WEB_IDENTITY_TOKEN_FILE; read _"));
    let file = running.line().await;
    let (jwt, mode) = (fs::read_to_string(&file).unwrap(), mode(Path::new(&file)));
    let code = running.end().await;

    assert_eq!(jwt.split('.').count(), 3);
    assert!(jwt.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!((mode, code), (0o600, Some(1)), "`read` found the end of its input");
    assert!(!Path::new(&file).exists());
    assert_eq!(bench.beside_socket(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_ones_own_is_written_once_or_until_ctrl_c() {
    let bench = Bench::start().await;
    let path = bench.machine.path().join("jwt");
    let path = path.to_str().unwrap();

    let mut running = Running::start(bench.agentkeys(&["aws", "web-identity"]));
    let first = running.line().await;
    let beside = bench.beside_socket();
    running.signal(Signal::INT);
    let interrupted = running.end().await;
    let gone = bench.beside_socket();
    let once = bench.agentkeys(&["token", "--audience", "sts.amazonaws.com", "--file", path, "--once"]).output().await;

    assert!(first.starts_with("export AWS_WEB_IDENTITY_TOKEN_FILE='"), "{first}");
    assert_eq!((beside, gone), (vec!["web-identity.jwt".to_owned()], vec![]));
    assert_eq!(interrupted, Some(130));
    assert!(once.unwrap().status.success());
    assert_eq!((fs::read_to_string(path).unwrap().split('.').count(), mode(Path::new(path))), (3, 0o600));
}

#[tokio::test]
async fn a_jwt_is_printed_as_its_reader_expects_it() {
    let bench = Bench::start().await;
    let token = async |audience: &str, format: &str| {
        bench.agentkeys(&["token", "--audience", audience, "--format", format]).output().await.unwrap()
    };

    let jwt = token("sts.amazonaws.com", "jwt").await;
    let json = document(&token("sts.amazonaws.com", "json").await);
    let google = document(&token("sts.amazonaws.com", "google").await);
    let refused = token("other.example.com", "google").await;

    assert!(jwt.stdout.iter().all(u8::is_ascii_graphic));
    assert_eq!((&json["audience"], json["jwt"].as_str().unwrap().split('.').count()), (&"sts.amazonaws.com".into(), 3));
    assert_eq!((&google["version"], &google["success"]), (&1.into(), &true.into()));
    assert!(google["expiration_time"].is_i64() && google["id_token"].is_string());
    let refusal = document(&refused);
    assert_eq!((&refusal["success"], &refusal["code"]), (&false.into(), &"audience_not_allowed".into()));
    assert!(refusal["message"].is_string() && refused.stderr.is_empty());
}

#[tokio::test]
async fn what_a_person_takes_away_from_an_agent_is_not_given_while_its_program_runs() {
    const SCRIPT: &str =
        "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; echo $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE; read _";
    let bench = Bench::start().await;
    document(&bench.agentkeys(&["--json", "agent", "create", "claude"]).output().await.unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();

    let mut running = Running::start(bench.script(&["--agent", "claude"], SCRIPT));
    let (url, file) = (running.line().await, running.line().await);
    let token = fs::read_to_string(&file).unwrap();
    let ask = async || http.get(&url).header("authorization", &token).send().await.unwrap();
    let before = ask().await.status();
    document(&bench.agentkeys(&["--json", "agent", "revoke", "claude"]).output().await.unwrap());
    let after = ask().await.text().await.unwrap();

    running.end().await;
    assert_eq!(before, StatusCode::OK);
    assert!(after.contains("there is no agent `claude` here"), "{after}");
}

#[tokio::test]
async fn an_agent_gets_what_a_person_gave_it_and_nothing_else() {
    const BOOK: &str =
        r#"{"agents": {"claude": {"roles": [], "audiences": [], "created_at": "2026-01-01T00:00:00Z"}}}"#;
    let bench = Bench::start().await;
    let book = bench.machine.path().join("state/agentkeys/agents");
    fs::create_dir_all(&book).unwrap();
    fs::write(book.join("default.json"), BOOK).unwrap();

    for (arguments, exit, code) in [
        (vec!["aws", "export", "--agent", "claude"], 4, "agent_not_allowed"),
        (vec!["token", "--audience", "sts.amazonaws.com", "--agent", "claude"], 4, "agent_not_allowed"),
        (vec!["run", "--agent", "claude", "--", "true"], 125, "agent_not_allowed"),
        (vec!["aws", "credential-process", "--agent", "mallory"], 1, "agent_unknown"),
    ] {
        let ended = bench.agentkeys(&["--json"]).args(&arguments).output().await.unwrap();

        let told: Value = serde_json::from_slice(&ended.stderr).unwrap();
        assert_eq!((ended.status.code(), &told["error"]["code"]), (Some(exit), &code.into()), "{arguments:?}");
        assert!(ended.stdout.is_empty());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
