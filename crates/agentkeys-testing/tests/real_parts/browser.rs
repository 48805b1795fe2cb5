//! Chromium as people have it, with npm's oidc-provider to sign in at.
//!
//! The tests here hold the [`Browser`] itself to what it promises; the modules hold the broker's pages to it.

mod bench;
mod device;
mod driver;
mod linking;
mod looks;
mod pages;
mod provider;
mod scanner;
mod setup;
mod sign_in;
mod window;

use std::{fs, time::Duration};

use agentkeys_testing::Answer;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thirtyfour::Key;
use url::Url;

use self::pages::Pages;
pub(crate) use self::{provider::OpenIdProvider, window::Browser};

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_person_signs_in_at_the_provider_and_comes_back_with_a_code() {
    let (browser, pages) = (Browser::on_a_desk().start().await, Pages::serve().await);
    let mut provider = OpenIdProvider::start_signing_with("ES256").await;
    let callback = pages.url("/oauth/callback/acme");
    provider.allow_redirect(&callback).await;

    browser.open(&authorization(&provider, &callback)).await;
    browser.sign_in_at_provider("g-1001").await;
    browser.shows("Welcome back").await;

    let landed = Url::parse(&browser.url().await).unwrap();
    let answered = |name| landed.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
    assert!(landed.as_str().starts_with(&callback), "{landed}");
    assert_eq!((answered("state"), answered("iss")), ("a-state".to_owned(), provider.issuer().to_owned()));
    redeem(&provider, &callback, &answered("code"), "another-verifier-of-just-as-many-characters").await.expect(400);
    browser.open(&authorization(&provider, &callback)).await;
    let again = Url::parse(&browser.url().await).unwrap();
    let code = again.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let tokens = redeem(&provider, &callback, &code, VERIFIER).await.expect(200);
    let (header, claims) = parts_of(tokens.text("id_token"));
    assert_eq!(header["alg"], "ES256");
    assert_eq!((&claims["sub"], &claims["nonce"]), (&json!("g-1001"), &json!("a-nonce")));
    assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("ada@example.com"), &json!(true)));
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn the_provider_sends_nobody_where_it_may_not() {
    let browser = Browser::on_a_desk().start().await;
    let provider = OpenIdProvider::start().await;

    browser.open(&authorization(&provider, "http://127.0.0.1:9/elsewhere")).await;

    browser.shows("redirect_uri did not match").await;
}

#[tokio::test]
#[ignore = "needs Chromium: cargo xtask test"]
async fn a_page_is_read_filled_in_and_left_as_a_person_does_it() {
    let (browser, pages) = (Browser::on_a_desk().start().await, Pages::serve().await);
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("page.png");

    browser.open(&pages.url("/form")).await;
    browser.type_into("E-mail", "ada@example.com").await;
    browser.type_into("code", "123456").await;
    browser.press("Continue with acme").await;

    assert_eq!(browser.title().await, "Done");
    assert!(browser.url().await.ends_with("/done?email=ada%40example.com&code=123456"));
    assert!(browser.is_shown("Thank you").await);
    assert!(!browser.is_shown("E-mail").await);
    browser.screenshot(&picture).await;
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browser.press("Back to the start").await;
    browser.reload().await;
    browser.back().await;
    assert_eq!(browser.title().await, "Done");
    browser.open(&pages.url("/form")).await;
    for key in [Key::Tab, Key::Tab, Key::Tab, Key::Enter] {
        browser.hit(key).await;
    }
    browser.shows("Thank you").await;
}

#[tokio::test]
#[ignore = "needs Chromium: cargo xtask test"]
async fn cookies_and_complaints_are_seen_whatever_the_page_may_see() {
    let (browser, pages) = (Browser::on_a_desk().start().await, Pages::serve().await);

    browser.open(&pages.url("/strict")).await;
    let cookies = browser.cookies().await;
    let complaints = browser.complaints().await;

    let [cookie] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert_eq!((&cookie["name"], &cookie["value"]), (&json!("flavour"), &json!("oat")));
    assert_eq!((&cookie["httpOnly"], &cookie["path"]), (&json!(true), &json!("/elsewhere")));
    assert_eq!(cookie["sameSite"], "Lax");
    assert!(complaints.iter().any(|said| said.contains("Content Security Policy")), "{complaints:?}");
}

#[tokio::test]
#[ignore = "needs Chromium: cargo xtask test"]
async fn a_phone_and_a_desk_are_as_wide_and_dark_as_they_say() {
    let pages = Pages::serve().await;
    let look = "return [innerWidth, innerHeight, matchMedia('(prefers-color-scheme: dark)').matches]";

    let desk = Browser::on_a_desk().start().await;
    desk.open(&pages.url("/done")).await;
    let on_the_desk = desk.evaluate(look).await;
    let phone = Browser::on_a_phone().in_the_dark().start().await;
    phone.open(&pages.url("/done")).await;
    let on_the_phone = phone.evaluate(look).await;

    assert_eq!(on_the_desk, json!([1280, 900, false]));
    assert_eq!(on_the_phone, json!([390, 844, true]));
    for (browser, has_room) in [(&desk, true), (&phone, false)] {
        assert!(!browser.scrolls_sideways().await);
        browser.open(&pages.url("/wide")).await;
        assert_eq!(browser.scrolls_sideways().await, !has_room);
    }
}

#[tokio::test]
#[ignore = "needs Chromium: cargo xtask test"]
async fn javascript_that_is_off_does_not_run() {
    let pages = Pages::serve().await;
    let with = Browser::on_a_desk().start().await;
    let without = Browser::on_a_phone().without_javascript().start().await;

    for browser in [&with, &without] {
        browser.open(&pages.url("/script")).await;
    }

    assert_eq!(with.text().await, "written by a script");
    assert_eq!(without.text().await, "there are no scripts");
}

#[tokio::test]
#[ignore = "needs Chromium and axe-core: cargo xtask test"]
async fn what_shuts_people_out_is_found_and_nothing_else() {
    let (browser, pages) = (Browser::on_a_desk().start().await, Pages::serve().await);

    browser.open(&pages.url("/strict")).await;
    let faults_of_a_good_page = browser.accessibility_faults().await;
    browser.open(&pages.url("/faulty")).await;
    let faults = browser.accessibility_faults().await;

    assert_eq!(faults_of_a_good_page, [""; 0]);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("color-contrast (serious)"), "{faults:?}");
    assert!(faults[1].starts_with("label (critical)"), "{faults:?}");
}

#[tokio::test]
#[ignore = "needs Chromium: cargo xtask test"]
async fn a_browser_ends_with_its_test() {
    let browser = Browser::on_a_desk().start().await;
    let profile = browser.profile();
    assert!(processes_with(&profile.display().to_string()) > 1);

    let test = tokio::spawn(async move {
        let _browser = browser;
        panic!("the test fails");
    });
    assert!(test.await.unwrap_err().is_panic());

    let end = async { while processes_with(&profile.display().to_string()) > 0 {} };
    tokio::time::timeout(Duration::from_secs(20), end).await.expect("it ends");
    assert!(!profile.parent().unwrap().exists());
}

/// A request for a code, as a client makes it.
fn authorization(provider: &OpenIdProvider, callback: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let query = [
        ("client_id", OpenIdProvider::CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", callback),
        ("scope", "openid email"),
        ("state", "a-state"),
        ("nonce", "a-nonce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    Url::parse_with_params(&format!("{}/auth", provider.issuer()), query).unwrap().into()
}

/// Exchanges a code for tokens.
async fn redeem(provider: &OpenIdProvider, callback: &str, code: &str, verifier: &str) -> Answer {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", callback), ("code_verifier", verifier)];
    let request = http.post(format!("{}/token", provider.issuer())).form(&form);
    let request = request.basic_auth(encoded(OpenIdProvider::CLIENT_ID), Some(encoded(OpenIdProvider::CLIENT_SECRET)));
    Answer::read(request.send().await.unwrap()).await
}

/// The header and the claims of a JWT, unverified.
fn parts_of(jwt: &str) -> (Value, Value) {
    let part = |index| {
        let encoded = jwt.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    };
    (part(0), part(1))
}

/// How many processes were started with this in their arguments.
fn processes_with(argument: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let arguments = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    arguments.filter(|line| String::from_utf8_lossy(line).contains(argument)).count()
}
