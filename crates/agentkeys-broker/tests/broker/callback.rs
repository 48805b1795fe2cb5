//! `/oauth/callback/{provider}`: signing in at a provider, which is believed no more than it must be.

use std::time::{Duration, Instant};

use agentkeys_broker::AllowList;
use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::{Canned, CommandSignIn, Endpoint, Page, Part, TestBroker, TestBrowser, TestProvider};
use reqwest::Url;
use serde_json::{Value, json};

use crate::email::futures;

const MINUTE: Duration = Duration::from_mins(1);

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A browser that has just come back from the provider, and where to.
async fn come_back(broker: &TestBroker) -> (TestBrowser, CommandSignIn, Url) {
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let back = broker.visit_provider(&browser, &page, "acme").await;
    (browser, sign_in, back)
}

/// The same address with one parameter that is another, or not there.
fn with(url: &Url, name: &str, value: Option<&str>) -> String {
    let kept: Vec<(String, String)> =
        url.query_pairs().filter(|(known, _)| known != name).map(|(name, value)| (name.into(), value.into())).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    url.into()
}

async fn outcomes(broker: &TestBroker) -> Vec<String> {
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    store.entries_after(0, 100).await.unwrap().iter().map(|entry| entry.outcome.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_person_who_signs_in_at_the_provider_and_approves_signs_the_command_in() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, sign_in, back) = come_back(&broker).await;

    let question = browser.open(back.as_str()).await.expect(200);
    let sent = browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(303);
    let signed_in = broker.redeem(&sign_in, &sent.brought("code").unwrap()).await.expect(200);

    assert!(question.text().contains("ada@example.com acme"), "{}", question.text());
    assert_eq!(signed_in.body["identity"], json!({"type": "oauth2_acme", "value": "ada"}));
    assert_eq!(sent.brought("iss"), Some(broker.url("")), "and not that of the provider");
    assert_eq!(acme.asked(Endpoint::Token), 1);
}

#[tokio::test]
async fn the_page_says_whom_it_sends_people_to_and_no_secret_of_ours_is_stored() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);

    let sent = browser.submit(&page.form("/oauth/sign-in/provider"), &[("provider", "acme")]).await.expect(303);

    assert!(page.header("content-security-policy").contains(acme.issuer()));
    assert_eq!(sent.header("cache-control"), "no-store");
    assert!(sent.location().as_str().starts_with(&format!("{}/authorize?", acme.issuer())));
    assert_eq!(sent.brought("redirect_uri"), Some(broker.url("/oauth/callback/acme")));
    let database = std::fs::read(broker.state().join("agentkeys.db-wal")).unwrap();
    for secret in ["state", "nonce", "code_challenge"].map(|name| sent.brought(name).unwrap()) {
        let bytes = hex::decode(&secret).unwrap_or_else(|_| secret.clone().into_bytes());
        let stands = |needle: &[u8]| database.windows(needle.len()).any(|window| window == needle);
        assert!(!stands(&bytes) && !stands(secret.as_bytes()));
    }
}

#[tokio::test]
async fn a_state_that_is_missing_altered_or_used_is_over() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, _, back) = come_back(&broker).await;

    for state in [None, Some(""), Some("x"), Some("ab".repeat(32).as_str())] {
        let page = browser.open(&with(&back, "state", state)).await;
        assert_eq!(page.failure(), refusal(400, "state_invalid"), "{state:?}");
    }
    assert_eq!(acme.asked(Endpoint::Token), 0);
    browser.open(back.as_str()).await.expect(200);
    assert_eq!(browser.open(back.as_str()).await.failure(), refusal(400, "state_invalid"));
    assert_eq!(acme.asked(Endpoint::Token), 1);
}

#[tokio::test]
async fn of_64_callbacks_at_once_exactly_one_is_exchanged() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, _, back) = come_back(&broker).await;

    let pages = futures((0..64).map(|_| browser.open(back.as_str()))).await;

    assert_eq!(pages.iter().filter(|page| page.status == 200).count(), 1);
    assert!(pages.iter().all(|page| page.status == 200 || page.failure() == refusal(400, "state_invalid")));
    assert_eq!(acme.asked(Endpoint::Token), 1);
}

#[tokio::test]
async fn an_answer_that_comes_after_ten_minutes_is_over() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, _, back) = come_back(&broker).await;

    broker.clock().advance(10 * MINUTE);

    assert_eq!(browser.open(back.as_str()).await.failure(), refusal(400, "state_invalid"));
    assert_eq!(acme.asked(Endpoint::Token), 0);
}

#[tokio::test]
async fn an_answer_in_another_browser_is_refused_and_does_not_use_it_up() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, _, back) = come_back(&broker).await;
    let mallory = broker.browser();

    assert_eq!(mallory.open(back.as_str()).await.failure(), refusal(403, "browser_mismatch"), "without a cookie");
    mallory.open("/device").await.expect(200);
    assert_eq!(mallory.open(back.as_str()).await.failure(), refusal(403, "browser_mismatch"), "with another cookie");

    assert_eq!(acme.asked(Endpoint::Token), 0);
    browser.open(back.as_str()).await.expect(200);
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_taken_for_that_of_this_one() {
    let mallory = TestProvider::start(std::sync::Arc::new(agentkeys_testing::ManualClock::default())).await;
    mallory.make_client_public();
    let settings = mallory.as_settings();
    let (broker, acme) = TestBroker::start_with_acme(move |config| {
        config.providers.insert("mallory".parse().unwrap(), settings);
    })
    .await;
    let (browser, _, back) = come_back(&broker).await;
    let mismatch = refusal(400, "issuer_mismatch");

    let other_path = back.as_str().replace("/callback/acme", "/callback/mallory");
    assert_eq!(browser.open(&other_path).await.failure(), mismatch);
    assert_eq!(browser.open(&with(&back, "iss", Some(mallory.issuer()))).await.failure(), mismatch);
    assert_eq!(browser.open(&with(&back, "iss", Some(&format!("{}/", acme.issuer())))).await.failure(), mismatch);
    assert_eq!(browser.open(&with(&back, "iss", None)).await.failure(), mismatch, "it was promised");

    assert_eq!((acme.asked(Endpoint::Token), mallory.asked(Endpoint::Token)), (0, 0));
    browser.open(back.as_str()).await.expect(200);
}

#[tokio::test]
async fn what_a_provider_says_of_its_error_is_shown_as_a_text_and_the_command_can_start_again() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    acme.refuse("server_error");
    let (browser, _, back) = come_back(&broker).await;
    let hostile = "<script>alert(1)</script>\u{202e}<a href=//evil.example>go on</a>";

    let page = browser.open(&with(&back, "error_description", Some(hostile))).await;

    assert_eq!(page.failure(), refusal(502, "provider_error"));
    assert_eq!((page.count("script"), page.count("a")), (0, 0), "{}", page.html);
    assert!(page.text().contains("<script>alert(1)</script>"), "{}", page.text());
    assert!(!page.html.contains('\u{202e}'));
    assert_eq!(acme.asked(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_person_who_says_no_at_the_provider_is_told_that_nothing_was_changed() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    acme.refuse("access_denied");
    let (browser, _, back) = come_back(&broker).await;

    assert_eq!(browser.open(back.as_str()).await.failure(), refusal(403, "access_denied"));
    assert_eq!(browser.open(back.as_str()).await.failure(), refusal(400, "state_invalid"));
}

#[tokio::test]
async fn a_provider_that_is_away_or_talks_nonsense_is_told_of_within_five_seconds() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let failed = refusal(502, "provider_error");
    for canned in [
        Canned::Error(500, json!({})),
        Canned::Text("text/html", "<h1>sorry</h1>"),
        Canned::Redirect("http://127.0.0.1:1/".to_owned()),
        Canned::Huge,
    ] {
        acme.behave();
        let (browser, _, back) = come_back(&broker).await;
        acme.answer(Endpoint::Token, canned.clone());
        assert_eq!(browser.open(back.as_str()).await.failure(), failed, "{canned:?}");
    }
    acme.behave();
    let (browser, sign_in, back) = come_back(&broker).await;
    drop(acme);
    let started = Instant::now();

    assert_eq!(browser.open(back.as_str()).await.failure(), failed);

    assert!(started.elapsed() < Duration::from_secs(5));
    let page = browser.open(&sign_in.path()).await.expect(200);
    broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);
}

#[tokio::test]
async fn a_provider_that_was_never_there_costs_a_page_and_no_row() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    drop(acme);
    let browser = broker.browser();
    let page = browser.open(&CommandSignIn::new(None).path()).await.expect(200);

    let answer = browser.submit(&page.form("/oauth/sign-in/provider"), &[("provider", "acme")]).await;
    let unknown = browser.submit(&page.form("/oauth/sign-in/provider"), &[("provider", "other")]).await;

    assert_eq!(answer.failure(), refusal(502, "provider_error"));
    assert_eq!(unknown.failure(), refusal(400, "invalid_request"));
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_signs_nobody_in() {
    let (broker, acme) = TestBroker::start_with_acme(|config| config.limits.sign_ins_per_source_and_hour = 100).await;
    let set = |name: &'static str, value: Value| move |part: &mut Value| part[name] = value.clone();
    let attempt = async || {
        let (browser, sign_in, back) = come_back(&broker).await;
        let page = browser.open(back.as_str()).await;
        assert!(page.find_form("/oauth/confirm").is_none());
        let state = back.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        assert_eq!(broker.redeem(&sign_in, &state).await.refusal(), (400, "invalid_grant"));
        page.failure()
    };

    for (name, value) in [
        ("aud", json!("other")),
        ("aud", json!(["agentkeys", "other"])),
        ("iss", json!("http://127.0.0.1:1")),
        ("nonce", json!("other")),
        ("nonce", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("exp", json!(1_000_000_000)),
        ("iat", json!(9_000_000_000_i64)),
    ] {
        acme.behave();
        acme.change(Part::Claims, set(name, value.clone()));
        assert_eq!(attempt().await, refusal(502, "id_token_invalid"), "{name} {value}");
    }
    for (name, value) in
        [("alg", json!("none")), ("alg", json!("HS256")), ("crit", json!(["x"])), ("jku", json!("http://127.0.0.1:1/"))]
    {
        acme.behave();
        acme.change(Part::Header, set(name, value.clone()));
        assert_eq!(attempt().await, refusal(502, "id_token_invalid"), "{name} {value}");
    }
    acme.behave();
    acme.sign_with_stolen_name();
    assert_eq!(attempt().await, refusal(502, "id_token_invalid"));
    assert!(outcomes(&broker).await.is_empty());
}

#[tokio::test]
async fn the_address_that_a_provider_has_for_a_person_opens_and_links_nothing() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    let ada = broker.sign_in("ada").await;
    acme.sign_in_as("mallory", Some(("ada@example.com", true)));

    let mallory = broker.sign_in_at("acme").await;

    assert_ne!(mallory.account(), ada.account());
    for (person, count) in [(&ada, 1), (&mallory, 1)] {
        let identities = person.get("/v1/identities").await.expect(200);
        assert_eq!(identities.body["identities"].as_array().unwrap().len(), count);
    }
    assert_eq!(broker.sign_in("ada").await.account(), ada.account());
}

#[tokio::test]
async fn an_address_that_is_not_verified_is_not_even_shown() {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    acme.sign_in_as("mallory", Some(("ada@example.com", false)));
    let (browser, _, back) = come_back(&broker).await;

    let question = browser.open(back.as_str()).await.expect(200);

    assert!(!question.text().contains("ada@example.com"), "{}", question.text());
    assert!(question.text().contains("mallory acme"), "{}", question.text());
}

#[tokio::test]
async fn the_allow_list_names_providers_their_domains_and_their_subjects() {
    for (entry, is_let_in) in [
        ("oauth2_acme", [true, true, true]),
        ("oauth2_acme:@example.com", [true, false, false]),
        ("oauth2_acme:grace", [false, true, false]),
        ("@example.com", [false, false, false]),
        ("ada@example.com", [false, false, false]),
    ] {
        let (broker, acme) =
            TestBroker::start_with_acme(|config| config.sign_in = AllowList::of([entry]).unwrap()).await;
        let people = [
            ("ada", Some(("ada@example.com", true))),
            ("grace", Some(("grace@example.org", true))),
            ("mallory", Some(("mallory@example.com", false))),
        ];
        for ((subject, email), is_let_in) in people.into_iter().zip(is_let_in) {
            acme.sign_in_as(subject, email);
            let (browser, _, back) = come_back(&broker).await;

            let page: Page = browser.open(back.as_str()).await;

            let expected = if is_let_in { refusal(200, "") } else { refusal(403, "sign_in_not_allowed") };
            assert_eq!(page.failure(), expected, "{entry} {subject}");
        }
        let refused = is_let_in.iter().filter(|is_let_in| !**is_let_in).count();
        assert_eq!(outcomes(&broker).await, vec!["not_allowed"; refused]);
    }
}

#[tokio::test]
async fn whoever_is_taken_off_the_list_before_the_code_is_redeemed_is_not_signed_in() {
    let (broker, _acme) = TestBroker::start_with_acme(|_| {}).await;
    let (browser, sign_in, back) = come_back(&broker).await;
    let question = browser.open(back.as_str()).await.expect(200);
    let sent = browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(303);

    let broker = broker.restart_with(|config| config.sign_in = AllowList::of(["oauth2_acme:grace"]).unwrap()).await;

    assert_eq!(broker.redeem(&sign_in, &sent.brought("code").unwrap()).await.refusal(), (400, "access_denied"));
}

#[tokio::test]
async fn a_device_is_approved_by_an_identity_at_a_provider() {
    let (broker, _acme) = TestBroker::start_with_acme(|_| {}).await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;

    let page = broker.type_user_code(&browser, &user_code).await.expect(200);
    let question = broker.prove_at(&browser, &page, "acme").await.expect(200);
    browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(200);

    let signed_in = broker.poll_device(&device_code, None).await.expect(200);
    assert_eq!(signed_in.body["identity"], json!({"type": "oauth2_acme", "value": "ada"}));
}
