//! Linking an identity at a provider to an account.

use super::{
    Browser,
    bench::{Bench, Link, identities},
};

const BUTTON: &str = "Link to this account";

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn the_page_names_the_account_and_links_nothing_before_its_button() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let ada = bench.broker.sign_in("ada").await;
    let link = Link::start(&ada).await;

    browser.open(&link.url).await;
    browser.shows("ada@example.com").await;
    assert!(!browser.is_shown("E-mail address").await);
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1002").await;
    browser.shows("grace@example.com").await;
    browser.shows("ada@example.com").await;
    link.ask().await.expect(202);
    assert_eq!(identities(&ada).await, ["email ada@example.com"]);
    browser.press(BUTTON).await;

    browser.shows("Identity confirmed").await;
    assert_eq!(identities(&ada).await, ["email ada@example.com"]);
    link.ask().await.expect(201);
    assert_eq!(identities(&ada).await, ["email ada@example.com", "oauth2_acme g-1002"]);
    assert_eq!(browser.complaints_beside(bench.issuer(0)).await, [""; 0]);
    browser.open(&link.url).await;
    browser.shows("state_invalid").await;
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_link_that_is_refused_links_nothing() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let ada = bench.broker.sign_in("ada").await;
    let link = Link::start(&ada).await;

    browser.open(&link.url).await;
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1002").await;
    browser.press("Refuse").await;

    browser.shows("Nothing was changed").await;
    assert_eq!(link.ask().await.refusal(), (403, "access_denied"));
    assert_eq!(identities(&ada).await, ["email ada@example.com"]);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn of_two_browsers_that_link_one_identity_exactly_one_does() {
    let bench = Bench::start().await;
    let (ada, grace) = tokio::join!(bench.broker.sign_in("ada"), bench.broker.sign_in("grace"));
    let (for_ada, for_grace) = tokio::join!(Browser::on_a_desk().start(), Browser::on_a_phone().start());
    let (link_of_ada, link_of_grace) = tokio::join!(Link::start(&ada), Link::start(&grace));
    for (browser, link, owner) in
        [(&for_ada, &link_of_ada, "ada@example.com"), (&for_grace, &link_of_grace, "grace@example.com")]
    {
        browser.open(&link.url).await;
        browser.press("Continue with acme").await;
        browser.sign_in_at_provider("shared").await;
        browser.shows(owner).await;
        browser.shows("shared@example.com").await;
    }

    tokio::join!(for_ada.press(BUTTON), for_grace.press(BUTTON));
    let answers = tokio::join!(link_of_ada.ask(), link_of_grace.ask());

    let refused = match (answers.0.status, answers.1.status) {
        (201, _) => answers.1,
        (_, 201) => answers.0,
        _ => panic!("nobody has linked it: {answers:?}"),
    };
    assert_eq!(refused.refusal(), (409, "identity_taken"));
    let linked = [identities(&ada).await, identities(&grace).await].concat();
    assert_eq!(linked.iter().filter(|identity| *identity == "oauth2_acme shared").count(), 1, "{linked:?}");
}
