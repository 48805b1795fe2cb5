//! Sign-in for the command on the machine of the browser.

use std::{borrow::Cow, fs};

use agentkeys_api::OauthError;
use agentkeys_client::ClientError;
use agentkeys_crypto::private_file;
use agentkeys_testing::{Home, Process, System, code_in};
use thirtyfour::Key;
use url::Url;

use super::{
    Browser, OpenIdProvider,
    bench::{Bench, MACHINE, Terminal},
};
use crate::maildev::{Maildev, fresh_address};

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_provider_signs_the_command_in_and_no_code_stays_in_sight() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let terminal = Terminal::start(&bench.broker).await;

    sign_in_with_acme(&browser, &bench, &terminal).await;

    assert_eq!(browser.url().await, bench.broker.url("/oauth/done"));
    assert_eq!(browser.complaints_beside(bench.issuer(0)).await, [""; 0]);
    let session = terminal.session().await;
    assert_eq!(session.identity.identity_type.to_string(), "oauth2_acme");
    assert_eq!(session.identity.value, "g-1001");
    assert!(session.device_key.is_some());
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_phone_without_javascript_does_as_well() {
    let browser = Browser::on_a_phone().without_javascript().start().await;
    let bench = Bench::start().await;
    let terminal = Terminal::start(&bench.broker).await;

    sign_in_with_acme(&browser, &bench, &terminal).await;

    assert_eq!(browser.url().await, bench.broker.url("/oauth/done"));
    assert_eq!(terminal.session().await.identity.value, "g-1001");
}

#[tokio::test]
#[ignore = "needs Chromium, maildev and oidc-provider: cargo xtask test"]
async fn a_code_by_mail_does_too_and_a_wrong_one_does_not() {
    let browser = Browser::on_a_desk().start().await;
    let maildev = Maildev::at_hand();
    let bench = Bench::start_with(&["acme"], |config| config.mail.smtp = maildev.smtp_url()).await;
    let terminal = Terminal::start(&bench.broker).await;
    let address = fresh_address();

    browser.open(&terminal.url).await;
    browser.type_into("E-mail address", "ada.@example.com").await;
    browser.press("Send me a code").await;
    browser.shows("not a complete e-mail address").await;
    browser.type_into("E-mail address", &address).await;
    browser.press("Send me a code").await;
    browser.shows("We sent it to a…@example.com").await;
    let mail = maildev.mail_to(&address).await;
    browser.type_into("Code from the mail", "AAAA-AAAA").await;
    browser.press("Continue").await;
    browser.shows("That was not the code").await;
    let code = code_in(mail["text"].as_str().unwrap());
    browser.type_into("Code from the mail", &code.replace('-', " ").to_lowercase()).await;
    browser.press("Continue").await;
    browser.shows(&address).await;
    assert_eq!(bench.sessions_opened().await, 0);
    browser.press(&format!("Sign in on {MACHINE}")).await;

    assert_eq!(browser.url().await, bench.broker.url("/oauth/done"));
    assert_eq!(terminal.session().await.identity.value, address);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn the_real_command_is_signed_in_by_the_address_that_it_shows() {
    let browser = Browser::on_a_desk().start().await;
    let mut acme = OpenIdProvider::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("client-secret");
    private_file::create_new(&secret, OpenIdProvider::CLIENT_SECRET.as_bytes()).unwrap();
    let settings = format!(
        "[providers.acme]\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \"{}\"\n",
        acme.issuer(),
        OpenIdProvider::CLIENT_ID,
        secret.display()
    );
    let (system, home) = (System::start_with(&settings).await, Home::default());
    acme.allow_redirect(&format!("{}/oauth/callback/acme", system.broker_url())).await;
    // As systemd gives it to a unit.
    fs::write(folder.path().join("agentkeys-session-key"), [7; 32]).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = system.used_by(home.agentkeys(&[&["--store", "file"], arguments].concat()));
        command.env("CREDENTIALS_DIRECTORY", folder.path());
        command
    };

    let mut init = Process::start(command(&["init", "--no-browser", "--oauth2", "acme"]));
    let line = init.line_with(": open  http").await;
    let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    browser.open(url).await;
    assert!(!browser.is_shown("E-mail address").await);
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1001").await;
    browser.shows("ada@example.com").await;
    browser.press(&approval(&browser).await).await;
    init.line_with("Wallet proved").await;

    assert_eq!(browser.url().await, format!("{}/oauth/done", system.broker_url()));
    let mut whoami = Process::start(command(&["whoami"]));
    whoami.line_with("g-1001").await;
    let log = system.broker_log();
    assert!(!log.contains("code=") && !log.contains("state="), "{log}");
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_keyboard_is_enough() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let terminal = Terminal::start(&bench.broker).await;

    browser.open(&terminal.url).await;
    browser.hit(Key::Tab).await;
    assert!(browser.shows_focus().await);
    browser.hit(Key::Tab).await;
    assert!(browser.shows_focus().await);
    let mail = bench.broker.next_code_mail("ada@example.com");
    browser.type_on("ada@example.com").await;
    browser.hit(Key::Enter).await;
    browser.shows("Enter the code").await;
    assert!(browser.shows_focus().await);
    browser.type_on(&code_in(&mail.await.text)).await;
    browser.hit(Key::Enter).await;
    browser.shows(&format!("Sign in on {MACHINE}?")).await;
    browser.hit(Key::Tab).await;
    assert!(browser.shows_focus().await);
    browser.hit(Key::Enter).await;
    browser.shows("You are signed in").await;

    assert_eq!(terminal.session().await.identity.value, "ada@example.com");
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn whoever_refuses_is_not_signed_in_and_the_command_hears_it() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let terminal = Terminal::start(&bench.broker).await;

    browser.open(&terminal.url).await;
    browser.press("Continue with acme").await;
    browser.press("[ Cancel ]").await;
    browser.shows("You were not signed in").await;
    assert!(terminal.is_waiting());
    browser.open(&terminal.url).await;
    bench.prove_address(&browser, "ada@example.com").await;
    browser.press("Refuse").await;

    browser.shows("Nothing was changed").await;
    assert_eq!(browser.url().await, bench.broker.url("/oauth/done?outcome=refused"));
    let ClientError::Oauth { problem, .. } = terminal.refusal().await else { panic!("no answer of the broker") };
    assert_eq!(problem.error, OauthError::AccessDenied);
    assert_eq!(bench.sessions_opened().await, 0);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn an_answer_of_the_provider_counts_once() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let terminal = Terminal::start(&bench.broker).await;

    browser.open(&terminal.url).await;
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1001").await;
    let callback = browser.url().await;
    assert!(callback.starts_with(&bench.broker.url("/oauth/callback/acme?")), "{callback}");
    browser.press(&format!("Sign in on {MACHINE}")).await;
    browser.shows("You are signed in").await;
    terminal.session().await;

    // What the browser has kept of the page is worth nothing.
    browser.back().await;
    browser.press(&format!("Sign in on {MACHINE}")).await;
    browser.shows("This sign-in is over").await;
    browser.open(&callback).await;
    browser.shows("This sign-in is over").await;
    browser.reload().await;
    browser.shows("state_invalid").await;
    assert_eq!(bench.sessions_opened().await, 1);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn an_answer_that_comes_in_another_browser_is_not_taken() {
    let (browser, other) = tokio::join!(Browser::on_a_desk().start(), Browser::on_a_desk().start());
    let bench = Bench::start().await;
    let terminal = Terminal::start(&bench.broker).await;
    browser.open(&terminal.url).await;
    let authorization = bench.authorization_url(&browser, "acme").await;

    // Somebody who has a provider of their own sign them in sends the answer to another person.
    other.open(authorization.as_str()).await;
    other.sign_in_at_provider("mallory").await;
    other.shows("browser_mismatch").await;
    other.open(&bench.broker.url("/device")).await;
    other.open(authorization.as_str()).await;
    other.shows("browser_mismatch").await;

    assert!(terminal.is_waiting());
    browser.open(authorization.as_str()).await;
    browser.sign_in_at_provider("g-1001").await;
    browser.press(&format!("Sign in on {MACHINE}")).await;
    assert_eq!(terminal.session().await.identity.value, "g-1001");
    assert_eq!(bench.sessions_opened().await, 1);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn the_answer_of_one_provider_is_none_of_another() {
    let browser = Browser::on_a_desk().start().await;
    let mut bench = Bench::start_with(&["acme", "globex"], |_| {}).await;
    bench.allow_redirect(0, "/oauth/callback/globex").await;
    let terminal = Terminal::start(&bench.broker).await;
    browser.open(&terminal.url).await;
    assert!(browser.is_shown("Continue with acme").await && browser.is_shown("Continue with globex").await);
    let authorization = bench.authorization_url(&browser, "acme").await;

    let mixed_up = with(&authorization, "redirect_uri", &bench.broker.url("/oauth/callback/globex"));
    browser.open(mixed_up.as_str()).await;
    browser.sign_in_at_provider("g-1001").await;
    browser.shows("issuer_mismatch").await;
    let answer: Url = browser.url().await.parse().unwrap();
    let (callback, query) = (bench.broker.url("/oauth/callback/acme"), answer.query().unwrap());
    let elsewhere = with(&format!("{callback}?{query}").parse().unwrap(), "iss", bench.issuer(1));
    browser.open(elsewhere.as_str()).await;
    browser.shows("issuer_mismatch").await;

    assert!(terminal.is_waiting());
    assert_eq!(bench.sessions_opened().await, 0);
    browser.open(authorization.as_str()).await;
    browser.press(&format!("Sign in on {MACHINE}")).await;
    assert_eq!(terminal.session().await.identity.value, "g-1001");
}

/// From the page that the command shows to the one where it ends; nothing happens before the last button.
async fn sign_in_with_acme(browser: &Browser, bench: &Bench, terminal: &Terminal) {
    browser.open(&terminal.url).await;
    browser.shows(MACHINE).await;
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1001").await;
    browser.shows("ada@example.com").await;
    assert!(terminal.is_waiting());
    assert_eq!(bench.sessions_opened().await, 0);
    browser.press(&format!("Sign in on {MACHINE}")).await;
    browser.shows("You are signed in").await;
}

/// What the button that goes on says, where the machine names itself.
async fn approval(browser: &Browser) -> String {
    let label = browser.evaluate("return document.querySelector('button.main').innerText").await;
    label.as_str().unwrap().to_owned()
}

/// The URL with another value of one parameter.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut changed = url.clone();
    let others: Vec<(String, String)> = url.query_pairs().filter(|(known, _)| known != name).map(owned).collect();
    changed.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
    changed
}

fn owned((name, value): (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}
