//! Programs that open whatever a mail could lead to, run what is there, and press all that can be pressed.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use agentkeys_broker::Limits;
use agentkeys_mock_server::Mail;
use agentkeys_testing::{code_in, find_code};
use serde_json::{Value, json};
use url::Url;

use super::{
    Browser,
    bench::{Bench, Link, Machine, Terminal},
};
use crate::parts;

const ADA: &str = "ada@example.com";
/// Further than any of our pages is from any other.
const MOST_PRESSES: usize = 6;

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn no_scanner_signs_anybody_in_however_much_it_presses() {
    let visits: usize = parts::look_up("AGENTKEYS_TEST_VISITS").map_or(60, |count| count.parse().unwrap());
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start_with(&["acme"], open_to_many).await);
    let person = bench.broker.sign_in("grace").await;
    let before = bench.sessions_opened().await;
    let (request_id, code) = bench.broker.mailed_code(ADA).await;
    let victims = Victims {
        terminal: Terminal::start(&bench.broker).await,
        machine: Machine::start(&bench.broker).await,
        link: Link::start(&person).await,
    };
    let started = Instant::now();

    let mut presses = 0;
    let urls = victims.urls(&bench);
    for visit in 0..visits {
        let filled = json!({"email": ADA, "code": code, "user_code": victims.machine.user_code});
        let values = if visit % 3 == 0 { json!({}) } else { filled };
        let scanner = Scanner { browser: &browser, bench: &bench, is_person: false };
        presses += scanner.visit(&urls[visit % urls.len()], visit / urls.len(), values).await;
    }

    assert!(presses > visits, "it pressed {presses} buttons only");
    let opened = bench.sessions_opened().await - before;
    let seconds = started.elapsed().as_secs();
    writeln!(io::stderr(), "scanner: {visits} visits, {presses} presses, {seconds} s: {opened} sessions").unwrap();
    assert_eq!(opened, 0);
    assert_eq!(victims.machine.ask().await.refusal(), (400, "authorization_pending"));
    victims.link.ask().await.expect(202);
    assert!(victims.terminal.is_waiting());
    // The code that a person was sent still waits for them, and whoever opens a session is seen.
    bench.broker.verify_code(&request_id, &code).await.expect(200);
    assert_eq!(bench.sessions_opened().await, before + 1);
    for mail in bench.broker.mailbox().mails(None) {
        assert!(has_no_link(&mail), "{mail:?}");
    }
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn the_same_presses_by_whoever_reads_the_mail_are_seen_to_sign_in() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start_with(&["acme"], open_to_many).await);
    let machine = Machine::start(&bench.broker).await;
    let scanner = Scanner { browser: &browser, bench: &bench, is_person: true };

    let values = json!({"email": ADA, "user_code": machine.user_code});
    scanner.visit(&bench.broker.url("/device"), 0, values).await;

    machine.ask().await.expect(200);
    assert_eq!(bench.sessions_opened().await, 1);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn no_mail_has_anything_to_open() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let ada = bench.broker.sign_in("ada").await;
    let link = Link::start(&ada).await;

    browser.open(&link.url).await;
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1002").await;
    let notice = bench.broker.mailbox().next_to(&ADA.parse().unwrap());
    browser.press("Link to this account").await;
    link.ask().await.expect(201);
    notice.await;

    let mails = bench.broker.mailbox().mails(None);
    assert!(mails.iter().any(|mail| find_code(&mail.text).is_some()));
    assert!(mails.iter().any(|mail| find_code(&mail.text).is_none()));
    for mail in mails {
        assert!(has_no_link(&mail), "{mail:?}");
    }
}

/// Who waits for a person while the scanner runs.
struct Victims<'p> {
    terminal: Terminal,
    machine: Machine,
    link: Link<'p>,
}

impl Victims<'_> {
    /// Whatever somebody could have sent, in the hope that it is opened.
    fn urls(&self, bench: &Bench) -> Vec<String> {
        let (code, state) = (&self.machine.user_code, "0".repeat(64));
        let below = [
            "/device".to_owned(),
            format!("/device?user_code={code}"),
            format!("/device?code={code}&user_code={code}#{code}"),
            "/oauth/done".to_owned(),
            format!("/oauth/callback/acme?code=a&state={state}"),
            format!("/oauth/confirm?decision=approve&request={state}"),
            format!("/oauth/sign-in/email?errand=device&user_code={code}&email={ADA}"),
            "/".to_owned(),
        ];
        let below = below.iter().map(|path| bench.broker.url(path));
        [self.terminal.url.clone(), self.link.url.clone()].into_iter().chain(below).collect()
    }
}

/// A browser that nobody sits at.
struct Scanner<'b> {
    browser: &'b Browser,
    bench: &'b Bench,
    /// Or somebody who has the mailbox, and presses what stands out.
    is_person: bool,
}

impl Scanner<'_> {
    /// Opens a page and presses on from there, a button of each page, by a choice that is another one for each `round`;
    /// returns how many it pressed.
    ///
    /// Elsewhere than at the broker it stops: a program has no account at a provider.
    async fn visit(&self, url: &str, round: usize, mut values: Value) -> usize {
        self.browser.open(url).await;
        let mut choices = round;
        for press in 0..MOST_PRESSES {
            if !self.browser.url().await.starts_with(&self.bench.broker.url("/")) {
                return press;
            }
            let choice = if self.is_person { self.main_button().await } else { choices % 3 };
            choices /= 3;
            let mail = self.bench.broker.next_code_mail(ADA);
            if self.browser.press_one(&values, choice).await.is_none() {
                return press;
            }
            if self.is_person && self.browser.is_shown("Code from the mail").await {
                values["code"] = code_in(&mail.await.text).into();
            }
        }
        MOST_PRESSES
    }

    async fn main_button(&self) -> usize {
        let script = "return [...document.querySelectorAll('button')].findIndex((button) => button.matches('.main'))";
        let place = self.browser.evaluate(script).await.as_i64().unwrap();
        usize::try_from(place).unwrap_or_default()
    }
}

fn open_to_many(config: &mut agentkeys_broker::Config) {
    let most = 1_000_000;
    config.limits = Limits {
        mails_per_address_and_hour: most,
        mails_per_source_and_hour: most,
        mails_per_hour: most,
        codes_per_source_and_hour: most,
        codes_per_hour: most,
        sign_ins_per_source_and_hour: most,
        sign_ins_per_hour: most,
        links_per_account_and_hour: most,
        ..Limits::default()
    };
}

/// Whether nothing in a mail leads anywhere, nor would be made to by a program that looks for addresses.
fn has_no_link(mail: &Arc<Mail>) -> bool {
    let words = [Some(&mail.text), mail.html.as_ref()].map(|part| part.unwrap().to_lowercase());
    let is_url = |word: &str| Url::parse(word).is_ok_and(|url| url.has_host()) || word.starts_with("www.");
    words.iter().all(|part| {
        let marks = ["http", "href", "src=", "<form", "<script", "url(", "127.0.0.1:"];
        !marks.iter().any(|mark| part.contains(mark)) && !part.split_whitespace().any(is_url)
    })
}
