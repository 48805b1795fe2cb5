//! `DELETE /v1/identities/…`: what an identity leaves behind that goes, and how its account comes back to it.

use std::time::Duration;

use agentkeys_testing::{CommandSignIn, TestBroker};

use crate::identities::{identities, link_at_acme, link_email, start};

#[tokio::test]
async fn the_last_identity_stays_also_when_both_are_taken_away_at_once() {
    let (broker, _, ada) = start().await;
    assert_eq!(ada.delete("/v1/identities/email/ada@example.com").await.refusal(), (409, "last_identity"));
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    let other = broker.sign_in("ada").await;

    let (first, second) = tokio::join!(
        ada.delete("/v1/identities/email/countess@example.com"),
        other.delete("/v1/identities/email/countess@example.com"),
    );

    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404]);
    assert_eq!(identities(&ada).await, ["email:ada@example.com"]);
    for path in ["email/nobody@example.com", "email/x", "oauth2_acme/a-1", "saml/x", "evm/0x1"] {
        let answer = ada.delete(&format!("/v1/identities/{path}")).await;
        assert_eq!(answer.refusal(), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn an_identity_that_goes_takes_the_sessions_along_that_it_opened() {
    let (broker, _, ada) = start().await;
    let sibling = broker.start_sibling().await;
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    let (here, mut elsewhere) = (broker.sign_in("countess").await, broker.sign_in("countess").await);
    here.get("/v1/session").await.expect(200);
    elsewhere.visit(sibling.url(""));
    elsewhere.get("/v1/session").await.expect(200);

    ada.delete("/v1/identities/email/countess@example.com").await.expect(204);

    assert_eq!(here.get("/v1/session").await.refusal(), (401, "token_revoked"));
    let falls = async { while elsewhere.get("/v1/session").await.status == 200 {} };
    tokio::time::timeout(Duration::from_secs(2), falls).await.expect("a sibling sees it within a second");
    assert_eq!(elsewhere.get("/v1/session").await.refusal(), (401, "token_revoked"));
    ada.get("/v1/session").await.expect(200);
    assert_ne!(broker.sign_in("countess").await.account(), ada.account(), "it starts anew");
}

#[tokio::test]
async fn a_removed_anchor_opens_nothing_and_only_its_own_account_can_link_it_again() {
    let (broker, _acme) = TestBroker::start_with_acme(|config| config.limits.mails_per_address_and_hour = 10).await;
    let ada = broker.sign_in("ada").await;
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    ada.delete("/v1/identities/email/ada@example.com").await.expect(204);
    assert_eq!(ada.get("/v1/session").await.refusal(), (401, "token_revoked"));
    let countess = broker.sign_in("countess").await;
    let mallory = broker.sign_in("mallory").await;

    let (request_id, code) = broker.mailed_code("ada@example.com").await;
    assert_eq!(broker.verify_code(&request_id, &code).await.refusal(), (403, "identity_retired"));
    let browser = broker.browser();
    let page = browser.open(&CommandSignIn::new(None).path()).await.expect(200);
    let retired = broker.prove_by_email(&browser, &page, "ada@example.com").await;
    assert_eq!(retired.failure(), (403, "identity_retired".to_owned()));
    assert_eq!(link_email(&broker, &mallory, "ada@example.com").await.refusal(), (409, "identity_taken"));
    assert_eq!(identities(&countess).await, ["email:countess@example.com"]);

    link_email(&broker, &countess, "ada@example.com").await.expect(201);
    assert_eq!(broker.sign_in("ada").await.account(), countess.account());
}

#[tokio::test]
async fn a_removed_anchor_at_a_provider_can_be_linked_again_by_its_own_account_alone() {
    let (broker, _acme, mallory) = start().await;
    let countess = broker.sign_in_at("acme").await;
    link_email(&broker, &countess, "countess@example.com").await.expect(201);
    countess.delete("/v1/identities/oauth2_acme/a-1").await.expect(204);
    let countess = broker.sign_in("countess").await;
    let browser = broker.browser();

    let page = browser.open(&CommandSignIn::new(None).path()).await.expect(200);
    let retired = broker.prove_at(&browser, &page, "acme").await;

    assert_eq!(retired.failure(), (403, "identity_retired".to_owned()));
    assert_eq!(link_at_acme(&broker, &mallory).await.refusal(), (409, "identity_taken"));
    link_at_acme(&broker, &countess).await.expect(201);
    assert_eq!(broker.sign_in_at("acme").await.account(), countess.account());
}

#[tokio::test]
async fn a_machine_that_was_approved_by_an_identity_that_is_gone_is_not_signed_in() {
    let (broker, _, ada) = start().await;
    link_email(&broker, &ada, "countess@example.com").await.expect(201);
    let (device_code, user_code) = broker.start_device(None).await;
    let browser = broker.browser();
    let question = broker.asked_by_device(&browser, &user_code, "ada@example.com").await;
    browser.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(200);

    ada.delete("/v1/identities/email/ada@example.com").await.expect(204);

    assert_eq!(broker.poll_device(&device_code, None).await.refusal(), (400, "access_denied"));
}

#[tokio::test]
async fn a_subject_is_named_in_a_path_whatever_stands_in_it() {
    let (broker, acme, ada) = start().await;

    for subject in ["auth0|7", "a/b", "a b+c%2F", "../x", "?x=#y"] {
        acme.sign_in_as(subject, None);
        link_at_acme(&broker, &ada).await.expect(201);
        assert_eq!(identities(&ada).await[1], format!("oauth2_acme:{subject}"));
        let mut url: reqwest::Url = "http://broker/v1/identities/oauth2_acme".parse().unwrap();
        url.path_segments_mut().unwrap().push(subject);
        ada.delete(url.path()).await.expect(204);
    }
}
