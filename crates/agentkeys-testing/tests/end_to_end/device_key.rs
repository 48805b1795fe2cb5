//! Which key a machine signs in with: the one that it has, until it is signed out.

use std::fs;

use agentkeys_testing::System;

use crate::{
    acme,
    machine::Machine,
    visitor::Visitor,
    waiting::{Ended, Waiting},
};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn whichever_way_a_person_signs_in_again_the_machine_has_the_same_key() {
    let (system, _provider) = acme().await;
    let machine = Machine::with_credential();
    let mut browser = Visitor::of(&system);

    by_mail(&system, &machine, &[]).await.document();
    let by_mail = key(&system, &machine).await;
    let mut init = Waiting::start(system.used_by(machine.init(&["--force", "--no-browser", "--json"])));
    let page = browser.open(&init.told("  Sign in in a browser on this machine: open  ").await).await;
    browser.approve_at_acme(&page).await;
    init.end().await.document();
    let in_browser = key(&system, &machine).await;
    let mut init = Waiting::start(system.used_by(machine.init(&["--force", "--device", "--json"])));
    let (url, code) = (init.told("  Open     ").await, init.told("  Code     ").await);
    let page = browser.type_user_code(&url, &code).await;
    browser.approve_at_acme(&page).await;
    init.end().await.document();
    let on_device = key(&system, &machine).await;

    assert!(by_mail.is_some());
    assert_eq!((&in_browser, &on_device), (&by_mail, &by_mail));
}

#[tokio::test]
async fn a_session_that_was_revoked_or_has_no_key_leaves_the_machine_its_own() {
    let (system, machine) = (System::start().await, Machine::with_credential());
    by_mail(&system, &machine, &[]).await.document();
    let first = key(&system, &machine).await;

    run(&system, &machine, &["revoke", "--json"]).await.document();
    by_mail(&system, &machine, &[]).await.document();
    let after_revocation = key(&system, &machine).await;
    // A worker refuses such a session, which is kept all the same.
    by_mail(&system, &machine, &["--force", "--no-bind"]).await;
    let unbound = key(&system, &machine).await;
    let again = by_mail(&system, &machine, &["--force"]).await.document();
    let after_unbound = key(&system, &machine).await;

    assert!(first.is_some());
    assert_eq!((&after_revocation, &unbound, &after_unbound), (&first, &None, &first));
    if system.has_worker() {
        assert_eq!(again["devices"]["devices"].as_array().unwrap().len(), 1, "{again}");
        assert_eq!(again["devices"]["revision"], 1, "nobody was recovered: {again}");
    }
}

#[tokio::test]
async fn a_machine_has_another_key_once_it_was_signed_out_or_somebody_asks_for_one() {
    let (system, machine) = (System::start().await, Machine::with_credential());
    by_mail(&system, &machine, &[]).await.document();
    let first = key(&system, &machine).await.unwrap();

    let mut init = Waiting::start(system.used_by(machine.init(&["--email", ADA, "--new-device-key"])));
    init.type_line(&system.mailed_code(ADA).await).await;
    let asked = init.end().await;
    let second = key(&system, &machine).await.unwrap();
    run(&system, &machine, &["logout", "--json"]).await.document();
    by_mail(&system, &machine, &[]).await.document();
    let third = key(&system, &machine).await.unwrap();

    assert_eq!(asked.code(), Some(0), "{asked:?}");
    assert!(asked.stderr.contains(&format!("`agentkeys devices remove {first}`")), "{asked:?}");
    assert!(first != second && second != third && third != first, "{first} {second} {third}");
}

#[tokio::test]
async fn each_broker_sees_a_key_of_its_own() {
    let (one, other, machine) = (System::start().await, System::start().await, Machine::with_credential());
    by_mail(&one, &machine, &[]).await.document();
    let at_one = key(&one, &machine).await;

    let asked = by_mail(&other, &machine, &["--force"]).await.document();
    let at_other = key(&other, &machine).await;
    let mut init = Waiting::start(one.used_by(machine.init(&["--email", ADA, "--force"])));
    let note = init.told("  Device   ").await;

    assert!(at_one.is_some() && at_other.is_some());
    assert_ne!(at_one, at_other);
    assert_eq!(asked["new_device_key"], "other_broker", "{asked}");
    assert!(note.starts_with("a new key: the one for http://"), "{note}");
    assert!(note.ends_with(" is not kept; another `--profile` keeps both"), "{note}");
}

#[tokio::test]
async fn the_key_before_is_named_also_where_another_store_is_to_keep_the_new_one() {
    let (system, machine) = (System::start().await, Machine::with_credential());
    machine.set_role(&system);
    by_mail(&system, &machine, &[]).await.document();
    let first = key(&system, &machine).await.unwrap();
    let in_memory = ["--store", "memory", "init", "--email", ADA, "--new-device-key"];

    let mut init = Waiting::start(system.used_by(machine.agentkeys(&in_memory)));
    init.type_line(&system.mailed_code(ADA).await).await;
    let named = init.told("`agentkeys devices remove ").await;
    init.interrupt();

    assert_eq!(named, format!("{first}`"));
}

#[tokio::test]
async fn what_stays_in_a_keychain_that_is_gone_is_said() {
    let (system, machine) = (System::start().await, Machine::with_credential());
    by_mail(&system, &machine, &[]).await.document();
    fs::write(machine.sessions().join("default.store"), "keychain\n").unwrap();

    let mut init = Waiting::start(system.used_by(machine.init(&["--email", ADA, "--new-device-key"])));
    init.type_line(&system.mailed_code(ADA).await).await;
    let said = init.told("  Storage  the sign-in before and its device key stay in the keychain, because ").await;
    let ended = init.end().await;

    assert!(said.contains("`agentkeys --store keychain logout --local` forgets them there"), "{said}");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(key(&system, &machine).await.is_some(), "the file is remembered from now on");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_replaced_only_where_somebody_asks_for_that() {
    let (system, machine) = (System::start().await, Machine::with_credential());
    by_mail(&system, &machine, &[]).await.document();
    let first = key(&system, &machine).await;
    let mails = system.mails_to(ADA).await.len();
    fs::write(machine.credential(), [8; 32]).unwrap();

    let unreadable = run(&system, &machine, &["--store", "file", "init", "--force", "--email", ADA, "--json"]).await;
    let file = machine.sessions().join("default.age");
    fs::write(machine.credential(), [7; 32]).unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let damaged = run(&system, &machine, &["--store", "file", "init", "--force", "--email", ADA, "--json"]).await;
    let asked_for_nothing = system.mails_to(ADA).await.len() == mails;
    let replaced = by_mail(&system, &machine, &["--new-device-key"]).await.document();

    assert_eq!(replaced["new_device_key"], "asked", "{replaced}");
    for (refused, code) in [(unreadable, "wrong_store_key"), (damaged, "session_file_damaged")] {
        let (exit, said, text) = refused.failure();
        assert_eq!((exit, said.as_str()), (8, code));
        assert!(text.starts_with("the device key of the sign-in before cannot be read"), "{text}");
        assert!(text.contains("`agentkeys init --new-device-key`"), "{text}");
    }
    assert!(asked_for_nothing);
    assert_ne!(key(&system, &machine).await, first);
}

async fn by_mail(system: &System, machine: &Machine, flags: &[&str]) -> Ended {
    let mut init = Waiting::start(system.used_by(machine.init(&[&["--email", ADA, "--json"], flags].concat())));
    init.type_line(&system.mailed_code(ADA).await).await;
    init.end().await
}

async fn run(system: &System, machine: &Machine, arguments: &[&str]) -> Ended {
    Waiting::start(system.used_by(machine.agentkeys(arguments))).end().await
}

/// The key of the session that is kept; none, where it is bound to none.
async fn key(system: &System, machine: &Machine) -> Option<String> {
    let whoami = run(system, machine, &["whoami", "--json"]).await.document();
    whoami["device"]["key"].as_str().map(str::to_owned)
}
