//! [`RestoreStore`](crate::RestoreStore).

use std::sync::Arc;

use super::{
    approval::{
        approved, begin_browser, begin_grant, browser, decide, device, grant_state, link, prove, proved, redeem,
        redeem_link,
    },
    sample::{
        MINUTE, NOW, RIGHT, WRONG, account, agent, answer, at_once, begin, begin_with_letter, challenged, count, entry,
        grant, open_session, outcomes, request, session, wallet,
    },
};
use crate::{Action, Agent, CodeOutcome, Decided, Decision, GrantState, Proof, Redeemed, Store};

/// Those of every account, from that time on; one that was revoked before keeps its own time.
pub async fn every_session_ends(store: Arc<dyn Store>) {
    let ada = open_session(&store, "ada", 1, NOW).await;
    open_session(&store, "ada", 2, NOW).await;
    let mallory = open_session(&store, "mallory", 3, NOW).await;
    store.revoke_session(ada, session(1), entry(Action::RevokeSession, NOW)).await.unwrap();

    let ended = store.end_everything(entry(Action::DetectRestore, NOW.after(MINUTE))).await.unwrap();

    assert_eq!(ended, 2);
    for (number, minutes) in [(1, 0), (2, 1), (3, 1)] {
        let session = store.find_session(session(number)).await.unwrap().unwrap();
        assert_eq!(session.revoked_at, Some(NOW.after(minutes * MINUTE)));
    }
    assert!(store.sessions(mallory, NOW).await.unwrap().is_empty());
}

/// Whoever answers hears that they are over, and what was never asked for is as unknown as before.
pub async fn open_sign_ins_and_challenges_end(store: Arc<dyn Store>) {
    begin(&store, 1).await;
    let challenge = challenged(&store, 1, "ada", wallet(1)).await;

    store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap();

    assert_eq!(answer(&store, 1, RIGHT, NOW).await, CodeOutcome::Over);
    let proof = store.prove(challenge.request, challenge.session, entry(Action::ProveWallet, NOW)).await.unwrap();
    assert_eq!(proof, Proof::Expired);
    assert_eq!(answer(&store, 2, WRONG, NOW).await, CodeOutcome::Unknown);
}

/// What waits and what is approved, at whatever stage; what was decided before stays as it was.
pub async fn grants_and_browsers_end(store: Arc<dyn Store>) {
    for number in 1..=3 {
        begin_grant(&store, number, device(number)).await;
    }
    begin_browser(&store, browser(1, 1)).await;
    begin_browser(&store, browser(2, 2)).await;
    assert!(store.answer_browser_sign_in(request(2), NOW).await.unwrap());
    prove(&store, browser(3, 3), "ada").await;
    approved(&store, 4, device(4), "ada").await;
    approved(&store, 5, link("ada"), "ada").await;
    approved(&store, 6, device(6), "ada").await;
    let opened = Redeemed::Opened { account: account("ada") };
    assert_eq!(redeem(&store, 6, "ada", 6, NOW).await, opened);

    store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap();

    assert!(!store.answer_browser_sign_in(request(1), NOW).await.unwrap());
    assert!(!store.prove_browser_sign_in(request(2), proved("ada")).await.unwrap());
    assert_eq!(decide(&store, 3, Decision::Approve, NOW).await, Decided::Over);
    assert_eq!(redeem(&store, 4, "ada", 4, NOW).await, Redeemed::Over);
    assert_eq!(redeem_link(&store, 5, "ada", "ada", NOW).await, None);
    for number in 1..=5 {
        assert_eq!(grant_state(&store, number).await, GrantState::Expired);
    }
    assert_eq!(grant_state(&store, 6).await, GrantState::Used { opened: Some(session(6)) });
}

/// One that was revoked since cannot be told from the others; one that was over before keeps its own time.
pub async fn agents_expire(store: Arc<dyn Store>) {
    let later = NOW.after(2 * MINUTE);
    grant(&store, agent("ada", "claude")).await;
    grant(&store, Agent { expires_at: Some(later), ..agent("ada", "codex") }).await;
    grant(&store, Agent { expires_at: Some(NOW), ..agent("mallory", "old") }).await;

    store.end_everything(entry(Action::DetectRestore, NOW.after(MINUTE))).await.unwrap();

    let ends = |agents: Vec<Agent>| agents.into_iter().map(|agent| agent.expires_at).collect::<Vec<_>>();
    assert_eq!(ends(store.agents(account("ada")).await.unwrap()), [Some(NOW.after(MINUTE)); 2]);
    assert_eq!(ends(store.agents(account("mallory")).await.unwrap()), [Some(NOW)]);
}

/// They were sent already, or tell of what is no longer so.
pub async fn mails_that_wait_are_forgotten(store: Arc<dyn Store>) {
    begin_with_letter(&store, 1).await;

    store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap();

    assert_eq!(store.claim_mail(NOW, MINUTE).await.unwrap(), None);
}

/// As the account that it always was.
pub async fn signing_in_goes_on_after_everything_ended(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap();

    assert_eq!(open_session(&store, "ada", 2, NOW).await, account("ada"));

    assert!(store.find_session(session(2)).await.unwrap().unwrap().stands(NOW));
}

/// Also where nothing was open.
pub async fn an_end_of_everything_is_recorded(store: Arc<dyn Store>) {
    assert_eq!(store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap(), 0);

    assert_eq!(outcomes(&store).await, [("restore_detected".to_owned(), "done".to_owned())]);
}

/// However many at once, and each is recorded.
pub async fn a_session_is_ended_once(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;

    let ended =
        at_once(
            &store,
            |store, _| async move { store.end_everything(entry(Action::DetectRestore, NOW)).await.unwrap() },
        )
        .await;

    assert_eq!(count(&ended, &1), 1);
    assert_eq!(outcomes(&store).await.len(), 1 + ended.len());
}
