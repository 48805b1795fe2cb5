//! A full disk: every write is refused, nothing is half written, and all works again once there is space.

use std::{
    fs,
    time::{Duration, Instant},
};

use agentkeys_crypto::random;
use agentkeys_signer::signing_log;
use agentkeys_store::{AuditStore, SqliteStore, verify_chain};
use agentkeys_testing::Answer;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    bench::{Bench, Settings},
    client::{Challenge, Client, SignedIn},
    small_disk::SmallDisk,
};

/// How soon everything must work again.
const RECOVERY: Duration = Duration::from_secs(5);
/// How many signings may fit into what is left of a page.
const LAST_LINES: usize = 16;

#[tokio::test]
async fn a_broker_on_a_full_disk_refuses_every_write_and_recovers() {
    let Some(bench) = start().await else { return };
    let disk = SmallDisk::of(bench.broker(), &bench.broker_state());
    let client = bench.client();
    let prepared = Prepared::new(&client).await;
    let writes = prepared.writes(&client);

    disk.fill();

    for _ in 0..2 {
        assert_eq!(not_refused(&client, &writes).await, Vec::<String>::new());
    }
    for path in ["/healthz", "/.well-known/openid-configuration", "/.well-known/jwks.json", "/v1/session-keys"] {
        client.send(client.broker(Method::GET, path)).await.unwrap().expect(200);
    }
    client.get("/v1/session", &prepared.ada.token).await.unwrap().expect(200);
    let readiness = client.send(client.broker(Method::GET, "/readyz")).await.unwrap().expect(503);
    assert_eq!(readiness.body["reasons"], json!(["the store cannot be written"]));
    assert_eq!(mails_to(&client, LATE).await, 0, "a code that is not kept was sent");

    disk.free();
    let freed = Instant::now();

    until_ready(&client, freed).await;
    let mut grace = None;
    for (name, request, _) in writes {
        let answer = client.send(request).await.unwrap();
        assert!((200..300).contains(&answer.status), "{name}: {answer:?}");
        if name == "verify a code" {
            grace = Some(SignedIn::read(&answer));
            // The refused attempts opened nothing.
            let sessions = client.get("/v1/sessions", answer.text("session_token")).await.unwrap().expect(200);
            assert_eq!(sessions.body["sessions"].as_array().unwrap().len(), 1);
        }
    }
    assert!(freed.elapsed() < RECOVERY, "{:?}", freed.elapsed());
    assert_eq!(client.get("/v1/session", &prepared.ada.token).await.unwrap().refusal(), (401, "token_revoked"));
    client.get("/v1/session", &grace.unwrap().token).await.unwrap().expect(200);
    assert_eq!(mails_to(&client, LATE).await, 1);
    // What was refused left no trace, what was done stands there once.
    let before = ["sign_in", "sign_in", "link_wallet", "link_wallet", "prove_wallet"];
    let after = ["sign_in", "link_wallet", "prove_wallet", "mint_oidc_jwt", "unlink_wallet", "revoke_session"];
    let expected = [before.as_slice(), &after, &["revoke_all_sessions"]].concat();
    assert_eq!(actions(&disk).await, expected);
}

/// The planted fault: a disk on which everything can still be written.
#[tokio::test]
async fn writes_that_go_through_are_found() {
    let bench = Bench::start().await;
    let client = bench.client();
    let writes = Prepared::new(&client).await.writes(&client);

    let found = not_refused(&client, &writes).await;

    assert_eq!(found.len(), writes.len(), "{found:?}");
}

#[tokio::test]
async fn a_signer_on_a_full_disk_signs_nothing_and_recovers() {
    let Some(bench) = start().await else { return };
    let disk = SmallDisk::of(bench.parts(), &bench.parts_state());
    let log = disk.folder().join("signing.log");
    let client = bench.client();
    let ada = client.sign_in("ada@example.com").await.unwrap();
    client.sign(&ada, b"before").await.unwrap().expect(200);

    disk.fill();

    let mut signed = 1;
    let refused = loop {
        let answer = client.sign(&ada, b"while it is full").await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        signed += 1;
        assert!(signed <= LAST_LINES, "it signs on a full disk");
    };
    assert_unrecorded(&refused);
    for _ in 0..5 {
        assert_unrecorded(&client.sign(&ada, b"while it is full").await.unwrap());
    }
    client.derive_address(&ada).await.unwrap().expect(200);
    client.send(client.signer(Method::GET, "/healthz")).await.unwrap().expect(200);
    assert_eq!(signing_log::verify(&log).unwrap().entries, signed as u64);

    disk.free();
    let freed = Instant::now();

    client.sign(&ada, b"after").await.unwrap().expect(200);
    assert!(freed.elapsed() < RECOVERY, "{:?}", freed.elapsed());
    let verified = signing_log::verify(&log).unwrap();
    assert_eq!((verified.entries, verified.torn), (signed as u64 + 1, 0));
}

const LATE: &str = "late@example.com";

/// A request that writes, with its name and the code of its refusal.
type Write = (&'static str, RequestBuilder, &'static str);

/// What is needed to write everything that can be written.
struct Prepared {
    ada: SignedIn,
    other: SignedIn,
    unlinked: String,
    code: (String, String),
    challenge: Challenge,
    wallet_token: String,
    address: String,
}

impl Prepared {
    async fn new(client: &Client) -> Self {
        let ada = client.sign_in("ada@example.com").await.unwrap();
        let other = client.sign_in("ada@example.com").await.unwrap();
        let address = client.derive_address(&ada).await.unwrap().expect(200).text("address").to_owned();
        let unlinked = new_address();
        client.link(&ada, &address).await.unwrap().expect(201);
        client.link(&ada, &unlinked).await.unwrap().expect(201);
        let proof = client.challenge(&ada, &address).await.unwrap();
        let proved = client.answer(&proof).await.unwrap().expect(200);
        let challenge = client.challenge(&ada, &address).await.unwrap();
        let code = client.request_code("grace@example.org").await.unwrap();
        let wallet_token = proved.text("session_token").to_owned();
        Self { ada, other, unlinked, code, challenge, wallet_token, address }
    }

    /// Every request that writes.
    fn writes(&self, client: &Client) -> Vec<Write> {
        const STORAGE: &str = "storage_unavailable";
        let post = |path: &str| client.broker(Method::POST, path).bearer_auth(&self.ada.token);
        let delete = |path: &str| client.broker(Method::DELETE, path).bearer_auth(&self.ada.token);
        let (request_id, code) = &self.code;
        let mint = client.broker(Method::POST, "/v1/mint-oidc-jwt").bearer_auth(&self.wallet_token);
        let answer = json!({"request_id": self.challenge.request_id, "signature": self.challenge.signature});
        vec![
            (
                "ask for a code",
                client.broker(Method::POST, "/v1/auth/email/start").json(&json!({"email": LATE})),
                STORAGE,
            ),
            (
                "verify a code",
                client
                    .broker(Method::POST, "/v1/auth/email/verify")
                    .json(&json!({"request_id": request_id, "code": code})),
                STORAGE,
            ),
            ("link a wallet", post("/v1/wallet/link").json(&json!({"address": new_address()})), STORAGE),
            ("ask for a challenge", post("/v1/auth/wallet/start").json(&json!({"address": self.address})), STORAGE),
            ("answer a challenge", post("/v1/auth/wallet/verify").json(&answer), STORAGE),
            ("mint", mint.json(&json!({})), "audit_unavailable"),
            ("unlink a wallet", delete(&format!("/v1/wallet/link/{}", self.unlinked)), STORAGE),
            ("revoke a session", delete(&format!("/v1/sessions/{}", self.other.session_id)), STORAGE),
            ("revoke all sessions", delete("/v1/sessions"), STORAGE),
        ]
    }
}

/// The writes that were not refused as a full disk demands, with their answers.
async fn not_refused(client: &Client, writes: &[Write]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, request, code) in writes {
        let (answer, text) = client.send_for_text(request.try_clone().unwrap()).await.unwrap();
        let is_refused = answer.refusal() == (503, *code) && answer.headers.contains_key("retry-after");
        if !is_refused || text.contains("aks_") || text.contains("eyJ") {
            found.push(format!("{name}: {answer:?}"));
        }
    }
    found
}

/// Starts everything on small disks, unless there cannot be any.
async fn start() -> Option<Bench> {
    if SmallDisk::is_possible() {
        return Some(Bench::start_with(Settings { launch: SmallDisk::launch, ..Settings::default() }).await);
    }
    #[expect(clippy::disallowed_methods, reason = "a test has no settings but the environment")]
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "no small disk can be mounted here, and in CI nothing is left out");
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    {
        eprintln!("LEFT OUT: no small disk can be mounted here: neither root nor user namespaces");
    }
    None
}

async fn until_ready(client: &Client, since: Instant) {
    while client.send(client.broker(Method::GET, "/readyz")).await.unwrap().status != 200 {
        assert!(since.elapsed() < RECOVERY, "not ready again within {RECOVERY:?}");
    }
}

async fn mails_to(client: &Client, email: &str) -> usize {
    let request = client.signer(Method::GET, "/mail").query(&[("to", email)]).header("accept", "application/json");
    client.send(request).await.unwrap().expect(200).body.as_array().unwrap().len()
}

async fn actions(disk: &SmallDisk) -> Vec<String> {
    // SQLite would follow the way to the disk out of the namespace.
    let copy = tempfile::tempdir().unwrap();
    for file in ["agentkeys.db", "agentkeys.db-wal"] {
        fs::copy(disk.folder().join(file), copy.path().join(file)).unwrap();
    }
    let store = SqliteStore::open(&copy.path().join("agentkeys.db")).unwrap();
    let entries = store.entries_after(0, u32::MAX).await.unwrap();
    verify_chain([0; 32], &entries).unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

fn assert_unrecorded(answer: &Answer) {
    assert_eq!(answer.refusal(), (503, "audit_unavailable"));
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.body.get("signature").is_none());
}

fn new_address() -> String {
    format!("0x{}", hex::encode(random::<20>()))
}
