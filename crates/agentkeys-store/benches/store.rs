//! What durable writes and reads cost.

use std::{sync::Arc, time::Duration};

use agentkeys_store::{
    Action, AuditStore, CodeAnswer, EmailSignIn, EmailSignInStore, Entry, Limit, Opening, Outcome, Purpose,
    SessionOpening, SessionStore, SqliteStore,
};
use agentkeys_types::{ClientId, Identity, OmniAccount, RequestIdDigest, SessionId, Timestamp};
use divan::{Bencher, counter::ItemsCount};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const APPENDS_EACH: usize = 100;

fn main() {
    divan::main();
}

fn open() -> (Runtime, Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let store = SqliteStore::open(&folder.path().join("broker.db")).expect("a store");
    (Runtime::new().expect("a runtime"), Arc::new(store), folder)
}

fn entry() -> Entry {
    Entry {
        at: NOW,
        action: Action::MintOidcJwt,
        outcome: Outcome::Done,
        account: Some(OmniAccount::from_bytes([1; 32])),
        session: Some(SessionId::from_bytes([2; 16])),
        subject: "aud=sts.amazonaws.com jti=0123456789abcdef0123456789abcdef".to_owned(),
        source: Some([127, 0, 0, 1].into()),
    }
}

/// Durable audit entries, as many at once as there are waiters, each counted against a limit.
#[divan::bench(args = [1, 8, 64, 256], sample_count = 10, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, waiters: usize) {
    let (runtime, store, _folder) = open();
    bencher.counter(ItemsCount::new(waiters * APPENDS_EACH)).bench(|| {
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for _ in 0..waiters {
                let store = store.clone();
                all.spawn(async move {
                    for _ in 0..APPENDS_EACH {
                        let limit = Limit { key: "mint:1".to_owned(), most: u32::MAX, window: Duration::from_mins(1) };
                        store.append(entry(), vec![limit]).await.expect("an entry");
                    }
                });
            }
            all.join_all().await;
        });
    });
}

/// A session by its id, as every request looks it up.
#[divan::bench]
fn find_session(bencher: Bencher<'_, '_>) {
    let (runtime, store, _folder) = open();
    let id = SessionId::from_bytes([2; 16]);
    runtime.block_on(open_session(&store, id));
    bencher.bench(|| runtime.block_on(store.find_session(id)).expect("a read").expect("a session"));
}

async fn open_session(store: &SqliteStore, id: SessionId) {
    let (request, code_hash) = (RequestIdDigest([3; 32]), [4; 32]);
    let email: agentkeys_types::EmailAddress = "ada@example.com".parse().expect("an address");
    let identity = Identity::email(email.clone());
    let expires_at = NOW.after(Duration::from_hours(24));
    let sign_in = EmailSignIn {
        request,
        email,
        code_hash,
        client_name: None,
        created_at: NOW,
        expires_at,
        key: None,
        purpose: Purpose::Session,
    };
    store.begin_email_sign_in(sign_in, vec![], None).await.expect("a sign-in");
    let anchor = OmniAccount::anchored_by(&ClientId::default(), &identity);
    let opening = Opening::Session(SessionOpening { identity, email: None, anchor, id, expires_at });
    store
        .answer(CodeAnswer { request, code_hash, purpose: Purpose::Session, now: NOW }, opening, entry(), vec![], None)
        .await
        .expect("a session");
}
