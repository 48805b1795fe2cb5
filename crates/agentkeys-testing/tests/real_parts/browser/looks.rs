//! Every page, as people have their browsers, and pictures of them.

use std::path::PathBuf;

use agentkeys_broker::Config;
use agentkeys_client::Session;
use agentkeys_testing::code_in;

use super::{
    Browser,
    bench::{Bench, MACHINE, Machine, Terminal},
};
use crate::parts;

const ADA: &str = "ada@example.com";
/// Those of which there are pictures in `docs/pages`.
const PICTURED: [&str; 9] =
    ["sign-in", "code", "confirm-command", "device", "confirm-device", "confirm-link", "done", "refused", "error"];
/// What would be another in each picture.
const STEADY: &str =
    "for (const time of document.querySelectorAll('time')) time.textContent = '22 December 2026, 10:00 UTC'";

#[tokio::test]
#[ignore = "needs axe-core, Chromium and oidc-provider: cargo xtask test"]
async fn every_page_is_sound_at_a_desk() {
    let browser = Browser::on_a_desk().start().await;
    Look::new(&browser, "desk").walk().await;
}

#[tokio::test]
#[ignore = "needs axe-core, Chromium and oidc-provider: cargo xtask test"]
async fn every_page_is_sound_at_a_desk_in_the_dark() {
    let browser = Browser::on_a_desk().in_the_dark().start().await;
    Look { pictures: None, ..Look::new(&browser, "") }.walk().await;
}

#[tokio::test]
#[ignore = "needs axe-core, Chromium and oidc-provider: cargo xtask test"]
async fn every_page_is_sound_on_a_phone_in_the_dark() {
    let browser = Browser::on_a_phone().in_the_dark().start().await;
    Look::new(&browser, "dark").walk().await;
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn every_page_is_sound_on_a_phone_without_javascript() {
    let browser = Browser::on_a_phone().without_javascript().start().await;
    Look { has_javascript: false, ..Look::new(&browser, "phone") }.walk().await;
}

/// A look at every page.
struct Look<'b> {
    browser: &'b Browser,
    has_javascript: bool,
    /// The folder of the pictures, and how the names of these end.
    pictures: Option<(PathBuf, &'static str)>,
}

impl<'b> Look<'b> {
    fn new(browser: &'b Browser, name: &'static str) -> Self {
        let folder = parts::look_up("AGENTKEYS_TEST_SCREENSHOTS");
        Self { browser, has_javascript: true, pictures: folder.map(|folder| (folder.into(), name)) }
    }

    async fn walk(&self) {
        let bench = Bench::start_with(&["acme"], named).await;
        let session = self.the_pages_of_the_command(&bench).await;
        self.the_pages_of_another_machine(&bench).await;
        self.the_pages_of_a_link(&bench, &session).await;
        self.browser.open(&bench.broker.url("/oauth/callback/acme?error=access_denied")).await;
        self.at("error").await;
    }

    async fn the_pages_of_the_command(&self, bench: &Bench) -> Session {
        let (browser, terminal) = (self.browser, Terminal::start(&bench.broker).await);
        browser.open(&terminal.url).await;
        self.at("sign-in").await;
        browser.type_into("E-mail address", "ada.@example.com").await;
        browser.press("Send me a code").await;
        self.at("sign-in-again").await;
        browser.type_into("E-mail address", ADA).await;
        let mail = bench.broker.next_code_mail(ADA);
        browser.press("Send me a code").await;
        self.at("code").await;
        browser.type_into("Code from the mail", "AAAA-AAAA").await;
        browser.press("Continue").await;
        self.at("code-again").await;
        browser.type_into("Code from the mail", &code_in(&mail.await.text)).await;
        browser.press("Continue").await;
        self.at("confirm-command").await;
        browser.press(&format!("Sign in on {MACHINE}")).await;
        browser.shows("You are signed in").await;
        self.at("done").await;
        terminal.session().await
    }

    async fn the_pages_of_another_machine(&self, bench: &Bench) {
        let (browser, device) = (self.browser, bench.broker.url("/device"));
        let [approved, refused] = [Machine::start(&bench.broker).await, Machine::start(&bench.broker).await];
        browser.open(&device).await;
        self.at("device").await;
        browser.type_into("Code on the machine", "AAAA-AAAA").await;
        browser.press("Continue").await;
        self.at("device-again").await;
        browser.type_into("Code on the machine", &approved.user_code).await;
        browser.press("Continue").await;
        self.at("sign-in-device").await;
        bench.prove_address(browser, ADA).await;
        self.at("confirm-device").await;
        browser.press(&format!("Sign in on {MACHINE}")).await;
        self.at("done-device").await;
        browser.open(&device).await;
        browser.type_into("Code on the machine", &refused.user_code).await;
        browser.press("Continue").await;
        bench.prove_address(browser, ADA).await;
        browser.press("Refuse").await;
        self.at("refused").await;
    }

    async fn the_pages_of_a_link(&self, bench: &Bench, session: &Session) {
        let browser = self.browser;
        browser.open(&Terminal::start_link(&bench.broker, session).await).await;
        self.at("sign-in-link").await;
        browser.press("Continue with acme").await;
        browser.sign_in_at_provider("ada").await;
        assert_eq!(browser.complaints_beside(bench.issuer(0)).await, [""; 0]);
        self.at("confirm-link").await;
        browser.press("Link to this account").await;
        self.at("done-linked").await;
    }

    /// Holds the page to what a person may expect of it, and takes its picture.
    async fn at(&self, page: &str) {
        let browser = self.browser;
        assert!(!browser.scrolls_sideways().await, "{page} is too wide");
        let url = browser.url().await;
        // That the page says what is wrong in its status too.
        let is_status = |said: &String| said.contains(&url) && said.contains("responded with a status of 4");
        let complaints = browser.complaints().await;
        assert!(complaints.iter().all(is_status), "{page}: {complaints:?}");
        if self.has_javascript {
            assert_eq!(browser.accessibility_faults().await, [""; 0], "{page}");
        }
        if let Some((folder, name)) = self.pictures.as_ref().filter(|_| PICTURED.contains(&page)) {
            browser.evaluate(STEADY).await;
            browser.screenshot(&folder.join(format!("{page}-{name}.png"))).await;
        }
    }
}

/// With room for all that is typed here.
fn named(config: &mut Config) {
    config.limits.mails_per_address_and_hour = 100;
}
