//! What holds for every page on the way: headers, cookies, foreign forms, hostile texts, and what is left behind.

use std::{fs, path::Path};

use agentkeys_broker::AllowList;
use agentkeys_store::{AuditStore, SqliteStore};
use agentkeys_testing::{CommandSignIn, TestBroker};
use serde_json::json;

use crate::authorize::{approve, question};

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}\u{202e}";

/// Everything that stands in the store, as far as its size tells.
async fn written(state: &Path) -> (usize, Vec<u64>) {
    let store = SqliteStore::open(&state.join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, 1000).await.unwrap().len();
    drop(store);
    let sizes =
        ["agentkeys.db", "agentkeys.db-wal"].map(|name| fs::metadata(state.join(name)).map_or(0, |file| file.len()));
    (entries, sizes.to_vec())
}

#[tokio::test]
async fn looking_at_pages_writes_nothing_however_often() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    browser.open("/device").await.expect(200);
    let before = written(broker.state()).await;

    for _ in 0..100 {
        browser.open(&sign_in.path()).await.expect(200);
        browser.open("/device").await.expect(200);
        browser.open("/oauth/done").await.expect(200);
        browser.open(&format!("/oauth/link?request={}", "ab".repeat(32))).await.expect(400);
        browser.open(&format!("/oauth/callback/acme?code=x&state={}", "ab".repeat(32))).await.expect(400);
    }

    assert_eq!(written(broker.state()).await, before);
}

/// Everything in the files of the store.
fn stored(broker: &TestBroker) -> Vec<u8> {
    let read = |name: &str| fs::read(broker.state().join(name)).unwrap();
    [read("agentkeys.db"), read("agentkeys.db-wal")].concat()
}

#[tokio::test]
async fn the_store_holds_no_secret_of_a_sign_in_under_way() {
    let broker = TestBroker::start().await;
    let (browser, device) = (broker.browser(), broker.device());
    let sign_in = CommandSignIn::new(Some(device));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let (_, cookie) = page.header("set-cookie").split(';').next().unwrap().split_once('=').unwrap();
    let question = broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);
    let request = question.form("/oauth/confirm").field("request").unwrap().to_owned();
    let proof = question.form("/oauth/confirm").field("form_proof").unwrap().to_owned();
    let code = approve(&browser, &question).await.brought("code").unwrap();
    let (device_code, user_code) = broker.start_device(None).await;
    let ada = broker.sign_in_unbound("grace").await;
    let link = ada.post("/v1/identities/email/start", &json!({"email": "ada@example.org"})).await.expect(202);
    let link = link.text("request_id");

    let bytes = stored(&broker);

    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
    assert!(holds(b"ada@example.com") && holds(sign_in.redirect_uri.as_bytes()), "the search finds what is there");
    let CommandSignIn { state, verifier, .. } = &sign_in;
    for secret in [state, verifier, cookie, &request, &proof, &code, &device_code, link, ada.token()] {
        assert!(!holds(secret.as_bytes()), "{secret}");
        assert!(hex::decode(secret).is_ok_and(|raw| !holds(&raw)) || secret.starts_with("aks_"), "{secret}");
    }
    assert!(!holds(user_code.as_bytes()) && !holds(user_code.replace('-', "").as_bytes()));
}

#[tokio::test]
async fn hostile_texts_stay_texts() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let path = sign_in.path_with(&[("client_name", Some(HOSTILE)), ("state", Some("\"><script>"))]);
    let page = browser.open(&path).await.expect(200);
    let again = browser.submit(&page.form("/oauth/sign-in/email"), &[("email", HOSTILE)]).await.expect(400);
    let question = broker.prove_by_email(&browser, &page, "ada@example.com").await.expect(200);
    let device = browser.open("/device").await;
    let unknown = browser.submit(&device.form("/device"), &[("user_code", HOSTILE)]).await.expect(400);

    for shown in [&page, &again, &question, &unknown] {
        assert_eq!((shown.count("script"), shown.count("img")), (0, 0), "{}", shown.html);
        assert!(!shown.text().contains('\u{202e}'), "{}", shown.html);
    }
    assert!(question.text().contains("<script>alert(1)</script>"), "{}", question.text());
    let sent = approve(&browser, &question).await.expect(303);
    assert_eq!(sent.brought("state").as_deref(), Some("\"><script>"));
}

#[tokio::test]
async fn every_page_is_kept_to_itself() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));
    let page = browser.open(&sign_in.path()).await.expect(200);
    let (asks, code) = broker.ask_for_code(&browser, &page, "ada@example.com").await;
    let form = asks.form("/oauth/sign-in/code");
    let wrong = browser.submit(&form, &[("code", "0000-0000")]).await.expect(400);
    let question = browser.submit(&form, &[("code", &code)]).await.expect(200);
    let device = browser.open("/device").await;
    let refused = browser.open("/oauth/authorize").await.expect(400);
    let done = browser.open("/oauth/done").await;

    for page in [&page, &asks, &wrong, &question, &device, &refused, &done] {
        let title = page.title();
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{title}");
        assert_eq!(page.header("cache-control"), "no-store", "{title}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{title}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{title}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{title}");
        let policy = page.header("content-security-policy");
        let fixed = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
        assert!(policy.starts_with(fixed), "{title}: {policy}");
    }
    let policy = question.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self' http://127.0.0.1:49152"), "{policy}");
}

#[tokio::test]
async fn a_browser_gets_its_cookie_once_and_scripts_and_other_sites_do_not() {
    let broker = TestBroker::start().await;
    let (browser, sign_in) = (broker.browser(), CommandSignIn::new(None));

    let first = browser.open(&sign_in.path()).await;
    let second = browser.open(&sign_in.path()).await;

    let cookie = first.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(pair.strip_prefix("agentkeys-browser=").unwrap().len(), 64);
    assert_eq!(second.header("set-cookie"), "");
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure_and_of_this_host_alone() {
    let broker = TestBroker::start_with(|config| {
        config.issuer = Some("https://keys.example.com".parse().unwrap());
        config.sign_in = AllowList::of(["@example.com"]).unwrap();
        config.mail.smtp = "smtps://mail.example.com".parse().unwrap();
    })
    .await;
    let request =
        |method, path: &str| broker.http().request(method, broker.url(path)).header("host", "keys.example.com");
    let shown = request(reqwest::Method::GET, "/device").send().await.unwrap();

    let cookie = shown.headers()["set-cookie"].to_str().unwrap().to_owned();
    let html = shown.text().await.unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-agentkeys-browser="), "{cookie}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    let (_, rest) = html.split_once("name=\"form_proof\" value=\"").unwrap();
    let proof = rest.split('"').next().unwrap();
    for (origin, status) in [("https://keys.example.com", 400), ("http://keys.example.com", 403), ("null", 403)] {
        let post = request(reqwest::Method::POST, "/device").header("cookie", pair).header("origin", origin);
        let answer = post.form(&[("form_proof", proof), ("user_code", "0000-0000")]).send().await.unwrap();
        assert_eq!(answer.status(), status, "{origin}");
    }
    let plain = request(reqwest::Method::POST, "/device").header("cookie", pair.replace("__Host-", ""));
    let answer = plain.form(&[("form_proof", proof), ("user_code", "0000-0000")]).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_form_of_another_browser_or_another_site_or_none_is_refused() {
    let broker = TestBroker::start().await;
    let (browser, other, sign_in) = (broker.browser(), broker.browser(), CommandSignIn::new(None));
    let question = question(&broker, &browser, &sign_in).await;
    let form = question.form("/oauth/confirm").with("decision", "approve");
    let refused = (403, "browser_mismatch".to_owned());

    assert_eq!(other.submit(&form, &[]).await.failure(), refused, "without a cookie");
    other.open(&sign_in.path()).await.expect(200);
    assert_eq!(other.submit(&form, &[]).await.failure(), refused, "with another cookie");
    let own_proof = other.open("/device").await.form("/device").field("form_proof").unwrap().to_owned();
    assert_eq!(other.submit(&form, &[("form_proof", &own_proof)]).await.failure(), refused, "with a proof of its own");
    assert_eq!(browser.submit(&form, &[("form_proof", &own_proof)]).await.failure(), refused, "with another proof");
    assert_eq!(browser.submit(&form, &[("form_proof", "")]).await.failure(), refused, "without a proof");

    approve(&browser, &question).await.expect(303);
}
