//! `agentkeys doctor`, beside a broker that is there or not.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::bench::{Ended, Home};

fn check<'d>(document: &'d Value, name: &str) -> &'d Value {
    document["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout()).unwrap_or_else(|_| panic!("{}{}", ended.stdout(), ended.stderr()))
}

#[test]
fn without_a_broker_everything_else_is_looked_at_all_the_same() {
    let home = Home::new();

    let ended = home.agentkeys(&["doctor", "--json", "--broker-url", "http://127.0.0.1:1"]);

    let document = document(&ended);
    assert_eq!((ended.code(), &document["ok"]), (Some(6), &Value::Bool(false)));
    for (name, status) in [
        ("clock", "skipped"),
        ("broker", "failure"),
        ("ready", "skipped"),
        ("discovery", "skipped"),
        ("keys", "skipped"),
        ("store", "failure"),
        ("session", "skipped"),
        ("role", "failure"),
        ("daemon", "warning"),
    ] {
        assert_eq!(check(&document, name)["status"], status, "{document}");
    }
    let failures = document["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "failure");
    assert!(failures.into_iter().all(|check| check["hint"].is_string()), "{document}");
}

#[test]
fn under_dev_nothing_fails() {
    let home = Home::new();
    let running = home.start_dev();
    let url_of = |part: &str| {
        let line = running.screen.iter().find(|line| line.trim_start().starts_with(part)).unwrap();
        line.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned()
    };
    let (broker, signer) = (url_of("broker"), url_of("signer"));

    let ended =
        home.agentkeys(&["--profile", "dev", "doctor", "--json", "--broker-url", &broker, "--signer-url", &signer]);

    let document = document(&ended);
    for name in ["clock", "broker", "ready", "discovery", "keys", "daemon"] {
        assert_eq!(check(&document, name)["status"], "ok", "{document}");
    }
    assert_eq!(check(&document, "signer")["status"], "warning");
    running.interrupt();
}

#[test]
fn a_token_in_an_environment_file_is_told_without_the_token() {
    let home = Home::new();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = format!(r#"{{"alg":"ES256","kid":"{}","typ":"agentkeys-session+jws"}}"#, "k".repeat(43));
    let claims = format!(r#"{{"sid":"{}","exp":99999999999,"sub":"{}"}}"#, "08".repeat(16), "07".repeat(32));
    let token = format!("aks_{}.{}.{}", part(&header), part(&claims), "Signature_".repeat(9).split_at(86).0);
    fs::create_dir_all(home.path("home")).unwrap();
    fs::write(home.path("home/.env"), format!("TOKEN={token}\n")).unwrap();

    let ended = home.agentkeys(&["doctor", "--broker-url", "http://127.0.0.1:1"]);

    let printed = ended.stdout() + &ended.stderr();
    assert!(printed.contains("~/.env:1"), "{printed}");
    assert!(printed.contains(&format!("sessions revoke {}", "08".repeat(16))), "{printed}");
    assert!(token.as_bytes().windows(16).all(|piece| !printed.contains(str::from_utf8(piece).unwrap())));
}
