//! `agentkeys logout` before a signer that keeps the key of this machine, or pins none.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    sync::Arc,
    thread,
};

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_client::{AskedStorage, Places, ProfileName, Session, SessionStorage, StoreChoice, TerminalPrompt};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{OmniAccount, SessionId, SessionToken};
use serde_json::json;

use crate::bench::{Ended, Home};

/// A server that refuses everything in the same way, and its URL.
fn refusing(error: ErrorCode) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&mut stream).lines().map(Result::unwrap);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let problem = Problem::new(error, "No.");
            let body = serde_json::to_string(&problem).unwrap();
            let head = format!("content-type: application/problem+json\r\ncontent-length: {}", body.len());
            let _ = write!(stream, "HTTP/1.1 {} No\r\n{head}\r\nconnection: close\r\n\r\n{body}", problem.status);
        }
    });
    url
}

/// Somebody who has signed in at a broker where the session is over by now.
struct SignedIn {
    home: Home,
    broker: String,
}

impl SignedIn {
    /// With a session that uses `device_key`, or only keeps `unused_key`.
    async fn with(device_key: Option<&DeviceKey>, unused_key: Option<&DeviceKey>) -> Self {
        let (home, broker) = (Home::new(), refusing(ErrorCode::TokenRevoked));
        fs::create_dir(home.path("credentials")).unwrap();
        fs::write(home.path("credentials/agentkeys-session-key"), [7; 32]).unwrap();
        let places = Places::new(&home.path("home"), None, Some(home.path("state")), None)
            .with_credentials(home.path("credentials"));
        let asked = AskedStorage { choice: Some(StoreChoice::File), key: None };
        let storage = SessionStorage::decide(asked, &places, &ProfileName::default()).unwrap();
        let session = Session {
            token: SessionToken::new("aks_one".to_owned()),
            device_key: device_key.cloned(),
            unused_key: unused_key.cloned().map(Box::new),
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            renew_at: None,
            omni_account: OmniAccount::from_bytes([2; 32]),
            identity: serde_json::from_value(json!({"type": "email", "value": "ada@example.com"})).unwrap(),
            broker_url: broker.parse().unwrap(),
        };
        let store = storage.open(Arc::new(TerminalPrompt { may_ask: false }));
        store.save(&ProfileName::default(), &session).await.unwrap();
        storage.remember().unwrap();
        Self { home, broker }
    }

    fn logout(&self, signer: &str, flags: &[&str]) -> Command {
        let mut command = self.home.command(&["--broker-url", &self.broker, "--signer-url", signer, "logout"]);
        command.args(flags).env("CREDENTIALS_DIRECTORY", self.home.path("credentials"));
        command
    }
}

#[tokio::test]
async fn a_key_that_a_worker_keeps_is_named_with_the_way_to_take_it_away() {
    let key = DeviceKey::generate().unwrap();
    let worker = refusing(ErrorCode::TokenRevoked);

    let told = Ended::of(&mut SignedIn::with(Some(&key), None).await.logout(&worker, &[]));
    let document = Ended::of(&mut SignedIn::with(Some(&key), None).await.logout(&worker, &["--json"])).document();
    let quiet = Ended::of(&mut SignedIn::with(Some(&key), None).await.logout(&worker, &["--local"]));

    let key = key.thumbprint();
    for ended in [&told, &quiet] {
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr());
        assert!(ended.stdout().contains("Signed out"), "{}", ended.stdout());
        assert!(ended.stderr().contains(&format!("`agentkeys devices remove {key}`")), "{}", ended.stderr());
    }
    assert_eq!(document, json!({"signed_out": true, "key_to_remove": key}));
}

#[tokio::test]
async fn a_key_that_a_session_without_one_has_kept_is_named_too() {
    let key = DeviceKey::generate().unwrap();
    let worker = refusing(ErrorCode::DeviceKeyRequired);

    let document = Ended::of(&mut SignedIn::with(None, Some(&key)).await.logout(&worker, &["--json"])).document();

    assert_eq!(document, json!({"signed_out": true, "key_to_remove": key.thumbprint()}));
}

#[tokio::test]
async fn where_no_key_is_pinned_there_is_none_to_take_away() {
    for error in [ErrorCode::NotFound, ErrorCode::DeviceNotPinned, ErrorCode::DeviceUnknown] {
        let key = DeviceKey::generate().unwrap();
        let signer = refusing(error);

        let document = Ended::of(&mut SignedIn::with(Some(&key), None).await.logout(&signer, &["--json"])).document();

        assert_eq!(document, json!({"signed_out": true}), "{error}");
    }
}
