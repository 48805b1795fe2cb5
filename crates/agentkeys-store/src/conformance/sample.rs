use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agentkeys_types::{
    ClientId, EvmAddress, Identity, KeyThumbprint, OmniAccount, RequestIdDigest, SessionId, Timestamp,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    Action, Agent, BoundedLetter, Challenge, CodeAnswer, CodeOutcome, EmailSignIn, Entry, Granting, IdentityLink,
    Letter, Limit, Linking, Opening, Outcome, Purpose, RecordedEntry, SessionOpening, Store, Unlinking, verify_chain,
};

pub(super) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
/// The device key of every sign-in here.
pub(super) const KEY: KeyThumbprint = KeyThumbprint::from_bytes([9; 32]);
pub(super) const RIGHT: [u8; 32] = [7; 32];
pub(super) const WRONG: [u8; 32] = [8; 32];

/// How many do something at once where a promise is about races.
pub(super) const MANY: usize = 64;

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn email(name: &str) -> Identity {
    Identity::email(format!("{name}@example.com").parse().unwrap())
}

pub(super) fn account(name: &str) -> OmniAccount {
    OmniAccount::anchored_by(&ClientId::default(), &email(name))
}

pub(super) fn wallet(number: u8) -> EvmAddress {
    EvmAddress::from_bytes([number; 20])
}

pub(super) fn request(number: usize) -> RequestIdDigest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
    RequestIdDigest(digest)
}

pub(super) fn session(number: usize) -> SessionId {
    SessionId::from_bytes((number as u128).to_be_bytes())
}

pub(super) fn entry(action: Action, at: Timestamp) -> Entry {
    Entry {
        at,
        action,
        outcome: Outcome::Done,
        account: Some(account("ada")),
        session: Some(session(1)),
        subject: "email:ada@example.com".to_owned(),
        source: Some([127, 0, 0, 1].into()),
    }
}

pub(super) fn limit(key: &str, most: u32, window: Duration) -> Limit {
    Limit { key: key.to_owned(), most, window }
}

/// A notice that was written at `now`.
pub(super) fn letter(now: Timestamp) -> Letter {
    Letter { content: vec![9], written_at: now, expires_at: now.after(10 * MINUTE) }
}

pub(super) fn sign_in(number: usize) -> EmailSignIn {
    EmailSignIn {
        request: request(number),
        email: "ada@example.com".parse().unwrap(),
        code_hash: RIGHT,
        client_name: Some("ada's laptop".to_owned()),
        created_at: NOW,
        expires_at: NOW.after(10 * MINUTE),
        key: Some(KEY),
        purpose: Purpose::Session,
    }
}

pub(super) async fn begin(store: &Arc<dyn Store>, number: usize) {
    store.begin_email_sign_in(sign_in(number), vec![], None).await.unwrap();
}

/// Begins a sign-in whose letter waits to leave, for as long as the code works.
pub(super) async fn begin_with_letter(store: &Arc<dyn Store>, number: usize) {
    let sign_in = sign_in(number);
    let letter = Letter { content: vec![1], written_at: sign_in.created_at, expires_at: sign_in.expires_at };
    let bounded = BoundedLetter { letter, most_waiting: 1_000 };
    store.begin_email_sign_in(sign_in, vec![], Some(bounded)).await.unwrap();
}

/// Answers ada's sign-in of this number, to open a session of the same number.
pub(super) async fn answer(store: &Arc<dyn Store>, number: usize, code_hash: [u8; 32], now: Timestamp) -> CodeOutcome {
    let answer = CodeAnswer { request: request(number), code_hash, purpose: Purpose::Session, now };
    let entry = Entry { account: None, session: Some(session(number)), ..entry(Action::SignIn, now) };
    store.answer(answer, opening("ada", number, now), entry, vec![], None).await.unwrap()
}

pub(super) fn opening(name: &str, number: usize, now: Timestamp) -> Opening {
    Opening::Session(SessionOpening {
        identity: email(name),
        anchor: account(name),
        id: session(number),
        expires_at: now.after(30 * DAY),
        email: None,
    })
}

/// Signs somebody in at `now`, as the session of this number.
pub(super) async fn open_session(store: &Arc<dyn Store>, name: &str, number: usize, now: Timestamp) -> OmniAccount {
    let sign_in = EmailSignIn {
        email: email(name).value().parse().unwrap(),
        created_at: now,
        expires_at: now.after(10 * MINUTE),
        ..sign_in(number)
    };
    store.begin_email_sign_in(sign_in, vec![], None).await.unwrap();
    let answer = CodeAnswer { request: request(number), code_hash: RIGHT, purpose: Purpose::Session, now };
    let outcome =
        store.answer(answer, opening(name, number, now), entry(Action::SignIn, now), vec![], None).await.unwrap();
    let CodeOutcome::Accepted { account: Some(account) } = outcome else { panic!("{outcome:?}") };
    account
}

/// Links an identity to the account of this name.
pub(super) async fn link(store: &Arc<dyn Store>, identity: Identity, name: &str, now: Timestamp) -> Linking {
    let link = IdentityLink { identity, account: account(name), email: None, linked_at: now };
    store.link_identity(link, entry(Action::LinkIdentity, now), None).await.unwrap()
}

/// Takes an identity away from the account of this name.
pub(super) async fn unlink(store: &Arc<dyn Store>, identity: Identity, name: &str, is_anchor: bool) -> Unlinking {
    let entry = Entry { account: Some(account(name)), ..entry(Action::UnlinkIdentity, NOW) };
    store.unlink_identity(account(name), identity, is_anchor, entry, letter(NOW)).await.unwrap()
}

/// Retires the anchor of the account of this name, which another identity opens from now on.
pub(super) async fn retire(store: &Arc<dyn Store>, name: &str, anchor: Identity, instead: Identity) {
    assert_eq!(link(store, instead, name, NOW).await, Linking::Linked);
    assert!(matches!(unlink(store, anchor, name, true).await, Unlinking::Unlinked { .. }));
}

pub(super) fn challenge(number: usize, name: &str, address: EvmAddress) -> Challenge {
    Challenge {
        request: request(number),
        session: session(1),
        account: account(name),
        address,
        message: "broker.example wants you to sign in\n\nwith your Ethereum account".to_owned(),
        created_at: NOW,
        expires_at: NOW.after(5 * MINUTE),
    }
}

/// Links a wallet and issues a challenge for it.
pub(super) async fn challenged(store: &Arc<dyn Store>, number: usize, name: &str, address: EvmAddress) -> Challenge {
    store.link_wallet(account(name), address, entry(Action::LinkWallet, NOW)).await.unwrap();
    let challenge = challenge(number, name, address);
    store.issue_challenge(challenge.clone()).await.unwrap();
    challenge
}

/// An agent for AWS that never ends.
pub(super) fn agent(name: &str, agent: &str) -> Agent {
    Agent {
        account: account(name),
        name: agent.parse().unwrap(),
        audiences: BTreeSet::from(["sts.amazonaws.com".to_owned()]),
        created_at: NOW,
        expires_at: None,
    }
}

/// Grants what `agent` says, of at most three agents, and records that for its account.
pub(super) async fn grant(store: &Arc<dyn Store>, agent: Agent) -> Granting {
    let entry = Entry { account: Some(agent.account), ..entry(Action::GrantAgent, agent.created_at) };
    store.grant_agent(agent, 3, entry).await.unwrap()
}

/// The whole audit record, its chain checked.
pub(super) async fn recorded(store: &Arc<dyn Store>) -> Vec<RecordedEntry> {
    let entries = store.entries_after(0, u32::MAX).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    assert!(entries.first().is_none_or(|first| first.sequence == 1));
    entries
}

/// What the record says was done, and how it ended.
pub(super) async fn outcomes(store: &Arc<dyn Store>) -> Vec<(String, String)> {
    recorded(store).await.into_iter().map(|entry| (entry.action, entry.outcome)).collect()
}

/// Does something many times at once, and returns what came of it, in any order.
pub(super) async fn at_once<T, F>(store: &Arc<dyn Store>, one: impl Fn(Arc<dyn Store>, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(MANY));
    let mut all = JoinSet::new();
    for number in 0..MANY {
        let (start, one) = (start.clone(), one(store.clone(), number));
        all.spawn(async move {
            start.wait().await;
            one.await
        });
    }
    all.join_all().await
}

pub(super) fn count<T: PartialEq>(all: &[T], wanted: &T) -> usize {
    all.iter().filter(|one| *one == wanted).count()
}
