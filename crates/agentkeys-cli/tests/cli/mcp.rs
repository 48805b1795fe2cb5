//! `agentkeys mcp`

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::Home;

#[test]
fn stdout_has_the_protocol_alone_and_the_end_of_stdin_ends_it() {
    let home = Home::new();
    let mut child = serve(&home, Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    for line in greeting().into_iter().chain([call("list_access")]) {
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);

    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();

    let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2, "{said}");
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "agentkeys");
    assert_eq!(answers[1]["result"]["structuredContent"]["error"], "no_daemon");
    let hint = "a person starts one with `agentkeys daemon run`; then call the tool again";
    assert_eq!(answers[1]["result"]["structuredContent"]["hint"], hint);
    assert!(child.wait().unwrap().success());
    assert!(!home.path("state").exists(), "it has no use for a session store");
}

#[test]
fn it_ends_when_it_is_told_to_though_its_client_stays() {
    let home = Home::new();
    // A socket, as some clients give one, on which a read cannot be taken back.
    let (mut client, input) = UnixStream::pair().unwrap();
    let mut child = serve(&home, Stdio::from(OwnedFd::from(input)));
    for line in greeting() {
        writeln!(client, "{line}").unwrap();
    }
    let mut answer = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();

    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();

    assert!(child.wait().unwrap().success());
    assert!(answer.contains("serverInfo"), "{answer}");
    drop(client);
}

fn serve(home: &Home, stdin: Stdio) -> Child {
    let mut command = home.command(&["mcp", "--agent", "claude"]);
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn greeting() -> [Value; 2] {
    [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ]
}

fn call(tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": tool, "arguments": {} } })
}
