//! The container credentials endpoint, by raw requests over TCP.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use agentkeys_api::{DaemonCredentials, ErrorCode, Problem};
use agentkeys_daemon::{ConsumerToken, Endpoint, EndpointDesk, EndpointError, RunningEndpoint};
use agentkeys_types::RoleName;
use async_trait::async_trait;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

/// Hands the same credentials to whoever has the one token.
struct Desk {
    token: ConsumerToken,
    gate: Semaphore,
}

#[async_trait]
impl EndpointDesk for Desk {
    async fn hand_out(&self, unverified_token: &str, role: RoleName) -> Result<DaemonCredentials, Problem> {
        if !self.token.matches(unverified_token) {
            return Err(Problem::new(ErrorCode::TokenInvalid, "the token is not valid"));
        }
        match role.as_str() {
            "default" => {}
            "away" => return Err(Problem::new(ErrorCode::StsUnavailable, "no STS answered")),
            _ => return Err(Problem::new(ErrorCode::AgentNotAllowed, "this role is not allowed")),
        }
        drop(self.gate.acquire().await.unwrap());
        let credentials = json!({
            "access_key_id": "ASIAEXAMPLE",
            "secret_access_key": "the+secret/key",
            "session_token": "the/session=token",
            "expires_at": "2026-11-22T12:20:22Z",
            "region": "us-east-1",
            "role_arn": "arn:aws:iam::000000000000:role/agentkeys-dev",
            "wallet": format!("0x{}", "07".repeat(20)),
            "account": "09".repeat(32),
        });
        Ok(serde_json::from_value(credentials).unwrap())
    }
}

struct Bench {
    desk: Arc<Desk>,
    endpoint: RunningEndpoint,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn refusal(&self) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["code", "message"]);
        assert!(!body["message"].as_str().unwrap().is_empty());
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Bench {
    async fn new() -> Self {
        let desk = Arc::new(Desk { token: ConsumerToken::generate(), gate: Semaphore::new(1) });
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::open(listen, Arc::clone(&desk) as Arc<dyn EndpointDesk>).await.unwrap();
        Self { desk, endpoint }
    }

    fn port(&self) -> u16 {
        self.endpoint.address().port()
    }

    fn authorization(&self) -> String {
        format!("Authorization: {}", self.desk.token.expose())
    }

    /// Sends a request line and headers, in which PORT is the endpoint's.
    async fn send(&self, line: &str, headers: &[&str]) -> Answer {
        let mut request = format!("{line} HTTP/1.1\r\n");
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        let request = request.replace("PORT", &self.port().to_string()) + "\r\n";
        let mut stream = TcpStream::connect(self.endpoint.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();

        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(!head.contains("access-control"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        Answer { status, head, body: body.to_owned() }
    }

    /// Asks for the default role with the right token and these headers.
    async fn ask(&self, headers: &[&str]) -> Answer {
        let authorization = self.authorization();
        let headers: Vec<&str> = headers.iter().copied().chain([authorization.as_str()]).collect();
        self.send("GET /v1/container/default", &headers).await
    }
}

#[tokio::test]
async fn a_consumer_gets_credentials_in_the_words_of_its_sdk() {
    let bench = Bench::new().await;

    for host in ["Host: 127.0.0.1:PORT", "Host: localhost:PORT"] {
        let answer = bench.ask(&[host, "Sec-Fetch-Site: none"]).await;

        let expected = concat!(
            r#"{"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"the+secret/key","#,
            r#""Token":"the/session=token","Expiration":"2026-11-22T12:20:22Z"}"#
        );
        assert_eq!((answer.status, answer.body.as_str()), (200, expected));
        assert!(answer.head.contains("connection: close"));
    }
}

#[tokio::test]
async fn another_host_is_refused_before_anything_else() {
    let bench = Bench::new().await;
    let hosts: &[&[&str]] = &[
        &["Host: evil.example"],
        &["Host: evil.example:PORT"],
        &["Host: 127.0.0.1"],
        &["Host: 127.0.0.1:1"],
        &["Host: localhost"],
        &["Host: LOCALHOST:PORT"],
        &["Host: localhost.:PORT"],
        &["Host: [::1]:PORT"],
        &["Host: 0.0.0.0:PORT"],
        &["Host: evil@127.0.0.1:PORT"],
        &["Host: 127.0.0.1:PORT, evil.example"],
        &["Host: "],
        &[],
        &["Host: 127.0.0.1:PORT", "Host: 127.0.0.1:PORT"],
        &["Host: evil.example", "Origin: http://evil.example"],
    ];

    for headers in hosts {
        let answer = bench.ask(headers).await;

        assert_eq!(answer.refusal(), (403, "host_not_allowed".to_owned()), "{headers:?}");
    }
    for (line, host) in [
        ("GET http://evil.example/v1/container/default", "Host: 127.0.0.1:PORT"),
        ("GET http://localhost:PORT/v1/container/default", "Host: 127.0.0.1:PORT"),
        ("GET http://127.0.0.1:PORT/v1/container/default", "Host: evil.example"),
        ("GET /healthz", "Host: evil.example"),
        ("OPTIONS /v1/container/default?token=x", "Host: evil.example"),
    ] {
        let answer = bench.send(line, &[host, &bench.authorization()]).await;

        assert_eq!(answer.refusal(), (403, "host_not_allowed".to_owned()), "{line}");
    }
}

#[tokio::test]
async fn an_absolute_form_that_names_the_same_host_is_answered() {
    let bench = Bench::new().await;

    let line = "GET http://127.0.0.1:PORT/v1/container/default";
    let answer = bench.send(line, &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;

    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_page_in_a_browser_is_refused_also_with_a_token() {
    let bench = Bench::new().await;
    let pages: &[&[&str]] = &[
        &["Origin: http://evil.example"],
        &["Origin: http://127.0.0.1:PORT"],
        &["Origin: null"],
        &["Origin:"],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site"],
        &["Sec-Fetch-Site: same-origin"],
        &["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"],
    ];

    for headers in pages {
        let headers: Vec<&str> = ["Host: 127.0.0.1:PORT"].iter().chain(*headers).copied().collect();
        let answer = bench.ask(&headers).await;

        assert_eq!(answer.refusal(), (403, "origin_not_allowed".to_owned()), "{headers:?}");
    }
    let preflight = ["Host: 127.0.0.1:PORT", "Origin: http://evil.example", "Access-Control-Request-Method: GET"];
    let answer = bench.send("OPTIONS /v1/container/default", &preflight).await;
    assert_eq!(answer.refusal(), (403, "origin_not_allowed".to_owned()));
}

#[tokio::test]
async fn only_get_is_taken() {
    let bench = Bench::new().await;

    for method in ["OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        for path in ["/v1/container/default", "/healthz", "/nothing"] {
            let answer =
                bench.send(&format!("{method} {path}"), &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;

            assert_eq!(answer.refusal(), (405, "method_not_allowed".to_owned()), "{method} {path}");
            assert!(answer.head.contains("allow: get\r\n") || answer.head.ends_with("allow: get"), "{}", answer.head);
        }
    }
}

#[tokio::test]
async fn a_consumer_without_the_right_token_gets_nothing() {
    let bench = Bench::new().await;
    let other = format!("Authorization: {}", ConsumerToken::generate().expose());
    let with_scheme = format!("Authorization: Bearer {}", bench.desk.token.expose());
    let right = bench.authorization();
    let cases: &[(&[&str], u16, &str)] = &[
        (&[], 401, "token_missing"),
        (&[&other], 401, "token_invalid"),
        (&[&with_scheme], 401, "token_invalid"),
        (&["Authorization:"], 401, "token_invalid"),
        (&["Authorization: \u{e4}"], 401, "token_invalid"),
        (&[&right, &right], 400, "ambiguous_auth"),
        (&[&right, &other], 400, "ambiguous_auth"),
    ];

    for (headers, status, code) in cases {
        let headers: Vec<&str> = ["Host: 127.0.0.1:PORT"].iter().chain(*headers).copied().collect();
        let answer = bench.send("GET /v1/container/default", &headers).await;

        assert_eq!(answer.refusal(), (*status, (*code).to_owned()));
    }
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_also_beside_one_in_the_header() {
    let bench = Bench::new().await;
    let token = bench.desk.token.expose();

    for target in [
        "/v1/container/default?token=x".to_owned(),
        "/v1/container/default?Authorization=x".to_owned(),
        "/v1/container/default?a=b&access_token=x".to_owned(),
        format!("/v1/container/default?key={token}"),
        format!("/v1/container/default?{token}"),
        format!("/v1/container/{token}"),
    ] {
        let answer = bench.send(&format!("GET {target}"), &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;

        assert_eq!(answer.refusal(), (400, "token_in_url".to_owned()), "{target}");
    }
    let answer = bench.send("GET /v1/container/default?a=b", &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;
    assert_eq!(answer.refusal(), (400, "invalid_field".to_owned()));
}

#[tokio::test]
async fn a_role_that_cannot_be_had_is_refused_in_the_words_that_sdks_show() {
    let bench = Bench::new().await;
    let cases = [
        ("/v1/container/other", 403, "agent_not_allowed"),
        ("/v1/container/Not%20A%20Role", 404, "not_found"),
        ("/v1/container/", 404, "not_found"),
        ("/v1/container/default/", 404, "not_found"),
        ("/v1/container", 404, "not_found"),
        ("/v1/credentials", 404, "not_found"),
        ("/", 404, "not_found"),
    ];

    for (path, status, code) in cases {
        let answer = bench.send(&format!("GET {path}"), &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;

        assert_eq!(answer.refusal(), (status, code.to_owned()), "{path}");
    }
    let away = bench.send("GET /v1/container/away", &["Host: 127.0.0.1:PORT", &bench.authorization()]).await;
    assert_eq!((away.status, away.body.as_str()), (503, r#"{"code":"sts_unavailable","message":"no STS answered"}"#));
    assert!(away.head.contains("retry-after: 1"));
}

#[tokio::test]
async fn whether_it_is_there_may_be_asked_without_a_token() {
    let bench = Bench::new().await;

    let answer = bench.send("GET /healthz", &["Host: 127.0.0.1:PORT"]).await;

    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn it_opens_on_127_0_0_1_and_nowhere_else() {
    let bench = Bench::new().await;

    for listen in ["0.0.0.0:0", "127.0.0.2:0", "[::1]:0", "[::]:0", "[::ffff:127.0.0.1]:0", "192.0.2.1:0"] {
        let desk = Arc::clone(&bench.desk) as Arc<dyn EndpointDesk>;
        let refused = Endpoint::open(listen.parse().unwrap(), desk).await;

        assert!(matches!(refused, Err(EndpointError::NotLoopback(_))), "{listen}");
    }
    let taken = Endpoint::open(bench.endpoint.address(), Arc::clone(&bench.desk) as Arc<dyn EndpointDesk>).await;
    assert!(matches!(taken, Err(EndpointError::Io { .. })));
}

#[tokio::test]
async fn answers_under_way_leave_before_it_stops() {
    let bench = Bench::new().await;
    let desk = Arc::clone(&bench.desk);
    let held = desk.gate.acquire().await.unwrap();
    let address = bench.endpoint.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /v1/container/default HTTP/1.1\r\nHost: {address}\r\nAuthorization: {}\r\n\r\n",
        desk.token.expose()
    );
    stream.write_all(request.as_bytes()).await.unwrap();

    let stopping = tokio::spawn(bench.endpoint.stop());
    // The listener is gone once the stop is under way.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(held);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_ended_after_five_seconds() {
    let bench = Bench::new().await;
    let mut stream = TcpStream::connect(bench.endpoint.address()).await.unwrap();
    let started = tokio::time::Instant::now();

    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await.unwrap();

    assert_eq!(read, 0);
    assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&started.elapsed()));
}

#[tokio::test]
async fn no_more_connections_are_accepted_than_it_can_bear() {
    let bench = Bench::new().await;
    let address = bench.endpoint.address();
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }

    let mut waiting = std::pin::pin!(bench.ask(&["Host: 127.0.0.1:PORT"]));
    let first = tokio::select! {
        answer = &mut waiting => Some(answer.status),
        () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => None,
    };
    drop(silent);

    assert_eq!(first, None);
    assert_eq!(waiting.await.status, 200);
}
