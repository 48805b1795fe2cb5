//! No text makes a route of the pages or of OAuth fall over.

use agentkeys_broker::{AuthorizationRequest, RedirectUri};
use agentkeys_testing::TestBroker;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use reqwest::Method;

const NAMES: [&str; 16] = [
    "client_id",
    "client_name",
    "code",
    "code_challenge",
    "code_challenge_method",
    "decision",
    "device_code",
    "errand",
    "form_proof",
    "grant_type",
    "link",
    "provider",
    "redirect_uri",
    "request",
    "state",
    "user_code",
];

/// What the parameters would be if they were right, and what looks a little like that.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("agentkeys-cli".to_owned()),
        Just("code".to_owned()),
        Just("S256".to_owned()),
        Just("command".to_owned()),
        Just("link".to_owned()),
        Just("device".to_owned()),
        Just("authorization_code".to_owned()),
        "[0-9a-f]{64}",
        "[A-Za-z0-9_-]{43}",
        "http://127.0.0.1:[0-9]{1,6}/[ -~]{0,20}",
        "(http|https|javascript)://[ -~]{0,40}",
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..10)
}

fn encoded(pairs: &[(&str, String)]) -> String {
    let mut url: reqwest::Url = "http://x/".parse().unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

proptest! {
    #[test]
    fn a_request_is_read_or_refused_and_what_was_read_can_be_written_again(pairs in pairs()) {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());

        if let Ok(request) = AuthorizationRequest::read(find, "http://127.0.0.1:8470") {
            let written = request.parameters();
            let find = |name: &str| written.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            let again = AuthorizationRequest::read(find, "http://127.0.0.1:8470").unwrap();
            prop_assert_eq!(again.parameters(), written);
        }
    }

    #[test]
    fn a_redirect_uri_leads_to_this_machine_and_is_taken_as_it_is_written(text in value()) {
        if let Some(uri) = RedirectUri::parse(&text) {
            prop_assert_eq!(uri.as_str(), &text);
            let sent = uri.approved("code", &text, "issuer");
            prop_assert_eq!(sent.host_str(), Some("127.0.0.1"));
            prop_assert_eq!(sent.query_pairs().count(), 3);
        }
    }
}

#[tokio::test]
async fn no_query_form_or_cookie_breaks_a_route() {
    let broker = TestBroker::start_with(|config| {
        config.limits.codes_per_source_and_hour = 10_000;
        config.limits.sign_ins_per_source_and_hour = 10_000;
    })
    .await;
    let mut runner = TestRunner::default();
    let routes = [
        (Method::GET, "/device"),
        (Method::GET, "/oauth/authorize"),
        (Method::GET, "/oauth/callback/acme"),
        (Method::GET, "/oauth/callback/%F0%9F%98%80"),
        (Method::GET, "/oauth/done"),
        (Method::GET, "/oauth/link"),
        (Method::POST, "/device"),
        (Method::POST, "/oauth/confirm"),
        (Method::POST, "/oauth/device_authorization"),
        (Method::POST, "/oauth/revoke"),
        (Method::POST, "/oauth/sign-in/code"),
        (Method::POST, "/oauth/sign-in/email"),
        (Method::POST, "/oauth/sign-in/provider"),
        (Method::POST, "/oauth/token"),
    ];
    let browser = broker.browser();
    let shown = browser.open("/device").await;
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    let proof = shown.form("/device").field("form_proof").unwrap().to_owned();

    for round in 0..30 {
        let mut tree = || (pairs(), "[ -~]{0,40}").new_tree(&mut runner).unwrap().current();
        for (method, path) in &routes {
            let (mut pairs, mut cookies) = tree();
            if round % 2 == 0 {
                cookies.clone_from(&cookie);
                pairs.push(("form_proof", proof.clone()));
            }
            let text = encoded(&pairs);
            let request = if *method == Method::GET {
                broker.http().get(broker.url(&format!("{path}?{text}")))
            } else {
                let form = "application/x-www-form-urlencoded";
                broker.http().post(broker.url(path)).header("content-type", form).body(text.clone())
            };
            let answer = request.header("cookie", &cookies).send().await;

            let status = answer.map(|answer| answer.status().as_u16());
            assert!(matches!(status, Ok(200..=499)), "{method} {path} {text} {cookies}: {status:?}");
        }
    }
}
