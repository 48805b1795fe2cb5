//! [`EmailSignInStore`](crate::EmailSignInStore), without its limits.

use std::sync::Arc;

use super::sample::{
    DAY, KEY, MANY, MINUTE, NOW, RIGHT, WRONG, account, answer, at_once, begin, count, email, entry, open_session,
    opening, outcomes, recorded, request, seconds, session, sign_in,
};
use crate::{
    Action, CodeAnswer, CodeOutcome, EmailSignIn, Entry, IdentityLink, Linking, Opening, Purpose, SessionOpening,
    SessionRecord, Store,
};

const MOST_WRONG: usize = crate::MOST_WRONG_CODES as usize;

/// Every field comes back.
pub async fn a_sign_in_is_found_as_it_was_begun(store: Arc<dyn Store>) {
    let nameless = EmailSignIn { client_name: None, ..sign_in(2) };

    begin(&store, 1).await;
    store.begin_email_sign_in(nameless.clone(), vec![], None).await.unwrap();

    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), Some(sign_in(1)));
    assert_eq!(store.find_email_sign_in(request(2)).await.unwrap(), Some(nameless));
    assert_eq!(store.find_email_sign_in(request(3)).await.unwrap(), None);
}

/// A second one under the same id is an error, and the first stays.
pub async fn a_request_id_names_one_sign_in_only(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    let again = EmailSignIn { code_hash: WRONG, ..sign_in(1) };
    store.begin_email_sign_in(again, vec![], None).await.unwrap_err();

    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), Some(sign_in(1)));
}

/// And cancelling what is not there is no error.
pub async fn a_cancelled_sign_in_is_unknown(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    store.cancel_email_sign_in(request(1)).await.unwrap();
    store.cancel_email_sign_in(request(1)).await.unwrap();

    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), None);
    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Unknown);
}

/// The session, the identity's link and the entry are all there.
pub async fn the_right_code_opens_a_session_and_is_recorded(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    let now = NOW.after(MINUTE);

    let outcome = answer(&store, 1, RIGHT, now).await;

    let ada = account("ada");
    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(ada) });
    let opened = SessionRecord {
        id: session(1),
        account: ada,
        identity: email("ada"),
        client_name: sign_in(1).client_name,
        created_at: now,
        auth_time: now,
        expires_at: now.after(30 * DAY),
        revoked_at: None,
        key: Some(KEY),
        source: Some([127, 0, 0, 1].into()),
        last_used_at: None,
        renewed_at: None,
    };
    assert_eq!(store.find_session(session(1)).await.unwrap(), Some(opened));
    let link = IdentityLink { identity: email("ada"), account: ada, email: None, linked_at: now };
    assert_eq!(store.identities(ada).await.unwrap(), [link]);
    let entries = recorded(&store).await;
    assert_eq!((entries[0].action.as_str(), entries[0].outcome.as_str()), ("sign_in", "done"));
    assert_eq!((entries[0].account, entries[0].session), (Some(ada), Some(session(1))));
    assert_eq!(entries.len(), 1);
}

/// Exactly one, however many at once.
pub async fn of_many_right_codes_one_is_accepted(store: Arc<dyn Store>) {
    begin(&store, 0).await;

    let outcomes = at_once(&store, |store, number| async move {
        let answer = CodeAnswer { request: request(0), code_hash: RIGHT, purpose: Purpose::Session, now: NOW };
        store.answer(answer, opening("ada", number, NOW), entry(Action::SignIn, NOW), vec![], None).await.unwrap()
    })
    .await;

    assert_eq!(count(&outcomes, &CodeOutcome::Accepted { account: Some(account("ada")) }), 1);
    assert_eq!(count(&outcomes, &CodeOutcome::Over), outcomes.len() - 1);
    assert_eq!(store.sessions(account("ada"), NOW).await.unwrap().len(), 1);
    assert_eq!(recorded(&store).await.len(), 1);
}

/// Each of the five is recorded without a session, and none of the others is.
pub async fn of_many_wrong_codes_five_are_counted(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    let all = at_once(&store, |store, _| async move { answer(&store, 1, WRONG, NOW).await }).await;

    assert_eq!(count(&all, &CodeOutcome::Wrong), MOST_WRONG);
    assert_eq!(count(&all, &CodeOutcome::Over), all.len() - MOST_WRONG);
    assert_eq!(outcomes(&store).await, vec![("sign_in".to_owned(), "wrong_code".to_owned()); MOST_WRONG]);
    assert!(recorded(&store).await.iter().all(|entry| entry.session.is_none()));
}

/// It comes too late.
pub async fn the_right_code_after_five_wrong_ones_is_over(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    for _ in 0..MOST_WRONG {
        assert_eq!(answer(&store, 1, WRONG, NOW).await, CodeOutcome::Wrong);
    }

    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Over);

    assert_eq!(store.find_session(session(1)).await.unwrap(), None);
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), None);
}

/// It comes in time.
pub async fn the_right_code_after_four_wrong_ones_is_accepted(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    for _ in 1..MOST_WRONG {
        assert_eq!(answer(&store, 1, WRONG, NOW).await, CodeOutcome::Wrong);
    }

    let outcome = answer(&store, 1, RIGHT, NOW).await;

    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(account("ada")) });
    assert_eq!(answer(&store, 1, WRONG, NOW).await, CodeOutcome::Over);
}

/// And no more than four wrong ones come before.
pub async fn right_codes_among_wrong_ones_are_accepted_once_at_most(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    let outcomes = at_once(&store, |store, number| async move {
        answer(&store, 1, if number % 4 == 0 { RIGHT } else { WRONG }, NOW).await
    })
    .await;

    let accepted = count(&outcomes, &CodeOutcome::Accepted { account: Some(account("ada")) });
    let wrong = count(&outcomes, &CodeOutcome::Wrong);
    assert!((accepted, wrong) == (0, MOST_WRONG) || (accepted == 1 && wrong < MOST_WRONG), "{accepted} {wrong}");
    assert_eq!(recorded(&store).await.len(), accepted + wrong);
}

/// The last second before counts; the expiry itself does not, and nothing does after it was seen.
pub async fn a_code_ends_at_its_expiry_wherever_the_clock_goes(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    begin(&store, 2).await;
    let expiry = sign_in(1).expires_at;

    assert_eq!(answer(&store, 1, RIGHT, expiry).await, CodeOutcome::Over);
    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Over);
    assert!(recorded(&store).await.is_empty());
    let accepted = CodeOutcome::Accepted { account: Some(account("ada")) };
    assert_eq!(answer(&store, 2, RIGHT, expiry.before(seconds(1))).await, accepted);
}

/// However often it is answered, each is recorded like a wrong code.
pub async fn an_unknown_request_is_unknown(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    for _ in 0..=MOST_WRONG {
        assert_eq!(answer(&store, 2, RIGHT, NOW).await, CodeOutcome::Unknown);
    }

    assert_eq!(outcomes(&store).await, vec![("sign_in".to_owned(), "wrong_code".to_owned()); MOST_WRONG + 1]);
    assert!(recorded(&store).await.iter().all(|entry| (entry.account, entry.session) == (None, None)));
}

/// The refusal is recorded.
pub async fn a_refused_code_is_used_up_and_opens_nothing(store: Arc<dyn Store>) {
    begin(&store, 1).await;

    let outcome = refuse(&store, 1).await;

    assert_eq!(outcome, CodeOutcome::Accepted { account: None });
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), None);
    assert_eq!(outcomes(&store).await, [("sign_in".to_owned(), "not_allowed".to_owned())]);
    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Over);
}

/// In the outcome and in the record.
pub async fn a_refusal_names_the_account_where_there_is_one(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    begin(&store, 2).await;

    let outcome = refuse(&store, 2).await;

    assert_eq!(outcome, CodeOutcome::Accepted { account: Some(ada) });
    assert_eq!(recorded(&store).await[1].account, Some(ada));
    assert_eq!(store.sessions(ada, NOW).await.unwrap().len(), 1);
}

/// The identity is linked once, and each sign-in opens a session.
pub async fn signing_in_again_opens_the_same_account(store: Arc<dyn Store>) {
    let first = open_session(&store, "ada", 1, NOW).await;
    let second = open_session(&store, "ada", 2, NOW.after(MINUTE)).await;

    assert_eq!(first, second);
    assert_eq!(store.identities(first).await.unwrap()[0].linked_at, NOW);
    assert_eq!(store.sessions(first, NOW.after(MINUTE)).await.unwrap().len(), 2);
}

/// Not the one that it would anchor.
pub async fn a_linked_identity_opens_the_account_that_it_is_linked_to(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    let link = IdentityLink { identity: email("ada.too"), account: ada, email: None, linked_at: NOW };
    let linking = store.link_identity(link, entry(Action::LinkIdentity, NOW), None).await.unwrap();
    assert_eq!(linking, Linking::Linked);

    let opened = open_session(&store, "ada.too", 2, NOW).await;

    assert_eq!(opened, ada);
    assert_eq!(store.find_session(session(2)).await.unwrap().unwrap().account, ada);
    assert_eq!(recorded(&store).await[2].account, Some(ada));
}

/// The code is not used up, nothing is linked, and nothing recorded.
pub async fn a_session_id_that_is_taken_changes_nothing(store: Arc<dyn Store>) {
    let mallory = open_session(&store, "mallory", 9, NOW).await;
    begin(&store, 1).await;

    let right = CodeAnswer { request: request(1), code_hash: RIGHT, purpose: Purpose::Session, now: NOW };
    store.answer(right, opening("ada", 9, NOW), entry(Action::SignIn, NOW), vec![], None).await.unwrap_err();

    assert_eq!(store.find_session(session(9)).await.unwrap().unwrap().account, mallory);
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), None);
    assert_eq!(recorded(&store).await.len(), 1);
    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Accepted { account: Some(account("ada")) });
}

/// Even if each would anchor another.
pub async fn first_sign_ins_at_once_open_one_account(store: Arc<dyn Store>) {
    let accounts = at_once(&store, |store, number| async move {
        begin(&store, number).await;
        let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: Purpose::Session, now: NOW };
        let opening = Opening::Session(SessionOpening {
            identity: email("ada"),
            anchor: account(&format!("anchor{number}")),
            id: session(number),
            expires_at: NOW.after(DAY),
            email: None,
        });
        store.answer(answer, opening, entry(Action::SignIn, NOW), vec![], None).await.unwrap()
    })
    .await;

    let opened = store.find_account(&email("ada")).await.unwrap();
    assert_eq!(count(&accounts, &CodeOutcome::Accepted { account: opened }), accounts.len());
    assert_eq!(store.sessions(opened.unwrap(), NOW).await.unwrap().len(), accounts.len());
}

/// It counts nothing there, and is recorded like a wrong one; nor is that of one session known to another.
pub async fn a_code_of_one_purpose_is_unknown_to_another(store: Arc<dyn Store>) {
    let purposes = [Purpose::Session, Purpose::Browser, to_link("ada", 1), to_link("ada", 2)];
    for (number, purpose) in purposes.into_iter().enumerate() {
        store.begin_email_sign_in(EmailSignIn { purpose, ..sign_in(number) }, vec![], None).await.unwrap();
    }

    let mut unknown = 0;
    for (number, of_code) in purposes.iter().enumerate() {
        for purpose in purposes.into_iter().filter(|purpose| purpose != of_code) {
            for code_hash in [RIGHT, WRONG, WRONG] {
                let answer = CodeAnswer { request: request(number), code_hash, purpose, now: NOW };
                let entry = entry(Action::SignIn, NOW);
                let outcome = store.answer(answer, opening("ada", 9, NOW), entry, vec![], None).await.unwrap();
                assert_eq!(outcome, CodeOutcome::Unknown);
                unknown += 1;
            }
        }
    }

    assert_eq!(outcomes(&store).await, vec![("sign_in".to_owned(), "wrong_code".to_owned()); unknown]);
    assert_eq!(answer(&store, 0, RIGHT, NOW).await, CodeOutcome::Accepted { account: Some(account("ada")) });
    for number in [2, 3] {
        let outcome = answer_to_link(&store, number, "ada", number - 1).await;
        assert!(matches!(outcome, CodeOutcome::Linked(_)), "{outcome:?}");
    }
}

/// However many at once, and it opens no session.
pub async fn a_linking_code_is_taken_once_and_links(store: Arc<dyn Store>) {
    begin_to_link(&store, 1, "mallory", 1).await;

    let all = at_once(&store, |store, _| async move { answer_to_link(&store, 1, "mallory", 1).await }).await;

    assert_eq!(count(&all, &CodeOutcome::Linked(Linking::Linked)), 1);
    assert_eq!(count(&all, &CodeOutcome::Over), all.len() - 1);
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), Some(account("mallory")));
    assert!(store.sessions(account("mallory"), NOW).await.unwrap().is_empty());
    assert_eq!(outcomes(&store).await, [("link_identity".to_owned(), "done".to_owned())]);
}

/// And that is recorded.
pub async fn a_code_that_links_what_is_taken_is_used_up(store: Arc<dyn Store>) {
    open_session(&store, "ada", 9, NOW).await;
    begin_to_link(&store, 1, "mallory", 1).await;

    assert_eq!(answer_to_link(&store, 1, "mallory", 1).await, CodeOutcome::Linked(Linking::Taken));

    assert_eq!(answer_to_link(&store, 1, "mallory", 1).await, CodeOutcome::Over);
    assert_eq!(outcomes(&store).await[1..], [("link_identity".to_owned(), "taken".to_owned())]);
}

/// The other is told, and nothing of the first is changed.
pub async fn of_two_accounts_that_link_by_code_one_gets_the_identity(store: Arc<dyn Store>) {
    let names = ["ada", "mallory"];
    for number in 0..MANY {
        begin_to_link(&store, number, names[number % 2], number).await;
    }

    let all = at_once(&store, |store, number| async move {
        let to = names[number % 2];
        let CodeOutcome::Linked(linking) = answer_to_link(&store, number, to, number).await else { panic!("{to}") };
        (account(to), linking)
    })
    .await;

    let owner = store.find_account(&email("ada")).await.unwrap().unwrap();
    assert_eq!(count(&all, &(owner, Linking::Linked)), 1);
    assert_eq!(count(&all, &(owner, Linking::Already)), MANY / 2 - 1);
    assert_eq!(all.iter().filter(|(to, linking)| *to != owner && *linking == Linking::Taken).count(), MANY / 2);
}

fn to_link(name: &str, by: usize) -> Purpose {
    Purpose::Link { session: session(by), account: account(name) }
}

/// Begins to link ada's address to the account of this name, for the session `by`.
async fn begin_to_link(store: &Arc<dyn Store>, number: usize, name: &str, by: usize) {
    let sign_in = EmailSignIn { purpose: to_link(name, by), ..sign_in(number) };
    store.begin_email_sign_in(sign_in, vec![], None).await.unwrap();
}

async fn answer_to_link(store: &Arc<dyn Store>, number: usize, name: &str, by: usize) -> CodeOutcome {
    let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: to_link(name, by), now: NOW };
    let link = IdentityLink { identity: email("ada"), account: account(name), email: None, linked_at: NOW };
    let entry = Entry { account: Some(account(name)), ..entry(Action::LinkIdentity, NOW) };
    store.answer(answer, Opening::Link(link), entry, vec![], None).await.unwrap()
}

async fn refuse(store: &Arc<dyn Store>, number: usize) -> CodeOutcome {
    let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: Purpose::Session, now: NOW };
    let entry = Entry { account: None, session: None, ..entry(Action::SignIn, NOW) };
    store.answer(answer, Opening::Refused, entry, vec![], None).await.unwrap()
}
