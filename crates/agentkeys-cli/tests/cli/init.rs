//! `agentkeys init` before a page of the broker, which nobody opens.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::Home;

/// A broker on whose pages nobody ever approves anything, and its URL. A code of it works for `expires_in` seconds.
fn broker(expires_in: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let own = url.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), &own, expires_in);
        }
    });
    url
}

fn answer(stream: &mut TcpStream, url: &str, expires_in: u64) {
    let mut reader = BufReader::new(&mut *stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();

    let (status, document) = match first.split(' ').nth(1).unwrap() {
        "/healthz" => ("200 OK", json!({"status": "ok"})),
        "/.well-known/oauth-authorization-server" => ("200 OK", metadata(url)),
        "/oauth/device_authorization" => (
            "200 OK",
            json!({
                "device_code": "0d".repeat(32), "user_code": "K7Q4-MF2X", "verification_uri": format!("{url}/device"),
                "expires_in": expires_in, "interval": 0,
            }),
        ),
        _ => ("400 Bad Request", json!({"error": "authorization_pending"})),
    };
    let body = document.to_string();
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\nconnection: close", body.len());
    // A process that was interrupted does not wait for its answer.
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}");
}

fn metadata(url: &str) -> Value {
    json!({
        "issuer": url, "authorization_endpoint": url, "token_endpoint": url, "device_authorization_endpoint": url,
        "revocation_endpoint": url, "response_types_supported": ["code"], "grant_types_supported": [],
        "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true, "dpop_signing_alg_values_supported": ["ES256"],
        "agentkeys_identity_providers": ["email", "acme"],
    })
}

/// A home in which sessions are kept in memory.
fn home() -> Home {
    let home = Home::new();
    let settings = home.path("config/agentkeys/config.toml");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(settings, "[aws]\nrole_arn = \"arn:aws:iam::123456789012:role/agents\"\n").unwrap();
    home
}

fn init(home: &Home, url: &str, flags: &[&str]) -> Command {
    let mut command = home.command(&["--store", "memory", "--broker-url", url, "init"]);
    command.args(flags);
    command
}

/// Presses Ctrl-C as soon as a line on stderr holds `awaited`; gives the exit code, and that line.
fn interrupt_at(awaited: &str, mut command: Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains(awaited)).expect("it says so");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(lines.last().as_deref(), Some("error: it was interrupted"));
    (child.wait().unwrap().code(), line)
}

#[test]
fn a_code_is_shown_before_anybody_has_typed_it_and_ctrl_c_ends_the_waiting() {
    let (home, url) = (home(), broker(600));

    let (code, line) = interrupt_at("Waiting", init(&home, &url, &["--device"]));

    assert_eq!((code, &*line), (Some(130), "  It works for 10 minutes. Waiting for you there…"));
}

#[test]
fn nobody_listens_for_a_browser_any_more_after_ctrl_c() {
    let (home, url) = (home(), broker(600));

    let (code, line) = interrupt_at("/oauth/authorize?", init(&home, &url, &["--no-browser", "--oauth2", "acme"]));

    let port = line.split("127.0.0.1%3A").nth(1).unwrap().split('%').next().unwrap();
    assert_eq!(code, Some(130));
    assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
}

#[test]
fn a_person_who_does_not_come_is_told_apart_from_a_refusal() {
    let (home, url) = (home(), broker(1));

    let output = init(&home, &url, &["--device", "--json"]).output().unwrap();

    let stderr = String::from_utf8(output.stderr).unwrap();
    let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!((output.status.code(), &error["error"]["code"]), (Some(7), &json!("not_approved")));
    assert!(stderr.contains("K7Q4-MF2X"), "{stderr}");
}

#[test]
fn where_nothing_may_be_asked_no_page_is_shown() {
    let (home, url) = (home(), broker(600));

    let output = init(&home, &url, &["--device", "--no-input"]).output().unwrap();

    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8(output.stderr).unwrap().contains("K7Q4-MF2X"));
}

#[test]
fn a_provider_that_the_broker_does_not_have_is_a_wrong_call() {
    let (home, url) = (home(), broker(600));

    let output = init(&home, &url, &["--device", "--oauth2", "google"]).output().unwrap();

    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("no identity provider `google`, only: email, acme"), "{stderr}");
}
