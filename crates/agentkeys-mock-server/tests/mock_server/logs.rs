//! What the log says, at its most talkative.

use std::{
    io,
    sync::{Arc, Mutex},
};

use agentkeys_mock_server::{Mailbox, SmtpListener};
use agentkeys_types::SystemClock;
use reqwest::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing_subscriber::filter::LevelFilter;

use crate::bench::{ADA, Bench, MALLORY};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).init();
    let bench = Bench::start().await;

    let token = bench.token(ADA);
    assert_eq!(bench.assume_role(token.expose(), &[]).await.status, StatusCode::OK);
    let refused = bench.assume_role(token.expose(), &[("RoleSessionName", "a")]).await;
    let keys = bench.sign_in(ADA).await;
    for wallet in [ADA, MALLORY] {
        let url = format!("{}/agentkeys-dev/bots/{wallet}/hello.txt", bench.url);
        keys.send(&bench.http, "s3", Method::PUT, &url, &[], b"hello").await;
        bench.http.get(keys.presign(&Method::GET, &url, 60)).send().await.unwrap();
    }
    let mailbox = Mailbox::new(Arc::new(SystemClock));
    let smtp = SmtpListener::start(mailbox.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut client = tokio::net::TcpStream::connect(smtp.address()).await.unwrap();
    let mail = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\nSubject: K7Q4-MF2X\r\n\r\nK7Q4-MF2X\r\n.\r\nQUIT\r\n";
    client.write_all(mail).await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("role assumed") && log.contains("STS refused") && log.contains("mail received"), "{log}");
    let session_token = keys.session_token.unwrap();
    let token_in_url = session_token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let parts: Vec<&str> = token.expose().split('.').collect();
    for secret in [parts[1], parts[2], &keys.secret_access_key, &session_token, &token_in_url, "K7Q4"] {
        assert!(!log.contains(secret));
        assert!(!refused.xml.contains(secret));
    }
}
