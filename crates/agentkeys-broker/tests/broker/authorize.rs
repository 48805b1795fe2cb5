//! `/oauth/authorize` and the pages after it, in a browser without scripts.

use std::time::Duration;

use agentkeys_broker::AllowList;
use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::{CommandSignIn, Page, TestBroker, TestBrowser};
use serde_json::Value;

use crate::email::futures;

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) async fn question(broker: &TestBroker, browser: &TestBrowser, sign_in: &CommandSignIn) -> Page {
    let page = browser.open(&sign_in.path()).await.expect(200);
    broker.prove_by_email(browser, &page, "ada@example.com").await.expect(200)
}

pub(crate) async fn approve(browser: &TestBrowser, question: &Page) -> Page {
    browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await
}

#[tokio::test]
async fn a_person_who_types_the_code_from_the_mail_and_approves_signs_the_command_in() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(Some(broker.device())));

    let page = browser.open(&sign_in.path()).await.expect(200);
    let question = broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);
    let sent = approve(&browser, &question).await.expect(303);
    let signed_in = broker.redeem(&sign_in, &sent.brought("code").unwrap()).await.expect(200);

    assert!(page.text().contains("test bench"), "{}", page.text());
    assert!(question.text().contains("ada@example.com"), "{}", question.text());
    assert!(question.text().contains("test bench"), "{}", question.text());
    assert_eq!(signed_in.text("token_type"), "DPoP");
    assert_eq!(signed_in.text("access_token"), signed_in.text("session_token"));
    let ada = broker.person(sign_in.device, &signed_in);
    assert_eq!(ada.account(), broker.sign_in("ada").await.account());
    assert_eq!(ada.get("/v1/session").await.expect(200).text("client_name"), "test bench");
}

#[tokio::test]
async fn the_browser_brings_back_the_state_and_who_answers_and_nothing_of_it_is_kept() {
    let broker = TestBroker::start().await;
    let sign_in = CommandSignIn::new(None);

    let sent = broker.approve_command(&broker.browser(), &sign_in, "ada@example.com").await;

    assert!(sent.location().as_str().starts_with(&format!("{}?", sign_in.redirect_uri)));
    assert_eq!(sent.brought("state").as_ref(), Some(&sign_in.state));
    assert_eq!(sent.brought("iss"), Some(broker.url("")));
    assert_eq!(sent.header("cache-control"), "no-store");
    assert_eq!(sent.header("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn a_person_who_refuses_sends_the_command_away_and_that_is_recorded() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let question = question(&broker, &browser, &sign_in).await;

    let sent = browser.submit(&question.form("/oauth/confirm"), &[("decision", "refuse")]).await.expect(303);

    assert_eq!(sent.brought("error").as_deref(), Some("access_denied"));
    assert_eq!((sent.brought("state"), sent.brought("code")), (Some(sign_in.state), None));
    assert_eq!(sent.brought("iss"), Some(broker.url("")));
    assert_eq!(approve(&browser, &question).await.failure(), (400, "state_invalid".to_owned()));
    let store = SqliteStore::open(&broker.state().join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].action.as_str(), entries[0].outcome.as_str()), ("sign_in", "refused"));
}

#[tokio::test]
async fn a_client_that_is_not_known_or_waits_elsewhere_is_told_on_a_page_alone() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));

    for (name, value) in [
        ("client_id", None),
        ("client_id", Some("other")),
        ("redirect_uri", None),
        ("redirect_uri", Some("https://evil.example/callback")),
        ("redirect_uri", Some("http://localhost:1/callback")),
    ] {
        let page = browser.open(&sign_in.path_with(&[(name, value)])).await;

        assert_eq!(page.failure(), (400, "invalid_request".to_owned()), "{name} {value:?}");
        assert_eq!(page.header("location"), "");
    }
    let twice = browser.open(&format!("{}&state=again", sign_in.path())).await;
    assert_eq!(twice.failure(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn a_client_that_asks_wrongly_hears_it_by_the_browser() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));

    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "unsupported_response_type"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("AAAA"), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("dpop_jkt", Some("x"), "invalid_request"),
        ("client_name", Some("a\nb"), "invalid_request"),
        ("provider", Some("Ev!l"), "invalid_request"),
    ] {
        let page = browser.open(&sign_in.path_with(&[(name, value)])).await.expect(303);

        assert_eq!(page.brought("error").as_deref(), Some(error), "{name} {value:?}");
        assert_eq!(page.brought("state").as_ref(), Some(&sign_in.state), "{name}");
        assert_eq!(page.brought("iss"), Some(broker.url("")), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again_and_five_are_the_end() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let (asks, code) = broker.ask_for_code(&browser, &page, "ada@example.com").await;
    let mut form = asks.form("/oauth/sign-in/code");

    for _ in 0..5 {
        let again = browser.submit(&form, &[("code", "0000-0000")]).await.expect(400);
        assert!(again.title().starts_with("Error: Enter the code"), "{}", again.title());
        assert!(!again.text().contains("ada@"), "the whole address: {}", again.text());
        form = again.form("/oauth/sign-in/code");
    }

    assert_eq!(browser.submit(&form, &[("code", &code)]).await.failure(), (410, "code_expired".to_owned()));
}

#[tokio::test]
async fn who_is_not_on_the_list_learns_it_after_the_right_code_on_a_page() {
    let broker = TestBroker::start_with(|config| config.sign_in = AllowList::of(["@example.com"]).unwrap()).await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);

    let refused = broker.prove_by_email(&browser, &page, "mallory@example.net").await;

    assert_eq!(refused.failure(), (403, "sign_in_not_allowed".to_owned()));
}

#[tokio::test]
async fn a_browser_that_takes_too_long_starts_again() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let (asks, code) = broker.ask_for_code(&browser, &page, "ada@example.com").await;
    let question = question(&broker, &browser, &sign_in).await;

    broker.clock().advance(10 * MINUTE);

    let late = browser.submit(&asks.form("/oauth/sign-in/code"), &[("code", &code)]).await;
    assert_eq!(late.failure(), (400, "state_invalid".to_owned()));
    assert_eq!(approve(&browser, &question).await.failure(), (400, "state_invalid".to_owned()));
}

#[tokio::test]
async fn of_64_answers_and_of_64_decisions_at_once_exactly_one_counts() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let (asks, code) = broker.ask_for_code(&browser, &page, "ada@example.com").await;
    let form = asks.form("/oauth/sign-in/code").with("code", &code);

    let answers = futures((0..64).map(|_| browser.submit(&form, &[]))).await;
    let right: Vec<_> = answers.iter().filter(|page| page.status == 200).collect();
    assert_eq!(right.len(), 1);

    let form = right[0].form("/oauth/confirm");
    let decisions = futures((0..64).map(|number| {
        let decision = if number % 2 == 0 { "approve" } else { "refuse" };
        let (browser, form) = (&browser, &form);
        async move { browser.submit(form, &[("decision", decision)]).await }
    }))
    .await;
    assert_eq!(decisions.iter().filter(|page| page.status == 303).count(), 1);
    assert!(decisions.iter().all(|page| page.status == 303 || page.failure().1 == "state_invalid"));
}

#[tokio::test]
async fn one_source_begins_so_many_sign_ins_in_an_hour_and_not_one_more() {
    let broker = TestBroker::start_with(|config| {
        config.limits.sign_ins_per_source_and_hour = 5;
        config.limits.mails_per_address_and_hour = 100;
        config.limits.mails_per_source_and_hour = 100;
    })
    .await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let form = browser.open(&sign_in.path()).await.form("/oauth/sign-in/email").with("email", "ada@example.com");

    let pages = futures((0..64).map(|_| browser.submit(&form, &[]))).await;

    assert_eq!(pages.iter().filter(|page| page.status == 200).count(), 5);
    let refused = pages.iter().find(|page| page.status != 200).unwrap();
    assert_eq!((refused.status, refused.title()), (429, "Error: Sign in to AgentKeys"));
    let device = broker.post_form("/oauth/device_authorization", &[("client_id", "agentkeys-cli")], None).await;
    assert_eq!(device.refusal(), (429, "temporarily_unavailable"));
    assert_eq!(device.headers["retry-after"], "3600");
    broker.clock().advance(60 * MINUTE);
    browser.submit(&form, &[]).await.expect(200);
}

#[tokio::test]
async fn one_way_alone_is_offered_to_a_client_that_asks_for_it_also_after_a_typing_error() {
    let broker = TestBroker::start_with(|config| {
        let settings = r#"issuer = "http://127.0.0.1:1"
            client_id = "agentkeys""#;
        config.providers.insert("acme".parse().unwrap(), toml::from_str(settings).unwrap());
    })
    .await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));

    let all = browser.open(&sign_in.path()).await.expect(200);
    let by_email = browser.open(&sign_in.path_with(&[("provider", Some("email"))])).await.expect(200);
    let by_acme = browser.open(&sign_in.path_with(&[("provider", Some("acme"))])).await.expect(200);
    let by_other = browser.open(&sign_in.path_with(&[("provider", Some("other"))])).await.expect(200);
    let again = browser.submit(&by_email.form("/oauth/sign-in/email"), &[("email", "ada")]).await.expect(400);

    let ways =
        |page: &Page| ["provider", "email"].map(|way| page.find_form(&format!("/oauth/sign-in/{way}")).is_some());
    assert_eq!(ways(&all), [true, true]);
    assert_eq!(ways(&by_email), [false, true]);
    assert_eq!(ways(&by_acme), [true, false]);
    assert_eq!(ways(&again), [false, true]);
    assert_eq!(ways(&by_other), [true, true], "what is not there is no dead end");
}

#[tokio::test]
async fn the_metadata_names_what_is_there() {
    let broker = TestBroker::start().await;

    let metadata = broker.get("/.well-known/oauth-authorization-server").await.expect(200);

    assert_eq!(metadata.text("issuer"), broker.url(""));
    assert_eq!(metadata.text("authorization_endpoint"), broker.url("/oauth/authorize"));
    assert_eq!(metadata.text("token_endpoint"), broker.url("/oauth/token"));
    assert_eq!(metadata.body["authorization_response_iss_parameter_supported"], Value::Bool(true));
}
