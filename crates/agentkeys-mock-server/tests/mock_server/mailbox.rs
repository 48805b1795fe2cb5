//! The mailbox, through a real SMTP client and a real HTTP client.

use std::sync::Arc;

use agentkeys_http::{Running, Server};
use agentkeys_mock_server::{Mailbox, SmtpListener};
use agentkeys_types::{EmailAddress, SystemClock};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::{Client, StatusCode, header};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

struct Post {
    mailbox: Mailbox,
    smtp: SmtpListener,
    pages: Running,
    http: Client,
}

impl Post {
    async fn start() -> Self {
        let mailbox = Mailbox::new(Arc::new(SystemClock));
        let smtp = SmtpListener::start(mailbox.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = Server::bind("mailbox", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let pages = server.serve(mailbox.router());
        Self { mailbox, smtp, pages, http: Client::builder().no_proxy().build().unwrap() }
    }

    async fn send(&self, to: &str, subject: &str, text: &str) {
        let message = Message::builder()
            .from("AgentKeys <broker@example.com>".parse().unwrap())
            .to(to.parse().unwrap())
            .subject(subject)
            .body(text.to_owned())
            .unwrap();
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(self.smtp.address().port())
            .build();
        transport.send(message).await.unwrap();
    }

    async fn get(&self, path: &str, accept: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.pages.address());
        self.http.get(url).header(header::ACCEPT, accept).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let bytes = self.get(path, "application/json").await.bytes().await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

#[tokio::test]
async fn a_mail_from_a_real_client_arrives_whole() {
    let post = Post::start().await;
    let ada: EmailAddress = "ada@example.com".parse().unwrap();
    let text = "Your code: K7Q4-MF2X\n.a line with a dot\n..and another\nü and a very long line: ".to_owned();
    let text = text + &"word ".repeat(300);

    let next = post.mailbox.next_to(&ada);
    post.send("Ada <ada@example.com>", "Dein Code für heute ✓", &text).await;
    let mail = next.await;

    assert_eq!(mail.subject, "Dein Code für heute ✓");
    assert_eq!(mail.text.replace("\r\n", "\n").trim_end(), text.trim_end());
    assert_eq!(mail.from, Some("broker@example.com".parse().unwrap()));
    assert_eq!(mail.to, [ada]);
}

#[tokio::test]
async fn programs_read_mails_as_json_newest_first() {
    let post = Post::start().await;
    post.send("ada@example.com", "one", "1").await;
    post.send("grace@example.org", "two", "2").await;
    post.send("ada@example.com", "three", "3").await;

    let all = post.json("/mail").await;
    let hers = post.json("/mail?to=Ada%40EXAMPLE.com").await;
    let one = post.json("/mail/1").await;

    let subjects = |mails: &Value| {
        mails.as_array().unwrap().iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(subjects(&all), ["three", "two", "one"]);
    assert_eq!(subjects(&hers), ["three", "one"]);
    assert_eq!(one["to"][0], "ada@example.com");
    assert!(one["received_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(post.get("/mail/99", "application/json").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(post.get("/mail/x", "application/json").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(post.get("/mail?to=nobody", "application/json").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_pages_show_mails_without_running_them() {
    let post = Post::start().await;
    post.send("ada@example.com", "<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>").await;

    for path in ["/mail", "/mail/1"] {
        let page = post.get(path, "text/html").await;
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let html = page.text().await.unwrap();

        assert!(policy.starts_with("default-src 'none'"));
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }
    assert_eq!(post.get("/mail/style.css", "*/*").await.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
}

#[tokio::test]
async fn the_mailbox_can_be_emptied() {
    let post = Post::start().await;
    post.send("ada@example.com", "one", "1").await;

    let url = format!("http://{}/mail", post.pages.address());
    let answer = post.http.delete(url).send().await.unwrap();

    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(post.json("/mail").await, serde_json::json!([]));
}

#[tokio::test]
async fn an_open_connection_is_told_when_the_listener_stops() {
    let post = Post::start().await;
    let mut stream = BufReader::new(tokio::net::TcpStream::connect(post.smtp.address()).await.unwrap());
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    stream.write_all(b"NOOP\r\n").await.unwrap();
    stream.read_line(&mut line).await.unwrap();

    post.smtp.stop().await;
    stream.read_line(&mut line).await.unwrap();

    let codes: Vec<&str> = line.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "250", "421"]);
}
