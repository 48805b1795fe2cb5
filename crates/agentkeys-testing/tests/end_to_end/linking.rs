//! Which identities open an account.

use agentkeys_testing::System;

use crate::{
    acme,
    machine::Machine,
    visitor::Visitor,
    waiting::{Ended, Waiting},
};

const ADA: &str = "ada@example.com";
const ELSEWHERE: &str = "ada@example.org";

#[tokio::test]
async fn a_second_address_opens_the_account_until_the_session_that_it_opened_removes_it() {
    let system = System::start().await;
    let (first, second) = (Machine::with_credential(), Machine::with_credential());
    sign_in(&system, &first, ADA).await;

    let mut add = start(&system, &first, &["identities", "add", "--email", ELSEWHERE, "--json"]);
    add.type_line(&system.mailed_code(ELSEWHERE).await).await;
    let added = add.end().await.document();
    let again = {
        let mut add = start(&system, &first, &["identities", "add", "--email", ELSEWHERE]);
        add.type_line(&system.mailed_code(ELSEWHERE).await).await;
        add.end().await
    };
    sign_in(&system, &second, ELSEWHERE).await;
    let [ours, theirs] = [whoami(&system, &first).await, whoami(&system, &second).await];
    let removed = run(&system, &second, &["identities", "remove", ELSEWHERE, "--yes"]).await;
    let after = run(&system, &second, &["--store", "file", "whoami", "--json"]).await.failure();

    assert_eq!((&added["added"], &added["identity"]["value"]), (&true.into(), &ELSEWHERE.into()));
    assert_eq!(
        (again.code(), again.stdout),
        (Some(0), "email:ada@example.org opens this account already.\n".to_owned())
    );
    assert_eq!((&ours["account"], &ours["wallets"]), (&theirs["account"], &theirs["wallets"]));
    assert!(
        removed.stdout.starts_with("✓ email:ada@example.org opens this account no more\n  Session "),
        "{removed:?}"
    );
    assert!(removed.stdout.contains("this one, ended\n  It had signed in here: `agentkeys init`"), "{removed:?}");
    assert_eq!((after.0, after.1.as_str()), (3, "token_revoked"));
}

#[tokio::test]
async fn an_identity_that_opens_an_account_is_linked_to_no_other_one() {
    let (system, provider) = acme().await;
    let (ada, grace) = (Machine::with_credential(), Machine::with_credential());
    let mut init = Waiting::start(system.used_by(ada.init(&["--no-browser", "--json"])));
    let mut browser = Visitor::of(&system);
    let page = browser.open(&init.told("open  ").await).await;
    browser.approve_at_acme(&page).await;
    init.end().await.document();
    sign_in(&system, &grace, "grace@example.com").await;

    let mut add = start(&system, &grace, &["identities", "add", "--oauth2", "acme", "--no-browser", "--json"]);
    let page = browser.open(&add.told("open  ").await).await;
    browser.approve_at_acme(&page).await;
    let taken = add.end().await.failure();
    let identities = run(&system, &grace, &["identities", "list", "--json"]).await.document();

    assert_eq!((taken.0, taken.1.as_str()), (1, "identity_taken"));
    assert!(taken.2.contains("accounts do not merge"), "{}", taken.2);
    assert_eq!(identities["identities"].as_array().unwrap().len(), 1);
    drop(provider);
}

#[tokio::test]
async fn what_cannot_be_removed_or_added_is_refused_with_the_way_out() {
    let system = System::start().await;
    let ada = Machine::with_credential();
    sign_in(&system, &ada, ADA).await;

    for (arguments, exit, code, words) in [
        (&["remove", ADA, "--yes"][..], 1, "last_identity", "link another one first: `agentkeys identities add`"),
        (&["remove", ADA], 2, "usage", "`--yes` says so"),
        (&["remove", "grace@example.com", "--yes"], 5, "not_found", "`agentkeys identities list` shows them"),
        (&["add", "--oauth2", "acme"], 2, "unknown_provider", "no identity provider `acme`, only: email"),
        (&["add", "--oauth2", "acme", "--no-input"], 2, "input_needed", "a person must sign in on a page"),
    ] {
        let arguments = [&["identities", "--json"], arguments].concat();
        let failure = run(&system, &ada, &arguments).await.failure();

        assert_eq!((failure.0, failure.1.as_str()), (exit, code), "{arguments:?}");
        assert!(failure.2.contains(words), "{arguments:?}: {}", failure.2);
    }
}

fn start(system: &System, machine: &Machine, arguments: &[&str]) -> Waiting {
    Waiting::start(system.used_by(machine.agentkeys(arguments)))
}

async fn run(system: &System, machine: &Machine, arguments: &[&str]) -> Ended {
    start(system, machine, arguments).end().await
}

async fn sign_in(system: &System, machine: &Machine, email: &str) {
    let mut init = Waiting::start(system.used_by(machine.init(&["--email", email, "--json"])));
    init.type_line(&system.mailed_code(email).await).await;
    init.end().await.document();
}

async fn whoami(system: &System, machine: &Machine) -> serde_json::Value {
    run(system, machine, &["whoami", "--json"]).await.document()
}
