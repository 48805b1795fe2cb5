//! Bodies, paths, methods and hosts that no client of ours would send.

use agentkeys_testing::{Answer, TestBroker};
use futures_util::stream;

const START: &str = "/v1/auth/email/start";

async fn send(broker: &TestBroker, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = broker.http().post(broker.url(START)).header("content-type", content_type);
    Answer::read(request.body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let broker = TestBroker::start().await;
    let large = format!(r#"{{"email":"{}"}}"#, "a".repeat(70_000));
    let chunks: Vec<Result<String, std::io::Error>> =
        large.as_bytes().chunks(1000).map(|chunk| Ok(String::from_utf8_lossy(chunk).into_owned())).collect();

    let with_length = send(&broker, "application/json", large).await;
    let streamed = send(&broker, "application/json", reqwest::Body::wrap_stream(stream::iter(chunks))).await;

    assert_eq!(with_length.refusal(), (413, "body_too_large"));
    assert_eq!(streamed.refusal(), (413, "body_too_large"));
}

#[tokio::test]
async fn a_body_that_is_left_unread_ends_its_connection_and_says_so() {
    let broker = TestBroker::start().await;

    let large = send(&broker, "text/plain", "a".repeat(64 * 1024)).await;
    let small = send(&broker, "text/plain", "a").await;
    let read = send(&broker, "application/json", "{}").await;

    assert_eq!((large.status, large.headers["connection"].as_bytes()), (415, b"close".as_slice()));
    assert_eq!((small.status, small.headers["connection"].as_bytes()), (415, b"close".as_slice()));
    assert_eq!((read.status, read.headers.get("connection")), (400, None));
}

#[tokio::test]
async fn a_body_that_has_not_even_come_ends_its_connection_too() {
    let broker = TestBroker::start().await;
    let head = format!("POST {START} HTTP/1.1\r\nhost: {}\r\ncontent-length: 5\r\n", broker.running().address());

    for more in ["", "expect: 100-continue\r\n"] {
        let answer = raw(&broker, &format!("{head}{more}\r\n")).await;

        assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn malformed_bodies_have_their_codes_and_send_no_mail() {
    let broker = TestBroker::start().await;
    let good = r#"{"email":"ada@example.com"}"#;
    let wide = format!("{{{}}}", (0..5000).map(|index| format!(r#""k{index}":1"#)).collect::<Vec<_>>().join(","));
    let deep = format!(r#"{{"email":{}"#, "[".repeat(10_000));

    for (content_type, body, refusal) in [
        ("text/plain", good, (415, "unsupported_media_type")),
        ("application/json; charset=latin1", good, (415, "unsupported_media_type")),
        ("application/json", "", (400, "invalid_json")),
        ("application/json", r#"{"email":"ada@example.com""#, (400, "invalid_json")),
        ("application/json", r#"{"email":"ada@example.com"} x"#, (400, "invalid_json")),
        ("application/json", "\u{feff}{\"email\":\"ada@example.com\"}", (400, "invalid_json")),
        ("application/json", r#"{"email":"ada@example.com","email":"b@c.io"}"#, (400, "duplicate_field")),
        ("application/json", r#"{"email":"ada@example.com","admin":true}"#, (400, "unknown_field")),
        ("application/json", r#"{"email":"ada@example.com","client_name":1}"#, (400, "invalid_field")),
        ("application/json", r#"{"email":1e400}"#, (400, "json_too_complex")),
        ("application/json", &wide, (400, "json_too_complex")),
        ("application/json", &deep, (400, "json_too_complex")),
    ] {
        assert_eq!(
            send(&broker, content_type, body.to_owned()).await.refusal(),
            refusal,
            "{}",
            &body[..body.len().min(60)]
        );
    }
    assert_eq!(
        send(&broker, "application/json", b"{\"email\":\"\xff\"}".to_vec()).await.refusal(),
        (400, "invalid_json")
    );
    crate::mail::all_left(&broker).await;
    assert!(broker.mailbox().mails(None).is_empty());

    send(&broker, "application/json; charset=utf-8", good).await.expect(202);
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_rfc_9457_and_names_its_request() {
    let broker = TestBroker::start().await;

    let request = broker.http().get(broker.url("/nowhere")).header("x-request-id", "ada-1");
    let answer = Answer::read(request.send().await.unwrap()).await;

    assert_eq!(answer.refusal(), (404, "not_found"));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["x-request-id"], "ada-1");
    assert_eq!(answer.text("type"), "about:blank");
    assert_eq!(answer.text("title"), "Not Found");
}

#[tokio::test]
async fn odd_spellings_of_a_path_are_not_that_path() {
    let broker = TestBroker::start().await;

    for target in [
        "/v1/./auth/email/start",
        "/v1/%2e%2e/v1/session",
        "//v1/session",
        "/v1/session%00",
        "/v1/session/",
        "/V1/session",
    ] {
        let answer = raw(
            &broker,
            &format!("GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", broker.running().address()),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{target}: {answer}");
        assert!(answer.contains(r#""error":"not_found""#), "{target}: {answer}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let broker = TestBroker::start().await;

    let answer = broker.get("/v1/mint-oidc-jwt").await;

    assert_eq!(answer.refusal(), (405, "method_not_allowed"));
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_misdirected() {
    let broker = TestBroker::start().await;
    let ours = broker.running().address();

    for head in [
        "GET /v1/session HTTP/1.1\r\nhost: evil.example\r\n".to_owned(),
        format!("GET /v1/session HTTP/1.1\r\nhost: {ours}\r\nhost: {ours}\r\n"),
        format!("GET http://evil.example/v1/session HTTP/1.1\r\nhost: {ours}\r\n"),
        "GET /v1/session HTTP/1.1\r\n".to_owned(),
    ] {
        let answer = raw(&broker, &format!("{head}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 421 "), "{head}: {answer}");
        assert!(answer.contains(r#""error":"host_not_allowed""#), "{head}: {answer}");
    }
}

/// What the broker says to exactly these bytes.
async fn raw(broker: &TestBroker, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(broker.running().address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
