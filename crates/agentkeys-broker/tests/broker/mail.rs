//! From the queue to the mail server, and what people read.

use std::{fs, time::Duration};

use agentkeys_store::{MailStore, MailsWaiting, SqliteStore};
use agentkeys_testing::{TestBroker, code_in, find_code};
use agentkeys_types::Clock;
use serde_json::json;

use crate::{
    email::futures,
    restore::{back_up, restore},
    smtp_server::SmtpServer,
};

const MINUTE: Duration = Duration::from_mins(1);
/// After so long the first attempt is repeated.
const SOON: Duration = Duration::from_secs(6);

/// Waits until the queue looks as it should.
async fn queue(broker: &TestBroker, is_it: impl Fn(MailsWaiting) -> bool) {
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    let search = async {
        while !is_it(store.mails_waiting(broker.clock().now()).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect("the queue comes to that");
}

/// Waits until every mail has left.
pub(crate) async fn all_left(broker: &TestBroker) {
    queue(broker, |waiting| waiting.count == 0).await;
}

/// Waits until a mail has been tried in vain.
async fn one_is_delayed(broker: &TestBroker) {
    queue(broker, |waiting| waiting.delayed_since.is_some() && waiting.next_attempt_at > waiting.delayed_since).await;
}

#[tokio::test]
async fn a_code_asked_for_while_the_mail_server_is_down_comes_when_it_is_back() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    let mail = broker.next_code_mail("ada@example.com");

    let started = broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;
    broker.resume_mail().await;
    broker.clock().advance(SOON);

    let code = code_in(&mail.await.text);
    broker.verify_code(started.text("request_id"), &code).await.expect(200);
    all_left(&broker).await;
    assert_eq!(broker.mailbox().mails(None).len(), 1);
}

#[tokio::test]
async fn a_mail_that_waits_leaves_from_a_broker_that_was_restarted() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    let mail = broker.next_code_mail("ada@example.com");
    let started = broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;

    let mut broker = broker.restart().await;
    broker.resume_mail().await;
    broker.clock().advance(SOON);

    let code = code_in(&mail.await.text);
    broker.verify_code(started.text("request_id"), &code).await.expect(200);
}

#[tokio::test]
async fn a_code_that_is_over_is_no_longer_sent() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;

    broker.clock().advance(10 * MINUTE);
    broker.resume_mail().await;
    broker.sign_in("grace").await;

    all_left(&broker).await;
    assert!(broker.mailbox().mails(Some(&"ada@example.com".parse().unwrap())).is_empty());
}

#[tokio::test]
async fn a_mail_that_can_neither_leave_nor_be_queued_leaves_nothing_pending() {
    let mut broker = TestBroker::start_with(|config| config.mail.queue = 1).await;
    broker.stop_mail().await;
    broker.start_sign_in("ada@example.com").await.expect(202);

    let answer = broker.start_sign_in("grace@example.org").await;

    assert_eq!(answer.refusal(), (503, "mail_unavailable"));
    assert!(answer.headers.contains_key("retry-after"));
    let store = rusqlite::Connection::open(broker.state().join("agentkeys.db")).unwrap();
    let pending: String =
        store.query_row("SELECT group_concat(email) FROM email_sign_ins", [], |row| row.get(0)).unwrap();
    assert_eq!(pending, "ada@example.com");
}

#[tokio::test]
async fn where_the_queue_is_full_a_mail_may_still_leave_at_once() {
    let server = SmtpServer::start(|to| if to.starts_with("ada") { "451 4.7.1 later" } else { "250 fine" }).await;
    let url = server.url();
    let broker = TestBroker::start_with(|config| (config.mail.smtp, config.mail.queue) = (url, 1)).await;
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;

    broker.start_sign_in("grace@example.org").await.expect(202);

    assert_eq!(server.taken(), ["grace@example.org"]);
}

#[tokio::test]
async fn a_recipient_that_is_refused_for_good_is_given_up_and_holds_up_nobody() {
    let server = SmtpServer::start(|to| if to.starts_with("mallory") { "550 5.1.1 nobody" } else { "250 fine" }).await;
    let url = server.url();
    let broker = TestBroker::start_with(|config| config.mail.smtp = url).await;

    for email in ["mallory@example.net", "ada@example.com"] {
        broker.start_sign_in(email).await.expect(202);
    }

    server.takes("ada@example.com").await;
    all_left(&broker).await;
    assert_eq!(server.taken(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_recipient_that_is_never_there_does_not_make_a_broker_unready() {
    let server = SmtpServer::start(|to| if to.starts_with("mallory") { "451 4.7.1 later" } else { "250 fine" }).await;
    let url = server.url();
    let broker = TestBroker::start_with(|config| config.mail.smtp = url).await;
    broker.start_sign_in("mallory@example.net").await.expect(202);
    one_is_delayed(&broker).await;

    broker.clock().advance(3 * MINUTE);

    broker.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_broker_whose_mail_server_lets_mail_wait_for_long_is_not_ready() {
    let server = SmtpServer::start(|_| "421 4.3.2 closing").await;
    let url = server.url();
    let broker = TestBroker::start_with(|config| config.mail.smtp = url).await;
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;
    broker.get("/readyz").await.expect(200);

    broker.clock().advance(2 * MINUTE + SOON);

    let answer = broker.get("/readyz").await.expect(503);
    assert_eq!(answer.body["reasons"], json!(["mail cannot leave"]));
}

#[tokio::test]
async fn several_brokers_on_one_store_send_each_mail_once() {
    let broker = TestBroker::start_with(|config| config.limits.mails_per_source_and_hour = 1000).await;
    let sibling = broker.start_sibling().await;

    let starts = (0..40).map(|number| {
        let broker = if number % 2 == 0 { &broker } else { &sibling };
        async move { broker.start_sign_in(&format!("ada{number}@example.com")).await.expect(202) }
    });
    futures(starts).await;

    all_left(&broker).await;
    let mut recipients: Vec<_> = broker.mailbox().mails(None).iter().map(|mail| mail.to[0].to_string()).collect();
    assert_eq!(recipients.len(), 40);
    recipients.sort();
    recipients.dedup();
    assert_eq!(recipients.len(), 40);
}

#[tokio::test]
async fn the_store_holds_no_code_in_plain_text() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    let mail = broker.next_code_mail("ada@example.com");
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;

    let read = |name: &str| fs::read(broker.state().join(name)).unwrap();
    let bytes = [read("agentkeys.db"), read("agentkeys.db-wal")].concat();
    broker.resume_mail().await;
    broker.clock().advance(SOON);
    let code = code_in(&mail.await.text);

    let holds = |text: &str| bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    assert!(holds("ada@example.com"), "the search finds what is there");
    assert!(!holds(&code) && !holds(&code.replace('-', "")));
}

#[tokio::test]
async fn a_code_goes_to_nobody_but_whom_it_was_made_for() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;

    let store = rusqlite::Connection::open(broker.state().join("agentkeys.db")).unwrap();
    assert_eq!(store.execute("UPDATE mails SET recipient = 'mallory@example.net'", []).unwrap(), 1);
    broker.resume_mail().await;
    broker.clock().advance(SOON);

    all_left(&broker).await;
    assert!(broker.mailbox().mails(None).is_empty());
}

#[tokio::test]
async fn a_mail_that_is_being_sent_has_left_when_the_broker_stops() {
    let server = SmtpServer::start(|_| "250 fine").await;
    let url = server.url();
    let broker = TestBroker::start_with(|config| config.mail.smtp = url).await;
    server.hold();
    broker.start_sign_in("ada@example.com").await.expect(202);
    server.holds_one().await;

    let address = broker.running().address();
    let restart = tokio::spawn(broker.restart());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.release();
    let broker = restart.await.unwrap();

    all_left(&broker).await;
    assert_eq!(server.taken(), ["ada@example.com"]);
}

#[tokio::test]
async fn an_older_copy_of_the_store_sends_no_mail_again() {
    let mut broker = TestBroker::start().await;
    broker.stop_mail().await;
    broker.start_sign_in("ada@example.com").await.expect(202);
    one_is_delayed(&broker).await;
    let mut broker = broker.restart_with_files(back_up).await;
    broker.resume_mail().await;
    broker.clock().advance(SOON);
    broker.sign_in("grace").await;
    all_left(&broker).await;
    let sent = broker.mailbox().mails(None).len();

    let broker = broker.restart_with_files(restore).await;
    broker.clock().advance(MINUTE);
    broker.sign_in("alan").await;

    all_left(&broker).await;
    assert_eq!(broker.mailbox().mails(None).len(), sent + 1);
}

#[tokio::test]
async fn a_sign_in_to_an_account_that_was_there_is_told_to_its_owner() {
    let broker = TestBroker::start().await;
    let ada = "ada@example.com".parse().unwrap();
    broker.sign_in("ada").await;
    all_left(&broker).await;
    assert_eq!(broker.mailbox().mails(Some(&ada)).len(), 1, "there was nobody to be told of the first sign-in");

    let notice = broker.mailbox().next_of(&ada, |mail| find_code(&mail.text).is_none());
    broker.sign_in("ada").await;

    let notice = notice.await;
    assert_eq!(notice.subject, "A new sign-in to your AgentKeys account");
    for words in [&notice.text, notice.html.as_ref().unwrap()] {
        assert!(words.contains("“test bench” signed in to your AgentKeys account as ada@example.com."), "{words}");
        assert!(words.contains("127.0.0.1") && words.contains("2026-12-22 10:00:00 UTC"), "{words}");
        assert!(!words.contains("http") && !words.contains("href"), "{words}");
    }
}

#[tokio::test]
async fn a_mail_says_the_same_in_plain_text_and_in_html() {
    let broker = TestBroker::start().await;
    let mail = broker.next_code_mail("ada@example.com");

    broker.start_sign_in("ada@example.com").await.expect(202);

    let mail = mail.await;
    let (code, html) = (code_in(&mail.text), mail.html.as_ref().unwrap());
    for words in [&mail.text, html] {
        for said in [&code, "“test bench” asks to sign in", "ada@example.com", "127.0.0.1", "10 minutes"] {
            assert!(words.contains(said), "{said}: {words}");
        }
    }
    for loaded in ["http", "href", "src=", "url(", "@import", "<img", "<link", "<script", "<a "] {
        assert!(!html.contains(loaded), "{loaded}: {html}");
    }
    assert!(html.contains(r#"content="light dark""#) && html.contains("width=device-width"));
    assert!(!mail.subject.contains(&code));
    let head = mail.head.replace("\r\n ", " ").replace("\r\n\t", " ");
    assert!(head.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: multipart/alternative"), "{head}");
    assert_eq!(head.matches("Message-ID: <").count(), 1, "{head}");
    assert!(!head.to_lowercase().contains("mailer") && !head.to_lowercase().contains("user-agent"), "{head}");
}

#[tokio::test]
async fn the_name_of_a_machine_is_nothing_but_a_name() {
    let broker = TestBroker::start().await;
    let mail = broker.next_code_mail("ada@example.com");
    let name = "</p><a href='http://evil.example/x'>K7Q4-MF2X</a>\u{202e}\u{2028}Bcc: m@evil.example & \"co\" ";
    let name = name.to_owned() + &"x".repeat(150);

    let body = json!({"email": "ada@example.com", "client_name": name});
    broker.post("/v1/auth/email/start", &body).await.expect(202);

    let mail = mail.await;
    let html = mail.html.as_ref().unwrap();
    assert!(html.contains("“&#60; p&#62;&#60;a href") && !html.contains("<a "), "{html}");
    for words in [&mail.text, html] {
        for trick in ["http:", "//", "evil.example", "@evil", "\u{202e}", "\u{2028}", "xxxxx"] {
            assert!(!words.contains(trick), "{trick:?}: {words}");
        }
    }
    assert_ne!(code_in(&mail.text), "K7Q4-MF2X");
    assert!(!mail.head.contains("Bcc:") && !mail.head.contains("evil.example"), "{}", mail.head);
    assert_eq!(mail.to.len(), 1);
}

#[tokio::test]
async fn metrics_say_how_many_mails_left_and_wait() {
    let broker = TestBroker::start().await;
    broker.sign_in("ada").await;
    all_left(&broker).await;

    let metrics = reqwest::get(format!("http://{}/metrics", broker.running().metrics_address())).await.unwrap();
    let metrics = metrics.text().await.unwrap();

    assert!(metrics.contains("agentkeys_mails_total{outcome=\"left\"} 1"), "{metrics}");
    assert!(metrics.contains("agentkeys_mails_waiting "), "{metrics}");
}
