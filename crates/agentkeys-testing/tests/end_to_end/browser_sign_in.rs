//! `agentkeys init` with a browser: on this machine, on another one, and where nothing comes of it.

use std::fs;

use agentkeys_testing::{System, TestProvider};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use crate::{
    acme,
    machine::{Machine, files},
    visitor::Visitor,
    waiting::{Ended, Waiting},
};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn at_a_desktop_a_browser_is_opened_and_comes_back() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();

    let mut init = Waiting::start(system.used_by(machine.init_at_desktop(&["--oauth2", "acme"])));
    let shown = init.told("  Sign in in the browser window that has just opened, or open  ").await;
    let opened = fs::read_to_string(machine.opened()).unwrap();
    let mut browser = Visitor::of(&system);
    let page = browser.open(&opened).await;
    let done = browser.approve_at_acme(&page).await;
    let ended = init.end().await;

    assert_eq!(opened, shown);
    assert_eq!(page.title(), "Sign in to AgentKeys");
    assert!(page.find_form("/oauth/sign-in/email").is_none(), "`--oauth2` leaves one choice: {page:?}");
    // The code stays in nobody's address bar.
    assert_eq!(browser.address(), format!("{}/oauth/done", system.broker_url()));
    assert_eq!(done.title(), "You are signed in");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("✓ Signed in as g-1001 (oauth2_acme)\n✓ Wallet 0x"), "{ended:?}");
    assert!(ended.stdout.contains("\n✓ Wallet proved; session until "), "{ended:?}");
    let again = run(&system, machine.init_at_desktop(&[])).await;
    assert!(again.stdout.starts_with("Already signed in as g-1001, until "), "{again:?}");
}

#[tokio::test]
async fn with_an_address_and_a_code_on_the_page_the_same_account_is_opened_as_in_the_terminal() {
    let (system, _provider) = acme().await;
    let (by_page, by_terminal) = (Machine::with_credential(), Machine::with_credential());

    let mut init = Waiting::start(system.used_by(by_page.init(&["--no-browser", "--json"])));
    let mut browser = Visitor::of(&system);
    let page = browser.open(&init.told("  Sign in in a browser on this machine: open  ").await).await;
    let page = browser.submit(&page, "/oauth/sign-in/email", &[("email", ADA)]).await;
    let code = system.mailed_code(ADA).await;
    let question = browser.submit(&page, "/oauth/sign-in/code", &[("code", &code)]).await;
    browser.decide(&question, "approve").await;
    let by_page = init.end().await.document();
    let mut init = Waiting::start(system.used_by(by_terminal.init(&["--email", ADA, "--json"])));
    init.type_line(&system.mailed_code(ADA).await).await;
    let by_terminal = init.end().await.document();

    assert_eq!((&by_page["account"], &by_page["wallet"]), (&by_terminal["account"], &by_terminal["wallet"]));
}

#[tokio::test]
async fn over_ssh_a_code_is_shown_and_who_refuses_signs_nobody_in() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();
    let mut command = machine.init_at_desktop(&["--oauth2", "acme"]);
    command.env("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22");

    let mut init = Waiting::start(system.used_by(command));
    let (url, code) = (init.told("  Open     ").await, init.told("  Code     ").await);
    let provider = init.told("  Choose   ").await;
    let mut browser = Visitor::of(&system);
    let page = browser.type_user_code(&url, &code).await;
    let question = browser.prove_at_acme(&page).await;
    let done = browser.decide(&question, "refuse").await;
    let ended = init.end().await;

    assert_eq!((url, provider.as_str()), (format!("{}/device", system.broker_url()), "acme"));
    assert!(question.text().contains("ada@acme.example"), "it does not name the person: {question:?}");
    assert_eq!(done.title(), "Nothing was changed");
    assert_eq!(ended.code(), Some(4), "{ended:?}");
    assert!(ended.stderr.contains("error: the person refused (access_denied)\nhint: "), "{ended:?}");
    assert!(!machine.opened().exists(), "a browser was opened where nobody sees it");
    assert_eq!(kept(&machine), 0);
}

#[tokio::test]
async fn who_refuses_in_the_browser_of_this_machine_signs_nobody_in() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();

    let mut init = Waiting::start(system.used_by(machine.init(&["--no-browser", "--json"])));
    let mut browser = Visitor::of(&system);
    let page = browser.open(&init.told("open  ").await).await;
    let question = browser.prove_at_acme(&page).await;
    let done = browser.decide(&question, "refuse").await;
    let failure = init.end().await.failure();

    assert_eq!(done.title(), "Nothing was changed");
    assert_eq!((failure.0, failure.1.as_str()), (4, "access_denied"));
    assert_eq!(kept(&machine), 0);
}

#[tokio::test]
async fn what_cannot_begin_is_refused_before_anybody_is_asked() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();

    for (flags, code, words) in [
        (
            &["--oauth2", "unknown", "--device"][..],
            "unknown_provider",
            "no identity provider `unknown`, only: email, acme",
        ),
        (
            &["--oauth2", "unknown", "--no-browser"],
            "unknown_provider",
            "no identity provider `unknown`, only: email, acme",
        ),
        (&["--no-input", "--device"], "input_needed", "a person must sign in on a page in a browser"),
        (&["--no-input", "--no-browser"], "input_needed", "`--email ADDRESS` takes the code from stdin"),
    ] {
        let failure = run(&system, machine.init(&[flags, &["--json"]].concat())).await.failure();

        assert_eq!((failure.0, failure.1.as_str()), (2, code), "{flags:?}");
        assert!(failure.2.contains(words), "{flags:?}: {}", failure.2);
    }
    assert_eq!(kept(&machine), 0);
}

#[tokio::test]
async fn ctrl_c_while_it_waits_leaves_nothing_behind() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();
    let before = files(machine.path());

    let mut in_browser = Waiting::start(system.used_by(machine.init(&["--no-browser", "--json"])));
    let url = in_browser.told("open  ").await;
    let listener = listener_of(&url);
    TcpStream::connect(&listener).await.expect("it listens");
    in_browser.interrupt();
    let in_browser = in_browser.end().await;
    let mut on_device = Waiting::start(system.used_by(machine.init(&["--device"])));
    on_device.told("Waiting for you there…").await;
    on_device.interrupt();
    let on_device = on_device.end().await;

    let failure = in_browser.failure();
    assert_eq!((failure.0, failure.1.as_str()), (130, "interrupted"));
    assert_eq!(on_device.code(), Some(130), "{on_device:?}");
    assert!(TcpStream::connect(&listener).await.is_err(), "something listens still");
    let mut after = files(machine.path());
    after.retain(|file| file.extension().is_none_or(|extension| extension != "lock"));
    assert_eq!(after, before);
}

#[tokio::test]
async fn no_secret_of_a_sign_in_is_in_a_log_a_file_an_argument_or_on_a_screen() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();
    let mut browser = Visitor::of(&system);

    let mut init = Waiting::start(system.used_by(machine.init(&["--no-browser"])));
    let url = init.told("open  ").await;
    let mut seen = init.arguments();
    let page = browser.open(&url).await;
    browser.approve_at_acme(&page).await;
    seen.push_str(&init.end().await.screen());
    let mut add = Waiting::start(system.used_by(machine.agentkeys(&["identities", "add", "--email", ADA])));
    let code = system.mailed_code(ADA).await;
    seen.push_str(&add.arguments());
    add.type_line(&code).await;
    seen.push_str(&add.end().await.screen());
    let again = Machine::with_credential();
    let mut init = Waiting::start(system.used_by(again.init(&["--device"])));
    let (page, user_code) = (init.told("  Open     ").await, init.told("  Code     ").await);
    seen.push_str(&init.arguments());
    let page = browser.type_user_code(&page, &user_code).await;
    browser.approve_at_acme(&page).await;
    let on_device = init.end().await.screen();

    let log = system.broker_log();
    assert!(log.contains("answered status=200"), "the log is short");
    let mut places =
        vec![("log", log.into_bytes()), ("screen", on_device.clone().into_bytes()), ("screen", seen.into_bytes())];
    for folder in [machine.path(), again.path(), &system.broker_state()] {
        places.extend(files(folder).into_iter().map(|file| ("file", fs::read(file).unwrap())));
    }
    let mut secrets = vec![("mail code", code.replace('-', "")), ("mail code", code)];
    secrets.push(("client secret", TestProvider::CLIENT_SECRET.to_owned()));
    secrets.push(("session token", "aks_".to_owned()));
    for name in ["code", "nonce"] {
        let values = browser.seen(name);
        assert!(values.len() >= 2, "{name} was not seen");
        secrets.extend(values.into_iter().map(|value| (name, value)));
    }
    for (place, bytes) in &places {
        for (what, secret) in &secrets {
            assert!(!contains(bytes, secret.as_bytes()), "the {what} is in a {place}");
        }
        for challenge in browser.seen("code_challenge") {
            assert!(!has_verifier(bytes, &challenge), "the PKCE verifier is in a {place}");
        }
    }
    // The person's own, which they are to see there; but nobody else.
    for (place, bytes) in places.iter().filter(|(_, bytes)| *bytes != on_device.as_bytes()) {
        assert!(!contains(bytes, user_code.as_bytes()), "the user code is in a {place}");
    }
    // In the address that the person opens, for which it must be on their screen.
    for state in browser.seen("state") {
        for (place, bytes) in places.iter().filter(|(place, _)| *place != "screen") {
            assert!(!contains(bytes, state.as_bytes()), "the state is in a {place}");
        }
    }
}

async fn run(system: &System, command: tokio::process::Command) -> Ended {
    Waiting::start(system.used_by(command)).end().await
}

/// How many sessions a machine keeps.
fn kept(machine: &Machine) -> usize {
    fs::read_dir(machine.sessions()).map_or(0, Iterator::count)
}

/// Where the command waits for the browser that goes to this address.
fn listener_of(url: &str) -> String {
    let url: reqwest::Url = url.parse().unwrap();
    let (_, back) = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    let back: reqwest::Url = back.parse().unwrap();
    format!("{}:{}", back.host_str().unwrap(), back.port().unwrap())
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

/// Whether anything in `bytes` is what this challenge (RFC 7636) was made of.
fn has_verifier(bytes: &[u8], challenge: &str) -> bool {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let is_in_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let words = bytes.split(|byte| !is_in_one(byte)).filter(|word| word.len() >= 43);
    let mut pieces = words.flat_map(|word| [43, 64].into_iter().flat_map(|length| word.windows(length)));
    pieces.any(|piece| URL_SAFE_NO_PAD.encode(Sha256::digest(piece)) == challenge)
}
