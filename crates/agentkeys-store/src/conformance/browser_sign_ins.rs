//! [`BrowserSignInStore`](crate::BrowserSignInStore), and codes that prove an address to a browser.

use std::sync::Arc;

use agentkeys_types::{Identity, Timestamp};

use super::{
    approval::{
        approved, begin_browser, begin_grant, browser, code, decide, device, grant, grant_state, prove, proved, subject,
    },
    sample::{
        MANY, MINUTE, NOW, RIGHT, account, at_once, count, email, entry, letter, limit, link, outcomes, recorded,
        request, retire, seconds, sign_in,
    },
};
use crate::{
    Action, Beginning, Begun, BoundedLetter, BrowserSignIn, BrowserState, CodeAnswer, CodeOutcome, Decided, Decision,
    EmailSignIn, Entry, FoundBrowser, GrantState, Opening, Outcome, Proved, Purpose, Store,
};

/// Every field comes back, and the grant with it; without its grant it is not found.
pub async fn a_browser_is_found_as_it_was_begun(store: Arc<dyn Store>) {
    let grant = begin_grant(&store, 1, code()).await;
    let sign_in = browser(2, 1);

    begin_browser(&store, sign_in.clone()).await;
    begin_browser(&store, browser(3, 9)).await;

    let found = FoundBrowser { sign_in, state: BrowserState::Waiting, grant, grant_state: GrantState::Waiting };
    assert_eq!(store.find_browser_sign_in(request(2)).await.unwrap(), Some(found));
    for number in [1, 3] {
        assert_eq!(store.find_browser_sign_in(request(number)).await.unwrap(), None);
    }
}

/// All of them are there.
pub async fn a_beginning_brings_its_grant_its_code_and_its_letter(store: Arc<dyn Store>) {
    let begun = store.begin_browser_sign_in(by_mail(1, 10), vec![limit("email", 1, MINUTE)]).await.unwrap();

    assert_eq!(begun, Begun::Begun);
    assert_eq!(found(&store, 1).await.grant, grant(1, code()));
    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), Some(code_for_browser(1)));
    let mail = store.claim_mail(NOW, MINUTE).await.unwrap().unwrap();
    assert_eq!((mail.recipient, mail.letter), (code_for_browser(1).email, letter(NOW)));
}

/// Over a limit, with a full queue, or where one of its ids is taken; and no limit counts it.
pub async fn a_beginning_is_kept_whole_or_not_at_all(store: Arc<dyn Store>) {
    let free = || limit("free", 1, MINUTE);
    let of_none = limit("none", 0, MINUTE);
    store.begin_email_sign_in(sign_in(2), vec![], None).await.unwrap();

    let limited = store.begin_browser_sign_in(by_mail(1, 10), vec![free(), of_none]).await.unwrap();
    let full = store.begin_browser_sign_in(by_mail(1, 0), vec![free()]).await.unwrap();
    store.begin_browser_sign_in(by_mail(2, 10), vec![free()]).await.unwrap_err();

    assert_eq!((limited, full), (Begun::Limited { retry_after: MINUTE }, Begun::QueueFull));
    for number in [1, 2] {
        assert_eq!(store.find_grant(request(number)).await.unwrap(), None);
        begin_grant(&store, number, code()).await;
        assert_eq!(store.find_browser_sign_in(request(number)).await.unwrap(), None);
    }
    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), None);
    assert_eq!(store.mails_waiting(NOW).await.unwrap().count, 0);
    let begun = store.begin_browser_sign_in(by_mail(3, 10), vec![free()]).await.unwrap();
    assert_eq!(begun, Begun::Begun);
}

/// However many at once.
pub async fn of_many_answers_one_is_taken(store: Arc<dyn Store>) {
    begin_grant(&store, 1, code()).await;
    begin_browser(&store, browser(1, 1)).await;

    let taken = at_once(&store, |store, _| async move { answer(&store, 1, NOW).await }).await;

    assert_eq!(count(&taken, &true), 1);
    assert_eq!(found(&store, 1).await.state, BrowserState::Answered);
}

/// Only a code does.
pub async fn a_provider_does_not_answer_for_an_address(store: Arc<dyn Store>) {
    store.begin_browser_sign_in(by_mail(1, 10), vec![]).await.unwrap();

    assert!(!answer(&store, 1, NOW).await);

    assert_eq!(found(&store, 1).await.state, BrowserState::Waiting);
}

/// However many at once, and not before.
pub async fn an_identity_is_proved_once_after_the_answer(store: Arc<dyn Store>) {
    begin_grant(&store, 1, code()).await;
    begin_browser(&store, browser(1, 1)).await;
    assert!(!store.prove_browser_sign_in(request(1), proved("mallory")).await.unwrap());
    assert!(answer(&store, 1, NOW).await);

    let taken = at_once(&store, |store, number| async move {
        let name = format!("ada{number}");
        store.prove_browser_sign_in(request(1), proved(&name)).await.unwrap().then_some(name)
    })
    .await;

    let [name] = taken.into_iter().flatten().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(found(&store, 1).await.state, BrowserState::Proved(proved(&name)));
}

/// The last second before counts; the expiry itself does not, and nothing does after it was seen.
pub async fn a_browser_ends_at_its_expiry_wherever_the_clock_goes(store: Arc<dyn Store>) {
    let expiry = NOW.after(MINUTE);
    for number in 1..=4 {
        begin_grant(&store, number, device(number)).await;
    }
    for number in [1, 2] {
        begin_browser(&store, BrowserSignIn { expires_at: expiry, ..browser(number, number) }).await;
    }
    for number in [3, 4] {
        prove(&store, BrowserSignIn { expires_at: expiry, ..browser(number, number) }, "ada").await;
    }

    assert!(!answer(&store, 1, expiry).await);
    assert!(!answer(&store, 1, NOW).await);
    assert!(answer(&store, 2, expiry.before(seconds(1))).await);
    assert_eq!(decide(&store, 3, Decision::Approve, expiry).await, Decided::Over);
    assert_eq!(decide(&store, 3, Decision::Approve, NOW).await, Decided::Over);
    assert_eq!(decide(&store, 4, Decision::Approve, expiry.before(seconds(1))).await, Decided::Done);
    for number in [1, 3] {
        assert_eq!(found(&store, number).await.state, BrowserState::Over);
        assert_eq!(grant_state(&store, number).await, GrantState::Waiting);
    }
}

/// Nor where there is no browser.
pub async fn nothing_is_decided_before_the_proof(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;
    begin_browser(&store, browser(1, 1)).await;

    for decision in [Decision::Approve, Decision::Refuse] {
        assert_eq!(decide(&store, 1, decision.clone(), NOW).await, Decided::Over);
        assert_eq!(decide(&store, 2, decision, NOW).await, Decided::Over);
    }
    assert!(answer(&store, 1, NOW).await);
    assert_eq!(decide(&store, 1, Decision::Approve, NOW).await, Decided::Over);

    assert_eq!(grant_state(&store, 1).await, GrantState::Waiting);
    assert!(recorded(&store).await.is_empty());
}

/// That is recorded when it is redeemed.
pub async fn a_refusal_is_recorded_and_an_approval_is_not(store: Arc<dyn Store>) {
    approved(&store, 1, device(1), "ada").await;
    begin_grant(&store, 2, device(2)).await;
    prove(&store, browser(2, 2), "ada").await;
    assert!(recorded(&store).await.is_empty());

    let refused = Entry { outcome: Outcome::Refused, session: None, ..entry(Action::SignIn, NOW) };
    assert_eq!(store.decide(request(2), Decision::Refuse, refused).await.unwrap(), Decided::Done);

    assert_eq!(outcomes(&store).await, [("sign_in".to_owned(), "refused".to_owned())]);
    for number in [1, 2] {
        assert_eq!(found(&store, number).await.state, BrowserState::Decided);
    }
    assert_eq!(grant_state(&store, 1).await, GrantState::Approved(proved("ada")));
    assert_eq!(grant_state(&store, 2).await, GrantState::Refused);
}

/// Whichever it is.
pub async fn of_many_decisions_one_counts(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;
    prove(&store, browser(1, 1), "ada").await;

    let decided = at_once(&store, |store, number| async move {
        let decision = if number % 2 == 0 { Decision::Approve } else { Decision::Refuse };
        (number % 2, decide(&store, 1, decision, NOW).await)
    })
    .await;

    let (counts, _) = *decided.iter().find(|(_, decided)| *decided == Decided::Done).unwrap();
    assert_eq!(decided.iter().filter(|(_, decided)| *decided == Decided::Over).count(), MANY - 1);
    let state = if counts == 0 { GrantState::Approved(proved("ada")) } else { GrantState::Refused };
    assert_eq!(grant_state(&store, 1).await, state);
    assert_eq!(recorded(&store).await.len(), counts);
}

/// The grant opens as its identity, and the others are over.
pub async fn of_many_browsers_about_one_grant_one_decides(store: Arc<dyn Store>) {
    begin_grant(&store, 1, device(1)).await;
    for number in 0..MANY {
        prove(&store, browser(number, 1), &format!("ada{number}")).await;
    }

    let decided = at_once(&store, |store, number| async move {
        (decide(&store, number, Decision::Approve, NOW).await == Decided::Done).then_some(number)
    })
    .await;

    let [winner] = decided.into_iter().flatten().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(grant_state(&store, 1).await, GrantState::Approved(proved(&format!("ada{winner}"))));
    for number in 0..MANY {
        let state = if number == winner { BrowserState::Decided } else { BrowserState::Over };
        assert_eq!(found(&store, number).await.state, state);
    }
}

/// However long its browser has, and wherever the clock goes.
pub async fn a_grant_that_is_over_is_not_decided(store: Arc<dyn Store>) {
    let expiry = begin_grant(&store, 1, device(1)).await.expires_at;
    for number in [1, 2] {
        prove(&store, BrowserSignIn { expires_at: expiry.after(MINUTE), ..browser(number, 1) }, "ada").await;
    }

    assert_eq!(decide(&store, 1, Decision::Approve, expiry).await, Decided::Over);
    assert_eq!(decide(&store, 2, Decision::Refuse, NOW).await, Decided::Over);

    assert_eq!(grant_state(&store, 1).await, GrantState::Expired);
    for number in [1, 2] {
        assert_eq!(found(&store, number).await.state, BrowserState::Over);
    }
    assert!(recorded(&store).await.is_empty());
}

/// Nothing is recorded or linked before the grant is redeemed.
pub async fn the_right_code_lets_the_browser_decide(store: Arc<dyn Store>) {
    store.begin_browser_sign_in(by_mail(1, 10), vec![]).await.unwrap();

    assert_eq!(answer_with_code(&store, 1, NOW).await, CodeOutcome::Accepted { account: None });

    let ada = Proved { identity: email("ada"), email: None };
    assert_eq!(found(&store, 1).await.state, BrowserState::Proved(ada.clone()));
    assert_eq!(answer_with_code(&store, 1, NOW).await, CodeOutcome::Over);
    assert_eq!(decide(&store, 1, Decision::Approve, NOW).await, Decided::Done);
    assert_eq!(grant_state(&store, 1).await, GrantState::Approved(ada));
    assert!(recorded(&store).await.is_empty());
    assert_eq!(store.find_account(&email("ada")).await.unwrap(), None);
}

/// Or for one that never was; the code is used up, and nothing recorded.
pub async fn a_code_for_a_browser_that_is_over_is_over(store: Arc<dyn Store>) {
    let expiry = NOW.after(MINUTE);
    for number in [1, 2] {
        let beginning = by_mail(number, 10);
        let sign_in = BrowserSignIn { expires_at: expiry, ..beginning.sign_in };
        store.begin_browser_sign_in(Beginning { sign_in, ..beginning }, vec![]).await.unwrap();
    }
    store.begin_email_sign_in(code_for_browser(3), vec![], None).await.unwrap();

    assert_eq!(answer_with_code(&store, 1, expiry).await, CodeOutcome::Over);
    assert_eq!(answer_with_code(&store, 1, NOW).await, CodeOutcome::Over);
    assert_eq!(answer_with_code(&store, 3, NOW).await, CodeOutcome::Over);

    assert_eq!(found(&store, 1).await.state, BrowserState::Over);
    let last_second = expiry.before(seconds(1));
    assert_eq!(answer_with_code(&store, 2, last_second).await, CodeOutcome::Accepted { account: None });
    assert!(recorded(&store).await.is_empty());
}

/// Even where it has the same request id.
pub async fn a_code_does_not_answer_for_a_provider(store: Arc<dyn Store>) {
    begin_grant(&store, 1, code()).await;
    begin_browser(&store, browser(1, 1)).await;
    store.begin_email_sign_in(code_for_browser(1), vec![], None).await.unwrap();

    assert_eq!(answer_with_code(&store, 1, NOW).await, CodeOutcome::Over);

    assert_eq!(found(&store, 1).await.state, BrowserState::Waiting);
}

/// And that is recorded for the account that it had opened.
pub async fn a_retired_identity_is_not_proved(store: Arc<dyn Store>) {
    link(&store, email("ada"), "ada", NOW).await;
    retire(&store, "ada", email("ada"), subject("ada")).await;
    store.begin_browser_sign_in(by_mail(1, 10), vec![]).await.unwrap();

    assert_eq!(answer_with_code(&store, 1, NOW).await, CodeOutcome::Retired);

    assert_eq!(decide(&store, 1, Decision::Approve, NOW).await, Decided::Over);
    let entries = recorded(&store).await;
    let last = entries.last().unwrap();
    assert_eq!((last.action.as_str(), last.outcome.as_str()), ("sign_in", "retired"));
    assert_eq!((last.account, last.session), (Some(account("ada")), None));
}

/// A browser, a grant and a code of this number, and a letter for a queue that holds so many.
fn by_mail(number: usize, most_waiting: u32) -> Beginning {
    let letter = BoundedLetter { letter: letter(NOW), most_waiting };
    Beginning {
        sign_in: BrowserSignIn { way: Identity::identity_type(&email("ada")).clone(), ..browser(number, number) },
        grant: Some(grant(number, code())),
        email: Some((code_for_browser(number), Some(letter))),
    }
}

fn code_for_browser(number: usize) -> EmailSignIn {
    EmailSignIn { purpose: Purpose::Browser, client_name: None, key: None, ..sign_in(number) }
}

async fn found(store: &Arc<dyn Store>, number: usize) -> FoundBrowser {
    store.find_browser_sign_in(request(number)).await.unwrap().unwrap()
}

async fn answer(store: &Arc<dyn Store>, number: usize, now: Timestamp) -> bool {
    store.answer_browser_sign_in(request(number), now).await.unwrap()
}

/// Answers with the right code of this number.
async fn answer_with_code(store: &Arc<dyn Store>, number: usize, now: Timestamp) -> CodeOutcome {
    let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: Purpose::Browser, now };
    let proof = Opening::Proof(email("ada"));
    store.answer(answer, proof, entry(Action::SignIn, now), vec![], None).await.unwrap()
}
