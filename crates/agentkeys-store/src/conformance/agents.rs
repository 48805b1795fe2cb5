//! [`AgentStore`](crate::AgentStore).

use std::{collections::BTreeSet, sync::Arc};

use agentkeys_types::Timestamp;

use super::sample::{MANY, MINUTE, NOW, account, agent, at_once, count, entry, grant, limit, outcomes, seconds};
use crate::{Action, Agent, AgentRecorded, Entry, Granting, Limit, Store};

const AWS: &str = "sts.amazonaws.com";
const VAULT: &str = "https://vault.example.com";
const RECORDED: AgentRecorded = AgentRecorded::Recorded { expires_at: None };

/// Every field comes back, and it is recorded.
pub async fn an_agent_is_listed_as_it_was_created(store: Arc<dyn Store>) {
    let ends = Agent { expires_at: Some(NOW.after(MINUTE)), ..for_both("claude") };

    assert_eq!(grant(&store, ends.clone()).await, Granting::Created(ends.clone()));

    assert_eq!(store.agents(account("ada")).await.unwrap(), [ends]);
    assert_eq!(outcomes(&store).await, [("grant_agent".to_owned(), "done".to_owned())]);
}

/// Also those that have expired; of two accounts each has an agent of the same name.
pub async fn agents_are_listed_by_name_and_for_their_account_only(store: Arc<dyn Store>) {
    for agent in [
        agent("ada", "codex"),
        Agent { expires_at: Some(NOW.before(MINUTE)), ..agent("ada", "claude") },
        agent("mallory", "codex"),
    ] {
        grant(&store, agent).await;
    }

    let listed: Vec<_> =
        store.agents(account("ada")).await.unwrap().into_iter().map(|agent| agent.name.to_string()).collect();

    assert_eq!(listed, ["claude", "codex"]);
    assert_eq!(store.agents(account("mallory")).await.unwrap(), [agent("mallory", "codex")]);
}

/// Audiences and expiry, each alone too; and each change is recorded.
pub async fn an_agent_may_have_something_else_and_keeps_its_date(store: Arc<dyn Store>) {
    grant(&store, agent("ada", "claude")).await;
    let later = NOW.after(MINUTE);

    for changed in [
        for_both("claude"),
        Agent { expires_at: Some(later), ..for_both("claude") },
        Agent { expires_at: Some(later), ..agent("ada", "claude") },
        agent("ada", "claude"),
    ] {
        let again = Agent { created_at: later, ..changed.clone() };
        assert_eq!(grant(&store, again).await, Granting::Changed(changed.clone()));
        assert_eq!(store.agents(account("ada")).await.unwrap(), [changed]);
    }

    assert_eq!(outcomes(&store).await.len(), 5);
}

/// Not even its date, and nothing is recorded; also where the account has as many as it may.
pub async fn granting_the_same_again_changes_nothing(store: Arc<dyn Store>) {
    for name in ["a", "b", "c"] {
        grant(&store, agent("ada", name)).await;
    }

    let again = grant(&store, Agent { created_at: NOW.after(MINUTE), ..agent("ada", "a") }).await;

    assert_eq!(again, Granting::Unchanged(agent("ada", "a")));
    assert_eq!(outcomes(&store).await.len(), 3);
}

/// Expired ones count, those of others do not, and one that goes makes room.
pub async fn an_account_has_no_more_agents_than_it_may(store: Arc<dyn Store>) {
    grant(&store, agent("mallory", "a")).await;
    for name in ["a", "b", "c"] {
        let expired = Agent { expires_at: Some(NOW.before(MINUTE)), ..agent("ada", name) };
        assert!(matches!(grant(&store, expired).await, Granting::Created(_)));
    }

    assert_eq!(grant(&store, agent("ada", "d")).await, Granting::TooMany);
    assert!(matches!(grant(&store, agent("ada", "a")).await, Granting::Changed(_)));
    assert_eq!(outcomes(&store).await.len(), 5);
    assert!(revoke(&store, "ada", "b").await);
    assert!(matches!(grant(&store, agent("ada", "d")).await, Granting::Created(_)));
}

/// To the last one.
pub async fn of_many_that_create_agents_no_more_than_allowed_do(store: Arc<dyn Store>) {
    let granted =
        at_once(&store, |store, number| async move { grant(&store, agent("ada", &format!("agent-{number}"))).await })
            .await;

    assert_eq!(count(&granted, &Granting::TooMany), MANY - 3);
    assert_eq!(store.agents(account("ada")).await.unwrap().len(), 3);
    assert_eq!(outcomes(&store).await.len(), 3);
}

/// The others find it as it is.
pub async fn of_many_that_create_one_agent_one_does(store: Arc<dyn Store>) {
    let granted = at_once(&store, |store, _| async move { grant(&store, agent("ada", "claude")).await }).await;

    assert_eq!(count(&granted, &Granting::Created(agent("ada", "claude"))), 1);
    assert_eq!(count(&granted, &Granting::Unchanged(agent("ada", "claude"))), MANY - 1);
    assert_eq!(outcomes(&store).await.len(), 1);
}

/// For its account only.
pub async fn a_revoked_agent_is_gone(store: Arc<dyn Store>) {
    grant(&store, agent("ada", "claude")).await;
    grant(&store, agent("mallory", "claude")).await;

    assert!(revoke(&store, "ada", "claude").await);

    assert!(store.agents(account("ada")).await.unwrap().is_empty());
    assert_eq!(store.agents(account("mallory")).await.unwrap().len(), 1);
    assert_eq!(outcomes(&store).await.last().unwrap().0, "revoke_agent");
}

/// There was nothing to do.
pub async fn revoking_what_is_not_there_is_not_recorded(store: Arc<dyn Store>) {
    grant(&store, agent("mallory", "claude")).await;

    assert!(!revoke(&store, "ada", "claude").await);

    assert_eq!(outcomes(&store).await.len(), 1);
}

/// And it is told when the agent ends.
pub async fn what_an_agent_may_have_is_recorded(store: Arc<dyn Store>) {
    let ends = Some(NOW.after(MINUTE));
    grant(&store, for_both("claude")).await;
    grant(&store, Agent { expires_at: ends, ..agent("ada", "codex") }).await;

    assert_eq!(append(&store, "claude", AWS, NOW, vec![]).await, RECORDED);
    assert_eq!(append(&store, "claude", VAULT, NOW, vec![]).await, RECORDED);
    assert_eq!(append(&store, "codex", AWS, NOW, vec![]).await, AgentRecorded::Recorded { expires_at: ends });

    assert_eq!(outcomes(&store).await.len(), 5);
}

/// Another audience, a part of one, an agent that is not there or is another account's; and nothing is counted.
pub async fn what_an_agent_may_not_have_is_not_recorded(store: Arc<dyn Store>) {
    grant(&store, agent("ada", "claude")).await;
    grant(&store, agent("mallory", "codex")).await;
    let once = || vec![limit("mint", 1, MINUTE)];

    for audience in [VAULT, "amazonaws.com", "STS.amazonaws.com", ""] {
        assert_eq!(append(&store, "claude", audience, NOW, once()).await, AgentRecorded::NotAllowed);
    }
    for name in ["codex", "claud", "claude-2"] {
        assert_eq!(append(&store, name, AWS, NOW, once()).await, AgentRecorded::Unknown);
    }

    assert_eq!(outcomes(&store).await.len(), 2);
    assert_eq!(append(&store, "claude", AWS, NOW, once()).await, RECORDED);
}

/// It counts up to, and not at, its expiry; and again when that is put off.
pub async fn an_agent_ends_at_its_expiry(store: Arc<dyn Store>) {
    let expiry = NOW.after(MINUTE);
    grant(&store, Agent { expires_at: Some(expiry), ..agent("ada", "claude") }).await;

    let before = append(&store, "claude", AWS, expiry.before(seconds(1)), vec![]).await;
    let at = append(&store, "claude", AWS, expiry, vec![]).await;
    grant(&store, agent("ada", "claude")).await;
    let after = append(&store, "claude", AWS, expiry, vec![]).await;

    assert_eq!(before, AgentRecorded::Recorded { expires_at: Some(expiry) });
    assert_eq!(at, AgentRecorded::Unknown);
    assert_eq!(after, RECORDED);
}

/// Together with what is not for an agent, and all or none of them.
pub async fn an_entry_for_an_agent_counts_against_its_limits(store: Arc<dyn Store>) {
    grant(&store, agent("ada", "claude")).await;
    let both = || vec![limit("wide", 3, MINUTE), limit("narrow", 1, MINUTE)];
    store.append(entry(Action::MintOidcJwt, NOW), vec![limit("wide", 3, MINUTE)]).await.unwrap();

    assert_eq!(append(&store, "claude", AWS, NOW, both()).await, RECORDED);
    let over = append(&store, "claude", AWS, NOW, both()).await;

    assert_eq!(over, AgentRecorded::Limited { retry_after: MINUTE });
    assert_eq!(outcomes(&store).await.len(), 3);
    assert_eq!(append(&store, "claude", AWS, NOW, vec![limit("wide", 3, MINUTE)]).await, RECORDED);
}

/// However many ask at the same moment.
pub async fn nothing_is_recorded_for_an_agent_after_its_revocation(store: Arc<dyn Store>) {
    grant(&store, agent("ada", "claude")).await;

    at_once(&store, |store, number| async move {
        if number == MANY / 2 {
            assert!(revoke(&store, "ada", "claude").await);
            assert_eq!(append(&store, "claude", AWS, NOW, vec![]).await, AgentRecorded::Unknown);
        } else {
            append(&store, "claude", AWS, NOW, vec![]).await;
        }
    })
    .await;

    let last = outcomes(&store).await.pop().unwrap();
    assert_eq!(last.0, "revoke_agent");
}

fn for_both(name: &str) -> Agent {
    Agent { audiences: BTreeSet::from([AWS, VAULT].map(str::to_owned)), ..agent("ada", name) }
}

async fn revoke(store: &Arc<dyn Store>, name: &str, agent: &str) -> bool {
    let entry = Entry { account: Some(account(name)), ..entry(Action::RevokeAgent, NOW) };
    store.revoke_agent(account(name), agent.parse().unwrap(), entry).await.unwrap()
}

async fn append(
    store: &Arc<dyn Store>,
    agent: &str,
    audience: &str,
    now: Timestamp,
    limits: Vec<Limit>,
) -> AgentRecorded {
    let entry = entry(Action::MintOidcJwt, now);
    store.append_for_agent(account("ada"), agent.parse().unwrap(), audience.to_owned(), entry, limits).await.unwrap()
}
