//! [`PurgeStore`](crate::PurgeStore).

use std::sync::Arc;

use super::{
    approval::{approved, begin_grant, code, device, subject},
    sample::{
        DAY, MINUTE, NOW, account, agent, begin_with_letter, challenged, email, entry, grant, limit, open_session,
        recorded, request, retire, seconds, session, sign_in, wallet,
    },
};
use crate::{AGENTS_KEPT, Action, Agent, CODE_KEPT, FLOWS_KEPT, Recorded, SESSIONS_KEPT, Store};

/// Sign-ins, mails, challenges, sessions and limits, each at its own time.
pub async fn what_is_long_over_is_forgotten(store: Arc<dyn Store>) {
    open_session(&store, "ada", 9, NOW).await;
    begin_with_letter(&store, 1).await;
    let challenge = challenged(&store, 1, "ada", wallet(1)).await;
    store.append(entry(Action::MintOidcJwt, NOW), vec![limit("mint", 1, MINUTE)]).await.unwrap();

    assert_eq!(store.purge(NOW.after(MINUTE)).await.unwrap(), 1);
    assert_eq!(store.purge(sign_in(1).expires_at).await.unwrap(), 1);
    assert_eq!(store.purge(challenge.expires_at.after(FLOWS_KEPT)).await.unwrap(), 1);
    assert_eq!(store.purge(sign_in(1).expires_at.after(FLOWS_KEPT)).await.unwrap(), 2);
    assert_eq!(store.purge(NOW.after(30 * DAY + SESSIONS_KEPT)).await.unwrap(), 1);

    assert_eq!(store.find_email_sign_in(request(1)).await.unwrap(), None);
    assert_eq!(store.find_challenge(request(1), session(1)).await.unwrap(), None);
    assert_eq!(store.find_session(session(9)).await.unwrap(), None);
    let again = store.append(entry(Action::MintOidcJwt, NOW), vec![limit("mint", 1, MINUTE)]).await.unwrap();
    assert_eq!(again, Recorded::Recorded);
}

/// To the second.
pub async fn what_is_not_long_over_is_kept(store: Arc<dyn Store>) {
    open_session(&store, "ada", 9, NOW).await;
    begin_with_letter(&store, 1).await;
    challenged(&store, 1, "ada", wallet(1)).await;
    store.append(entry(Action::MintOidcJwt, NOW), vec![limit("mint", 1, MINUTE)]).await.unwrap();

    assert_eq!(store.purge(NOW.after(seconds(59))).await.unwrap(), 0);
    assert_eq!(store.purge(sign_in(1).expires_at.before(seconds(1))).await.unwrap(), 1);
    assert!(store.claim_mail(NOW, MINUTE).await.unwrap().is_some());
    assert_eq!(store.purge(sign_in(1).expires_at).await.unwrap(), 1);
    assert_eq!(store.purge(NOW.after(5 * MINUTE + FLOWS_KEPT).before(seconds(1))).await.unwrap(), 0);
    assert!(store.find_challenge(request(1), session(1)).await.unwrap().is_some());
    assert_eq!(store.purge(NOW.after(30 * DAY + SESSIONS_KEPT).before(seconds(1))).await.unwrap(), 3);
    assert!(store.find_session(session(9)).await.unwrap().is_some());
}

/// To the second; an approved code by when it counts no more, and a browser by its own time.
pub async fn grants_and_browsers_are_forgotten_a_day_after_they_are_over(store: Arc<dyn Store>) {
    approved(&store, 1, code(), "ada").await;
    let waiting = begin_grant(&store, 2, device(2)).await;
    let (code_over, over) = (NOW.after(CODE_KEPT + FLOWS_KEPT), waiting.expires_at.after(FLOWS_KEPT));

    assert_eq!(store.purge(code_over.before(seconds(1))).await.unwrap(), 0);
    assert_eq!(store.purge(code_over).await.unwrap(), 1);
    assert_eq!(store.find_grant(request(1)).await.unwrap(), None);
    assert_eq!(store.find_browser_sign_in(request(1)).await.unwrap(), None);
    assert_eq!(store.purge(over.before(seconds(1))).await.unwrap(), 0);
    assert_eq!(store.purge(over).await.unwrap(), 2);
    assert_eq!(store.find_grant(request(2)).await.unwrap(), None);
}

/// However much there is.
pub async fn more_than_one_step_is_forgotten(store: Arc<dyn Store>) {
    for number in 0..1_200 {
        let limits = vec![limit(&format!("email:{number}"), 1, MINUTE), limit("all", 5_000, 60 * MINUTE)];
        store.begin_email_sign_in(sign_in(number), limits, None).await.unwrap();
    }

    assert_eq!(store.purge(NOW.after(MINUTE)).await.unwrap(), 1_200);
    assert_eq!(store.purge(NOW.after(30 * DAY)).await.unwrap(), 1_201);
    assert_eq!(store.purge(NOW.after(30 * DAY)).await.unwrap(), 0);
}

/// To the second; one that does not expire is kept.
pub async fn an_agent_is_forgotten_a_month_after_its_expiry(store: Arc<dyn Store>) {
    for ends in [agent("ada", "claude"), Agent { expires_at: Some(NOW), ..agent("ada", "codex") }] {
        grant(&store, ends).await;
    }
    let over = NOW.after(AGENTS_KEPT);

    assert_eq!(store.purge(over.before(seconds(1))).await.unwrap(), 0);
    assert_eq!(store.purge(over).await.unwrap(), 1);

    assert_eq!(store.agents(account("ada")).await.unwrap(), [agent("ada", "claude")]);
}

/// Neither identities nor wallets, agents, pins nor the audit record.
pub async fn what_lasts_is_never_forgotten(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    store.link_wallet(account("ada"), wallet(1), entry(Action::LinkWallet, NOW)).await.unwrap();
    grant(&store, agent("ada", "claude")).await;
    store.pin("client_id", "agentkeys").await.unwrap();

    store.purge(NOW.after(3_650 * DAY)).await.unwrap();

    assert_eq!(store.find_account(&email("ada")).await.unwrap(), Some(account("ada")));
    assert_eq!(store.wallets(account("ada")).await.unwrap().len(), 1);
    assert_eq!(store.agents(account("ada")).await.unwrap().len(), 1);
    assert_eq!(store.pinned("").await.unwrap().len(), 1);
    assert_eq!(recorded(&store).await.len(), 3);
}

/// Or its next holder would open the account.
pub async fn a_retired_anchor_is_never_forgotten(store: Arc<dyn Store>) {
    open_session(&store, "ada", 1, NOW).await;
    retire(&store, "ada", email("ada"), subject("ada")).await;

    store.purge(NOW.after(3_650 * DAY)).await.unwrap();

    assert!(store.is_retired(&email("ada")).await.unwrap());
}
