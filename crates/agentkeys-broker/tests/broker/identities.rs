//! `/v1/identities`: what opens an account, and how more does.

use std::time::Duration;

use agentkeys_broker::AllowList;
use agentkeys_testing::{Answer, Person, TestBroker, TestProvider, code_in};
use serde_json::{Value, json};

use crate::{email::futures, mail::all_left};

const MINUTE: Duration = Duration::from_mins(1);

/// Asks for a code that links an address; returns the request and the code.
async fn start_email(broker: &TestBroker, person: &Person, email: &str) -> (String, String) {
    let mail = broker.next_code_mail(email);
    let started = person.post("/v1/identities/email/start", &json!({"email": email})).await.expect(202);
    (started.text("request_id").to_owned(), code_in(&mail.await.text))
}

async fn verify_email(person: &Person, (request_id, code): &(String, String)) -> Answer {
    person.post("/v1/identities/email/verify", &json!({"request_id": request_id, "code": code})).await
}

pub(crate) async fn link_email(broker: &TestBroker, person: &Person, email: &str) -> Answer {
    verify_email(person, &start_email(broker, person, email).await).await
}

/// Asks for a page on which an identity at `acme` is proved; returns the request and the page's path.
async fn start_page(person: &Person) -> (String, String) {
    let started = person.post("/v1/identities/oauth/start", &json!({"provider": "acme"})).await.expect(201);
    (started.text("request_id").to_owned(), started.text("authorize_url").to_owned())
}

async fn verify_page(person: &Person, request_id: &str) -> Answer {
    person.post("/v1/identities/oauth/verify", &json!({"request_id": request_id})).await
}

/// Proves an identity at `acme` on the page, and decides.
async fn decide_on_page(broker: &TestBroker, url: &str, decision: &str) {
    let browser = broker.browser();
    let page = browser.open(url).await.expect(200);
    let question = broker.prove_at(&browser, &page, "acme").await.expect(200);
    browser.submit(&question.form("/oauth/confirm"), &[("decision", decision)]).await.expect(200);
}

pub(crate) async fn link_at_acme(broker: &TestBroker, person: &Person) -> Answer {
    let (request_id, url) = start_page(person).await;
    decide_on_page(broker, &url, "approve").await;
    verify_page(person, &request_id).await
}

pub(crate) async fn identities(person: &Person) -> Vec<String> {
    let listed = person.get("/v1/identities").await.expect(200);
    let name =
        |identity: &Value| format!("{}:{}", identity["type"].as_str().unwrap(), identity["value"].as_str().unwrap());
    listed.body["identities"].as_array().unwrap().iter().map(name).collect()
}

/// The text of the next notice to an address.
fn notice(broker: &TestBroker, email: &str, subject: &'static str) -> impl Future<Output = String> + use<> {
    let mail = broker.mailbox().next_of(&email.parse().unwrap(), move |mail| mail.subject.contains(subject));
    async move { mail.await.text.clone() }
}

/// Ada and what she is known as at `acme`.
pub(crate) async fn start() -> (TestBroker, TestProvider, Person) {
    let (broker, acme) = TestBroker::start_with_acme(|_| {}).await;
    acme.sign_in_as("a-1", Some(("countess@acme.example", true)));
    let ada = broker.sign_in("ada").await;
    (broker, acme, ada)
}

#[tokio::test]
async fn a_linked_address_opens_the_account_and_so_the_wallet() {
    let (broker, _, ada) = start().await;

    let linked = link_email(&broker, &ada, "countess@example.com").await.expect(201);
    let again = link_email(&broker, &ada, "countess@example.com").await.expect(200);

    assert_eq!((linked.text("type"), linked.text("value")), ("email", "countess@example.com"));
    assert_eq!(linked.body, again.body);
    assert_eq!(identities(&ada).await, ["email:ada@example.com", "email:countess@example.com"]);
    let countess = broker.sign_in("countess").await;
    assert_eq!((countess.account(), countess.address()), (ada.account(), ada.address()));
}

#[tokio::test]
async fn an_identity_at_a_provider_that_is_linked_opens_the_account() {
    let (broker, _acme, ada) = start().await;

    let linked = link_at_acme(&broker, &ada).await.expect(201);
    let again = link_at_acme(&broker, &ada).await.expect(200);

    assert_eq!((linked.text("type"), linked.text("value")), ("oauth2_acme", "a-1"));
    assert_eq!(again.text("email"), "countess@acme.example");
    assert_eq!(identities(&ada).await, ["email:ada@example.com", "oauth2_acme:a-1"]);
    let countess = broker.sign_in_at("acme").await;
    assert_eq!((countess.account(), countess.address()), (ada.account(), ada.address()));
}

#[tokio::test]
async fn the_page_names_the_account_asks_for_a_decision_and_only_then_is_anything_linked() {
    let (broker, _acme, ada) = start().await;
    let (request_id, url) = start_page(&ada).await;
    let browser = broker.browser();

    let page = browser.open(&url).await.expect(200);
    let question = broker.prove_at(&browser, &page, "acme").await.expect(200);
    let pending = verify_page(&ada, &request_id).await.expect(202);
    let done = browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(200);
    let before = identities(&ada).await;
    verify_page(&ada, &request_id).await.expect(201);

    for page in [&page, &question, &done] {
        assert!(page.text().contains("ada@example.com"), "{}", page.text());
    }
    assert!(page.find_form("/oauth/sign-in/email").is_none());
    assert!(question.text().contains("countess@acme.example"), "{}", question.text());
    assert_eq!((pending.text("status"), &pending.body["interval"]), ("pending", &json!(5)));
    assert_eq!(before, ["email:ada@example.com"], "the session that asked links, not the page");
    assert_eq!(verify_page(&ada, &request_id).await.refusal(), (410, "link_expired"));
    assert_eq!(browser.open(&url).await.failure(), (400, "state_invalid".to_owned()));
}

#[tokio::test]
async fn only_the_session_that_asked_can_link() {
    let (broker, _acme, ada) = start().await;
    let (other, mallory) = (broker.sign_in("ada").await, broker.sign_in("mallory").await);
    let (request_id, url) = start_page(&ada).await;
    decide_on_page(&broker, &url, "approve").await;
    let code = start_email(&broker, &ada, "countess@example.com").await;
    let page_secret = url.split_once("request=").unwrap().1;

    for stranger in [&other, &mallory] {
        assert_eq!(verify_page(stranger, &request_id).await.refusal(), (410, "link_expired"));
        assert_eq!(verify_email(stranger, &code).await.refusal(), (401, "invalid_code"));
    }
    assert_eq!(verify_page(&ada, page_secret).await.refusal(), (410, "link_expired"));
    assert_eq!(broker.verify_code(&code.0, &code.1).await.refusal(), (401, "invalid_code"));

    verify_page(&ada, &request_id).await.expect(201);
    verify_email(&ada, &code).await.expect(201);
}

#[tokio::test]
async fn a_code_of_a_sign_in_links_nothing() {
    let (broker, _, ada) = start().await;

    let code = broker.mailed_code("countess@example.com").await;

    assert_eq!(verify_email(&ada, &code).await.refusal(), (401, "invalid_code"));
    broker.verify_code(&code.0, &code.1).await.expect(200);
}

#[tokio::test]
async fn a_person_who_refuses_on_the_page_links_nothing() {
    let (broker, _acme, ada) = start().await;
    let (request_id, url) = start_page(&ada).await;

    decide_on_page(&broker, &url, "refuse").await;

    assert_eq!(verify_page(&ada, &request_id).await.refusal(), (403, "access_denied"));
    assert_eq!(identities(&ada).await, ["email:ada@example.com"]);
}

#[tokio::test]
async fn after_ten_minutes_the_page_and_the_code_are_over() {
    let (broker, _acme, ada) = start().await;
    broker.clock().advance(MINUTE);
    let ada_again = broker.sign_in("ada").await;
    let (request_id, url) = start_page(&ada_again).await;
    decide_on_page(&broker, &url, "approve").await;
    let (_, open_url) = start_page(&ada_again).await;
    drop(ada);

    broker.clock().advance(10 * MINUTE);

    assert_eq!(broker.browser().open(&open_url).await.failure(), (400, "state_invalid".to_owned()));
    assert_eq!(verify_page(&ada_again, &request_id).await.refusal(), (403, "reauth_required"));
}

#[tokio::test]
async fn what_opens_an_account_changes_only_soon_after_a_sign_in() {
    let (broker, _acme, ada) = start().await;
    broker.clock().advance(9 * MINUTE);
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    let (request_id, url) = start_page(&ada).await;
    decide_on_page(&broker, &url, "approve").await;
    let code = start_email(&broker, &ada, "lady@example.com").await;
    broker.clock().advance(MINUTE);

    let late = [
        ada.post("/v1/identities/email/start", &json!({"email": "late@example.com"})).await,
        ada.post("/v1/identities/oauth/start", &json!({"provider": "acme"})).await,
        verify_email(&ada, &code).await,
        verify_page(&ada, &request_id).await,
        ada.delete("/v1/identities/email/countess@example.com").await,
    ];

    for answer in late {
        assert_eq!(answer.refusal(), (403, "reauth_required"));
    }
    assert_eq!(identities(&ada).await, ["email:ada@example.com", "email:countess@example.com"]);
}

#[tokio::test]
async fn an_identity_of_another_account_is_taken_and_its_owner_is_not_named() {
    let (broker, acme, ada) = start().await;
    let grace = broker.sign_in_at("acme").await;
    let mallory = broker.sign_in("mallory").await;

    let answers = [
        link_email(&broker, &ada, "mallory@example.com").await,
        link_at_acme(&broker, &ada).await,
        link_email(&broker, &grace, "ada@example.com").await,
    ];

    for answer in answers {
        assert_eq!(answer.refusal(), (409, "identity_taken"));
        let text = answer.body.to_string();
        for owner in [&mallory, &grace, &ada] {
            assert!(!text.contains(&owner.account().to_string()) && !text.contains("example"), "{text}");
        }
    }
    acme.sign_in_as("a-2", None);
    link_at_acme(&broker, &ada).await.expect(201);
    assert_eq!(broker.sign_in("mallory").await.account(), mallory.account());
}

#[tokio::test]
async fn of_64_answers_at_once_one_links_and_of_two_accounts_one_gets_the_identity() {
    let (broker, acme, ada) = start().await;
    let grace = broker.sign_in("grace").await;
    let ada_code = start_email(&broker, &ada, "shared@example.com").await;
    let grace_code = start_email(&broker, &grace, "shared@example.com").await;

    let answers =
        futures((0..64).map(|number| {
            if number % 2 == 0 { verify_email(&ada, &ada_code) } else { verify_email(&grace, &grace_code) }
        }));
    let answers = answers.await;

    let count = |refusal| answers.iter().filter(|answer| answer.refusal() == refusal).count();
    assert_eq!((count((201, "")), count((409, "identity_taken")), count((410, "code_expired"))), (1, 1, 62));

    let (ada_page, grace_page) = (start_page(&ada).await, start_page(&grace).await);
    acme.sign_in_as("shared", None);
    decide_on_page(&broker, &ada_page.1, "approve").await;
    decide_on_page(&broker, &grace_page.1, "approve").await;
    let answers = futures((0..64).map(|number| {
        if number % 2 == 0 { verify_page(&ada, &ada_page.0) } else { verify_page(&grace, &grace_page.0) }
    }));
    let answers = answers.await;
    let count = |refusal| answers.iter().filter(|answer| answer.refusal() == refusal).count();
    assert_eq!((count((201, "")), count((409, "identity_taken")), count((410, "link_expired"))), (1, 1, 62));
}

#[tokio::test]
async fn everybody_who_can_open_the_account_hears_of_each_change() {
    let (broker, _acme, ada) = start().await;
    let added = notice(&broker, "ada@example.com", "one more way");
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    assert!(added.await.contains("countess@example.com"));
    all_left(&broker).await;

    let added = ["ada@example.com", "countess@example.com"].map(|email| notice(&broker, email, "one more way"));
    link_at_acme(&broker, &ada).await.expect(201);
    for mail in added {
        assert!(mail.await.contains("acme: countess@acme.example"));
    }

    let signed_in = ["ada@example.com", "countess@example.com"].map(|email| notice(&broker, email, "new sign-in"));
    broker.sign_in_at("acme").await;
    for mail in signed_in {
        assert!(mail.await.contains("acme: countess@acme.example"));
    }

    let removed = ["ada@example.com", "countess@example.com"].map(|email| notice(&broker, email, "one way fewer"));
    ada.delete("/v1/identities/email/countess@example.com").await.expect(204);
    for mail in removed {
        assert!(mail.await.contains("countess@example.com"));
    }
}

#[tokio::test]
async fn the_mail_with_the_code_says_whose_account_the_address_will_open() {
    let (broker, _, ada) = start().await;
    let mail = broker.next_code_mail("countess@example.com");

    ada.post("/v1/identities/email/start", &json!({"email": "countess@example.com"})).await.expect(202);

    let mail = mail.await;
    assert!(mail.subject.contains("to link this address"), "{}", mail.subject);
    assert!(mail.text.contains("ada@example.com"), "{}", mail.text);
    assert!(!mail.text.contains("http"), "{}", mail.text);
}

#[tokio::test]
async fn one_account_links_so_often_in_an_hour_and_not_once_more() {
    let (broker, _acme) = TestBroker::start_with_acme(|config| config.limits.links_per_account_and_hour = 5).await;
    let ada = broker.sign_in("ada").await;

    let answers = futures((0..64).map(|number| {
        let ada = &ada;
        async move {
            if number % 2 == 0 {
                return ada.post("/v1/identities/oauth/start", &json!({"provider": "acme"})).await;
            }
            ada.post("/v1/identities/email/start", &json!({"email": format!("ada{number}@example.com")})).await
        }
    }));
    let answers = answers.await;

    assert_eq!(answers.iter().filter(|answer| matches!(answer.status, 201 | 202)).count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.refusal() == (429, "rate_limited")).count(), 59);
    let mallory = broker.sign_in("mallory").await;
    start_page(&mallory).await;
}

#[tokio::test]
async fn a_page_for_a_provider_that_is_not_there_is_refused() {
    let (_broker, _, ada) = start().await;

    for provider in ["other", "", "Acme", "acme "] {
        let answer = ada.post("/v1/identities/oauth/start", &json!({"provider": provider})).await;
        assert_eq!(answer.refusal(), (400, "invalid_field"), "{provider}");
    }
}

#[tokio::test]
async fn an_identity_that_may_not_sign_in_is_not_linked() {
    let (broker, acme) = TestBroker::start_with_acme(|config| {
        config.sign_in = AllowList::of(["@example.com", "oauth2_acme:@example.com"]).unwrap();
    })
    .await;
    let ada = broker.sign_in("ada").await;

    assert_eq!(link_email(&broker, &ada, "ada@example.net").await.refusal(), (403, "sign_in_not_allowed"));

    assert_eq!(link_at_acme(&broker, &ada).await.status, 201);
    acme.sign_in_as("a-2", None);
    let browser = broker.browser();
    let page = browser.open(&start_page(&ada).await.1).await.expect(200);
    let refused = broker.prove_at(&browser, &page, "acme").await;
    assert_eq!(refused.failure(), (403, "sign_in_not_allowed".to_owned()));
    assert_eq!(identities(&ada).await, ["email:ada@example.com", "oauth2_acme:ada"]);
}

#[tokio::test]
async fn whoever_is_taken_off_the_list_before_the_session_links_is_not_linked() {
    let (broker, _acme, mut ada) = start().await;
    let (request_id, url) = start_page(&ada).await;
    decide_on_page(&broker, &url, "approve").await;

    let broker = broker.restart_with(|config| config.sign_in = AllowList::of(["@example.com"]).unwrap()).await;
    ada.visit(broker.url(""));

    assert_eq!(verify_page(&ada, &request_id).await.refusal(), (403, "sign_in_not_allowed"));
}
