//! maildev from npm: a mail receiver that shares no code with ours.

mod tls;

use std::{path::PathBuf, time::Duration};

use agentkeys_crypto::random;
use agentkeys_testing::{Answer, TestBroker, code_in};
use serde_json::Value;
use url::Url;

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
    assert!(mail["html"].as_str().unwrap().contains(&code), "{mail}");
    let signed_in = broker.verify_code(started.text("request_id"), &code).await.expect(200);

    assert_eq!(signed_in.body["identity"]["value"], address);
}

#[tokio::test]
#[ignore = "needs maildev: cargo xtask test"]
async fn the_mail_loads_nothing_and_goes_to_exactly_the_hashed_address() {
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
    assert!(header(head, "content-type")[0].starts_with("multipart/alternative;"), "{head}");
    assert_eq!(header(head, "auto-submitted"), ["auto-generated"]);
    assert!(header(head, "x-mailer").is_empty() && header(head, "user-agent").is_empty(), "{head}");
    assert_eq!(header(head, "message-id").len(), 1);
    assert!(header(head, "message-id")[0].starts_with('<'), "{head}");
    assert!(header(head, "date")[0].ends_with("+0000"), "{head}");
    assert_eq!(header(head, "mime-version"), ["1.0"]);
    assert_eq!(body.matches("Content-Type: text/plain; charset=utf-8").count(), 1, "{body}");
    assert_eq!(body.matches("Content-Type: text/html; charset=utf-8").count(), 1, "{body}");
    for words in [&mail["text"], &mail["html"]] {
        let words = words.as_str().unwrap();
        assert!(!words.contains("http") && !words.contains("href") && !words.contains("src="), "{words}");
    }
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
pub(crate) struct Maildev {
    smtp: u16,
    pages: String,
    http: reqwest::Client,
    /// Where npm has put it.
    modules: PathBuf,
}

impl Maildev {
    pub(crate) fn at_hand() -> Self {
        let place = parts::at("AGENTKEYS_TEST_MAILDEV");
        let [smtp, web, modules] = place.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
        Self::at(smtp.parse().unwrap(), web.parse().unwrap(), modules.into())
    }

    fn at(smtp: u16, web: u16, modules: PathBuf) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { smtp, pages: format!("http://127.0.0.1:{web}/api/email"), http, modules }
    }

    async fn broker(&self) -> TestBroker {
        TestBroker::start_with(|config| config.mail.smtp = self.smtp_url()).await
    }

    /// Where it takes mail.
    pub(crate) fn smtp_url(&self) -> Url {
        format!("smtp://127.0.0.1:{}", self.smtp).parse().unwrap()
    }

    /// The mail to `address`, which maildev shows a moment after it has taken it.
    pub(crate) async fn mail_to(&self, address: &str) -> Value {
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
pub(crate) fn fresh_address() -> String {
    format!("ada-{}@example.com", hex::encode(random::<8>()))
}

/// The values of a header, unfolded.
fn header(head: &str, name: &str) -> Vec<String> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let is_it = |(found, _): &(&str, &str)| found.eq_ignore_ascii_case(name);
    let lines = unfolded.lines().filter_map(|line| line.split_once(':')).filter(is_it);
    lines.map(|(_, value)| value.trim().to_owned()).collect()
}
