//! `/oauth/device_authorization`, `/device` and the grant of devices.

use std::time::Duration;

use agentkeys_testing::{Page, TestBroker, TestBrowser};

use crate::email::futures;

const SECOND: Duration = Duration::from_secs(1);
const PENDING: (u16, &str) = (400, "authorization_pending");

async fn decide(browser: &TestBrowser, question: &Page, decision: &str) -> Page {
    browser.submit(&question.form("/oauth/confirm"), &[("decision", decision)]).await
}

#[tokio::test]
async fn a_machine_is_signed_in_from_another_one() {
    let broker = TestBroker::start().await;
    let (device, browser) = (broker.device(), broker.browser());
    let (device_code, user_code) = broker.start_device(Some(&device)).await;

    let page = broker.type_user_code(&browser, &user_code).await.expect(200);
    let question = broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);
    assert_eq!(broker.poll_device(&device_code, Some(&device)).await.refusal(), PENDING);
    let done = decide(&browser, &question, "approve").await.expect(200);
    let signed_in = broker.poll_device(&device_code, Some(&device)).await.expect(200);

    for page in [&page, &question, &done] {
        assert!(page.text().contains("build-7"), "{}", page.text());
    }
    assert!(question.text().contains("127.0.0.1"), "{}", question.text());
    let ada = broker.person(Some(device), &signed_in);
    assert_eq!(ada.account(), broker.sign_in("ada").await.account());
    assert_eq!(ada.get("/v1/session").await.expect(200).text("client_name"), "build-7");
}

#[tokio::test]
async fn what_was_delivered_is_delivered_once() {
    let broker = TestBroker::start().await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;
    decide(&browser, &question, "approve").await.expect(200);

    let answers = futures((0..64).map(|_| broker.poll_device(&device_code, None))).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.refusal(), (200, "") | (400, "invalid_grant"))), "{answers:?}");
    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_slowed_down_and_the_longer_wait_stays() {
    let broker = TestBroker::start().await;
    let (device_code, _) = broker.start_device(None).await;
    let poll_after = async |wait| {
        broker.clock().advance(wait * SECOND);
        broker.poll_device(&device_code, None).await.refusal().1.to_owned()
    };

    assert_eq!(poll_after(0).await, "authorization_pending");
    assert_eq!(poll_after(4).await, "slow_down");
    assert_eq!(poll_after(9).await, "slow_down");
    assert_eq!(poll_after(15).await, "authorization_pending");
    assert_eq!(poll_after(14).await, "slow_down");
    assert_eq!(poll_after(20).await, "authorization_pending");
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_slowed_down_and_signed_in_all_the_same() {
    let broker = TestBroker::start().await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;
    for _ in 0..3 {
        broker.poll_device(&device_code, None).await.expect(400);
    }
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;

    decide(&browser, &question, "approve").await.expect(200);

    broker.poll_device(&device_code, None).await.expect(200);
}

#[tokio::test]
async fn a_person_who_refuses_ends_it_for_the_machine() {
    let broker = TestBroker::start().await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;

    let done = decide(&browser, &question, "refuse").await.expect(200);

    assert_eq!(done.title(), "Nothing was changed");
    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "access_denied"));
    broker.type_user_code(&browser, &user_code).await.expect(400);
}

#[tokio::test]
async fn after_ten_minutes_neither_the_machine_nor_the_page_goes_on() {
    let broker = TestBroker::start().await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;

    broker.clock().advance(600 * SECOND);

    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "expired_token"));
    assert_eq!(decide(&browser, &question, "approve").await.failure(), (400, "state_invalid".to_owned()));
    let unknown = broker.type_user_code(&browser, &user_code).await.expect(400);
    assert_eq!(unknown.title(), "Error: Connect a machine");
    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "expired_token"));
}

#[tokio::test]
async fn the_secret_of_a_device_is_only_for_its_key_and_only_a_device_code() {
    let broker = TestBroker::start().await;
    let (device, browser) = (broker.device(), broker.browser());
    let (device_code, user_code) = broker.start_device(Some(&device)).await;
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;
    decide(&browser, &question, "approve").await.expect(200);

    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "invalid_grant"));
    assert_eq!(broker.poll_device(&device_code, Some(&broker.device())).await.refusal(), (400, "invalid_grant"));
    assert_eq!(broker.poll_device(&"ab".repeat(32), Some(&device)).await.refusal(), (400, "invalid_grant"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "agentkeys-cli"),
        ("code", &device_code),
        ("redirect_uri", "http://127.0.0.1:1/"),
        ("code_verifier", "x"),
    ];
    assert_eq!(broker.post_form("/oauth/token", &form, Some(&device)).await.refusal(), (400, "invalid_grant"));

    broker.poll_device(&device_code, Some(&device)).await.expect(200);
}

#[tokio::test]
async fn a_code_may_be_typed_in_any_case_and_with_spaces() {
    let broker = TestBroker::start().await;
    let (_, user_code) = broker.start_device(None).await;

    let typed = format!(" {} ", user_code.to_lowercase().replace('-', " "));

    let page = broker.type_user_code(&broker.browser(), &typed).await.expect(200);
    assert!(page.text().contains("build-7"), "{}", page.text());
}

#[tokio::test]
async fn typed_codes_are_counted_right_or_wrong() {
    let broker = TestBroker::start_with(|config| config.limits.codes_per_source_and_hour = 3).await;
    let (_, user_code) = broker.start_device(None).await;
    let browser = broker.browser();
    for wrong in ["0000-0000", "", "x"] {
        let again = broker.type_user_code(&browser, wrong).await.expect(400);
        assert_eq!(again.title(), "Error: Connect a machine");
    }

    let limited = broker.type_user_code(&browser, &user_code).await.expect(429);

    assert_eq!(limited.title(), "Error: Connect a machine");
    assert_ne!(limited.header("retry-after"), "");
    broker.clock().advance(3600 * SECOND);
    let (_, user_code) = broker.start_device(None).await;
    broker.type_user_code(&browser, &user_code).await.expect(200);
}

#[tokio::test]
async fn of_64_typed_codes_at_once_no_more_are_looked_at_than_the_limit() {
    let broker = TestBroker::start_with(|config| config.limits.codes_per_source_and_hour = 10).await;
    let browser = broker.browser();
    let form = browser.open("/device").await.form("/device").with("user_code", "0000-0000");

    let pages = futures((0..64).map(|_| browser.submit(&form, &[]))).await;

    assert_eq!(pages.iter().filter(|page| page.status == 400).count(), 10);
    assert_eq!(pages.iter().filter(|page| page.status == 429).count(), 54);
}

#[tokio::test]
async fn no_link_fills_in_the_code() {
    let broker = TestBroker::start().await;
    let started = broker
        .post_form("/oauth/device_authorization", &[("client_id", "agentkeys-cli"), ("client_name", "build-7")], None)
        .await
        .expect(200);
    let user_code = started.text("user_code");

    let page = broker.browser().open(&format!("/device?user_code={user_code}")).await.expect(200);

    assert!(started.body.get("verification_uri_complete").is_none());
    assert_eq!(started.text("verification_uri"), broker.url("/device"));
    assert!(!page.html.contains(user_code), "{}", page.html);
    assert!(!page.text().contains("build-7"), "{}", page.text());
}

#[tokio::test]
async fn pages_that_are_opened_a_thousand_times_approve_nothing() {
    let broker = TestBroker::start_with(|config| config.limits.codes_per_source_and_hour = 5000).await;
    let browser = broker.browser();
    let (device_code, user_code) = broker.start_device(None).await;
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;
    let request = question.form("/oauth/confirm").field("request").unwrap().to_owned();

    for round in 0..1000 {
        let path = match round % 4 {
            0 => format!("/device?user_code={user_code}"),
            1 => format!("/oauth/confirm?request={request}&decision=approve"),
            2 => format!("/oauth/done?request={request}"),
            _ => format!("/oauth/callback/acme?state={request}&code=x"),
        };
        assert_ne!(browser.open(&path).await.status, 303);
    }

    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), PENDING);
    decide(&browser, &question, "approve").await.expect(200);
    broker.poll_device(&device_code, None).await.expect(200);
}

#[tokio::test]
async fn of_two_browsers_that_race_for_one_machine_one_wins() {
    let broker = TestBroker::start().await;
    let (ada, mallory) = (broker.browser(), broker.browser());
    let (device_code, user_code) = broker.start_device(None).await;
    let ada_asked = broker.asked_by_device(&ada, &user_code, "ada@example.com").await;
    let mallory_asked = broker.asked_by_device(&mallory, &user_code, "mallory@example.com").await;

    let (first, second) =
        tokio::join!(decide(&ada, &ada_asked, "approve"), decide(&mallory, &mallory_asked, "approve"));

    let mut outcomes = [first.status, second.status];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [200, 400]);
    let winner = if first.status == 200 { "ada@example.com" } else { "mallory@example.com" };
    let signed_in = broker.poll_device(&device_code, None).await.expect(200);
    assert_eq!(signed_in.body["identity"]["value"], winner);
}

#[tokio::test]
async fn a_device_of_another_client_or_with_a_strange_name_does_not_start() {
    let broker = TestBroker::start().await;
    let long = "x".repeat(257);

    for (client, name, error) in [
        ("other", "build-7", "invalid_client"),
        ("", "build-7", "invalid_client"),
        ("agentkeys-cli", "a\nb", "invalid_request"),
        ("agentkeys-cli", &long, "invalid_request"),
    ] {
        let form = [("client_id", client), ("client_name", name)];
        let answer = broker.post_form("/oauth/device_authorization", &form, None).await;
        assert_eq!(answer.refusal(), (400, error), "{client} {name}");
    }
}

#[tokio::test]
async fn a_machine_waits_at_one_broker_and_is_approved_at_another() {
    let broker = TestBroker::start().await;
    let sibling = broker.start_sibling().await;
    let (device_code, user_code) = broker.start_device(None).await;
    let browser = sibling.browser();

    let question = sibling.asked_by_device(&browser, &user_code, "ada@example.com").await;
    decide(&browser, &question, "approve").await.expect(200);

    broker.restart().await.poll_device(&device_code, None).await.expect(200);
}
