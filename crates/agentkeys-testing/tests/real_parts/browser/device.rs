//! Sign-in for another machine, by the code that it shows.

use std::time::Duration;

use super::{
    Browser,
    bench::{Bench, MACHINE, Machine},
};

const INTERVAL: Duration = Duration::from_secs(5);

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_person_approves_a_machine_elsewhere_after_they_have_seen_which() {
    let browser = Browser::on_a_phone().without_javascript().start().await;
    let bench = Bench::start().await;
    let machine = Machine::start(&bench.broker).await;

    browser.open(&bench.broker.url("/device")).await;
    browser.type_into("Code on the machine", &machine.user_code.replace('-', " ").to_lowercase()).await;
    browser.press("Continue").await;
    for detail in [MACHINE, "127.0.0.1", "just now", " UTC"] {
        browser.shows(detail).await;
    }
    browser.press("Continue with acme").await;
    browser.sign_in_at_provider("g-1001").await;
    for detail in [MACHINE, "127.0.0.1", "just now", " UTC", "ada@example.com", "Only go on if you started this"] {
        browser.shows(detail).await;
    }
    assert_eq!(machine.ask().await.refusal(), (400, "authorization_pending"));
    browser.press(&format!("Sign in on {MACHINE}")).await;

    browser.shows("The machine is signed in").await;
    let signed_in = machine.ask().await.expect(200);
    assert_eq!(signed_in.body["identity"]["value"], "g-1001");
    assert_eq!(machine.ask().await.refusal(), (400, "invalid_grant"));
    assert_eq!(bench.sessions_opened().await, 1);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_machine_that_is_refused_hears_it() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let machine = Machine::start(&bench.broker).await;

    type_code(&browser, &bench, &machine.user_code).await;
    bench.prove_address(&browser, "ada@example.com").await;
    browser.press("Refuse").await;

    browser.shows("Nothing was changed").await;
    assert_eq!(machine.ask().await.refusal(), (400, "access_denied"));
    type_code(&browser, &bench, &machine.user_code).await;
    browser.shows("No machine shows this code now").await;
    assert_eq!(bench.sessions_opened().await, 0);
}

#[tokio::test]
#[ignore = "needs Chromium and oidc-provider: cargo xtask test"]
async fn a_code_that_is_over_says_so_on_every_page() {
    let (browser, bench) = (Browser::on_a_desk().start().await, Bench::start().await);
    let [typed, chosen, decided] =
        [Machine::start(&bench.broker).await, Machine::start(&bench.broker).await, Machine::start(&bench.broker).await];
    let other = Browser::on_a_desk().start().await;

    type_code(&browser, &bench, &chosen.user_code).await;
    type_code(&other, &bench, &decided.user_code).await;
    bench.prove_address(&other, "ada@example.com").await;
    bench.broker.clock().advance(Duration::from_mins(10));
    browser.press("Continue with acme").await;
    browser.shows("This code is over").await;
    other.press(&format!("Sign in on {MACHINE}")).await;
    other.shows("This sign-in is over").await;
    browser.press("Enter a machine’s code").await;
    browser.type_into("Code on the machine", &typed.user_code).await;
    browser.press("Continue").await;
    browser.shows("it is mistyped, or over").await;

    for machine in [typed, chosen, decided] {
        bench.broker.clock().advance(INTERVAL);
        assert_eq!(machine.ask().await.refusal(), (400, "expired_token"));
    }
    assert_eq!(bench.sessions_opened().await, 0);
}

async fn type_code(browser: &Browser, bench: &Bench, user_code: &str) {
    browser.open(&bench.broker.url("/device")).await;
    browser.type_into("Code on the machine", user_code).await;
    browser.press("Continue").await;
}
