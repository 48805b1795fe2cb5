//! maildev from npm: a mail receiver that shares no code with ours.

use std::time::Duration;

use agentkeys_crypto::random;
use agentkeys_testing::{Answer, TestBroker, code_in};
use serde_json::Value;

use crate::parts;

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn a_code_comes_by_real_mail_and_signs_in() {
    let maildev = Maildev::at_hand();
    let broker = maildev.broker().await;
    let address = fresh_address();

    let started = broker.start_sign_in(&address).await.expect(202);
    let mail = maildev.mail_to(&address).await;
    let code = code_in(mail["text"].as_str().unwrap());
    let signed_in = broker.verify_code(started.text("request_id"), &code).await.expect(200);

    assert_eq!(signed_in.body["identity"]["value"], address);
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn the_mail_is_plain_and_goes_to_exactly_the_hashed_address() {
    let maildev = Maildev::at_hand();
    let broker = maildev.broker().await;
    let address = fresh_address();
    let written = format!("  {}  ", address.to_uppercase());

    let answer = broker.post("/v1/auth/email/start", &serde_json::json!({"email": written})).await;
    answer.expect(202);
    let mail = maildev.mail_to(&address).await;
    let source = maildev.source(&mail).await;

    assert_eq!(mail["envelope"]["to"].as_array().unwrap().len(), 1, "{mail}");
    assert_eq!(mail["envelope"]["to"][0]["address"], address);
    assert_eq!(mail["from"][0]["address"], "agentkeys@localhost");
    assert_eq!(mail["from"][0]["name"], "AgentKeys");
    assert_eq!(mail["subject"], "Your AgentKeys sign-in code");
    let (head, body) = source.split_once("\r\n\r\n").unwrap();
    assert_eq!(header(head, "to"), [address]);
    assert_eq!(header(head, "content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(header(head, "message-id").len(), 1);
    assert!(header(head, "message-id")[0].starts_with('<'), "{head}");
    assert!(header(head, "date")[0].ends_with("+0000"), "{head}");
    assert_eq!(header(head, "mime-version"), ["1.0"]);
    assert!(!body.contains("http"), "a mail has no link in it: {body}");
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn a_domain_of_other_letters_is_mailed_as_its_ascii_form() {
    let maildev = Maildev::at_hand();
    let broker = maildev.broker().await;
    let local = fresh_address().split_once('@').unwrap().0.to_owned();

    broker.start_sign_in(&format!("{local}@BÜCHER.example")).await.expect(202);
    // maildev shows a domain in its own letters, whatever came over the wire.
    let mail = maildev.mail_to(&format!("{local}@bücher.example")).await;
    let source = maildev.source(&mail).await;

    assert!(source.contains(&format!("\r\nTo: {local}@xn--bcher-kva.example\r\n")), "{source}");
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn a_broker_with_mail_is_ready() {
    let broker = Maildev::at_hand().broker().await;

    broker.get("/readyz").await.expect(200);
}

/// The mail receiver and its pages.
struct Maildev {
    smtp: String,
    pages: String,
    http: reqwest::Client,
}

impl Maildev {
    fn at_hand() -> Self {
        let ports = parts::at("AGENTKEYS_TEST_MAILDEV");
        let (smtp, web) = ports.split_once(':').unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { smtp: format!("smtp://127.0.0.1:{smtp}"), pages: format!("http://127.0.0.1:{web}/api/email"), http }
    }

    async fn broker(&self) -> TestBroker {
        TestBroker::start_with(|config| config.mail.smtp = self.smtp.parse().unwrap()).await
    }

    /// The mail to `address`, which maildev shows a moment after it has taken it.
    async fn mail_to(&self, address: &str) -> Value {
        let search = async {
            loop {
                let mails = Answer::read(self.http.get(&self.pages).send().await.unwrap()).await.expect(200);
                let is_to = |mail: &&Value| mail["envelope"]["to"][0]["address"] == address;
                if let Some(mail) = mails.body.as_array().unwrap().iter().find(is_to) {
                    return mail.clone();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), search).await.expect("the mail arrives")
    }

    /// The mail as it came over the wire.
    async fn source(&self, mail: &Value) -> String {
        let url = format!("{}/{}/source", self.pages, mail["id"].as_str().unwrap());
        self.http.get(url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }
}

/// An address that no other test has.
fn fresh_address() -> String {
    format!("ada-{}@example.com", hex::encode(random::<8>()))
}

/// The values of a header, unfolded.
fn header(head: &str, name: &str) -> Vec<String> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let is_it = |(found, _): &(&str, &str)| found.eq_ignore_ascii_case(name);
    let lines = unfolded.lines().filter_map(|line| line.split_once(':')).filter(is_it);
    lines.map(|(_, value)| value.trim().to_owned()).collect()
}
