mod boot_counter;
mod fake;
mod restoring;

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use agentkeys_crypto::{Confirmation, DeviceKey, HolderCheck, Presentation};
use agentkeys_http::{Server, TlsIdentity};
use agentkeys_types::{SessionId, SessionToken, Timestamp};
use axum::{
    Router,
    http::{Method, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};

use self::fake::{ACCOUNT, ByReportData, FakeSigner, SESSION, SetClock, Trick, problem};
use super::{AttestationPolicy, KeptAttestations, connection::Connection};
use crate::{ClientError, DeviceNews, Http, Places, ProfileName, Session, Settings, SignerClient, SignerTrust};

const START: i64 = 1_800_000_000;
const TOKEN: &str = "aks_very-secret";

/// A person's machine: its memory, its clock and its policy.
struct Machine {
    home: tempfile::TempDir,
    clock: Arc<SetClock>,
    policy_version: u64,
    allow_dev: bool,
    activates: bool,
    has_no_ak: bool,
}

impl Machine {
    fn new() -> Self {
        let clock = Arc::new(SetClock(Mutex::new(Timestamp::from_unix(START))));
        let home = tempfile::tempdir().unwrap();
        Self { home, clock, policy_version: 7, allow_dev: false, activates: false, has_no_ak: false }
    }

    fn kept(&self) -> KeptAttestations {
        KeptAttestations::of(&Places::new(self.home.path(), None, None, None), &ProfileName::default())
    }

    fn try_client(&self, url: &str) -> Result<SignerClient, ClientError> {
        let judge = Arc::new(ByReportData { activates: self.activates, has_no_ak: self.has_no_ak });
        let policy = AttestationPolicy::with_judge(judge, self.policy_version, self.allow_dev, self.kept());
        let http = Http::with_clock(Duration::from_secs(30), Arc::clone(&self.clock) as Arc<_>);
        SignerClient::new(&http, url.parse().unwrap(), SignerTrust::Policy(Arc::new(policy)))
    }

    fn client(&self, signer: &FakeSigner) -> SignerClient {
        self.try_client(&signer.url()).unwrap()
    }
}

fn session(signer_url: &str) -> Session {
    Session {
        token: SessionToken::new(TOKEN.to_owned()),
        device_key: Some(DeviceKey::generate().unwrap()),
        unused_key: None,
        session_id: SessionId::from_bytes(SESSION),
        expires_at: "2030-12-22T10:00:00Z".parse().unwrap(),
        renew_at: None,
        omni_account: ACCOUNT.parse().unwrap(),
        identity: serde_json::from_value(json!({"type": "email", "value": "ada@example.com"})).unwrap(),
        broker_url: signer_url.parse().unwrap(),
    }
}

async fn derive(client: &SignerClient, signer: &FakeSigner) -> Result<(), ClientError> {
    client.derive_address(&session(&signer.url()), ACCOUNT.parse().unwrap()).await.map(drop)
}

async fn sign(client: &SignerClient, signer: &FakeSigner) -> Result<(), ClientError> {
    client.sign_message(&session(&signer.url()), ACCOUNT.parse().unwrap(), b"hello").await.map(drop)
}

/// What was looked at when the signer was refused.
fn check_of(refused: Result<(), ClientError>) -> String {
    match refused.unwrap_err() {
        ClientError::AttestationInvalid { check, .. } => check,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_signer_that_is_accepted_hears_the_nonce_first_and_all_else_on_the_same_connection() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let (client, session) = (machine.client(&signer), session(&signer.url()));

    client.derive_address(&session, ACCOUNT.parse().unwrap()).await.unwrap();
    client.derive_address(&session, ACCOUNT.parse().unwrap()).await.unwrap();

    assert_eq!(signer.paths(), ["GET /attestation", "POST /dev/derive-address", "POST /dev/derive-address"]);
    let asked = signer.asked();
    assert_eq!(asked[0].authorization, None);
    assert_eq!(asked[1].authorization.as_deref(), Some("DPoP aks_very-secret"));
    assert!(asked.iter().all(|request| request.connection == asked[0].connection));
    let url = format!("{}/dev/derive-address", signer.url());
    let presented = Presentation {
        unverified_token: TOKEN,
        is_bound: true,
        unverified_proof: asked[1].proof.as_deref(),
        method: "POST",
        url: &url,
    };
    let cnf = Confirmation { jkt: session.device_key.unwrap().thumbprint() };
    // Only the nonce is missing, which the fake does not give.
    let outcome = HolderCheck::default().check(&presented, Some(&cnf), Timestamp::from_unix(START));
    assert_eq!(outcome, Err(agentkeys_crypto::HolderError::UseNonce));
}

#[tokio::test]
async fn a_signer_whose_evidence_is_refused_hears_nothing_but_the_nonce() {
    for trick in [Trick::OtherEvidence, Trick::NoEvidence] {
        let (signer, machine) = (FakeSigner::start().await, Machine::new());
        let client = machine.client(&signer);
        signer.plays(trick);

        let refused = [derive(&client, &signer).await, sign(&client, &signer).await];

        assert!(refused.into_iter().all(|refused| matches!(refused, Err(ClientError::AttestationInvalid { .. }))));
        assert_eq!(signer.paths(), ["GET /attestation"; 2], "{trick:?}");
        assert!(!signer.has_heard_a_token());
        assert!(machine.kept().read(client.url()).unwrap().is_none());
    }
}

#[tokio::test]
async fn an_attestation_key_is_activated_before_anything_else_and_only_once() {
    let (signer, machine) = (FakeSigner::start().await, Machine { activates: true, ..Machine::new() });

    derive(&machine.client(&signer), &signer).await.unwrap();
    derive(&machine.client(&signer), &signer).await.unwrap();

    let first = ["GET /attestation", "POST /attestation/activate", "POST /dev/derive-address"];
    assert_eq!(signer.paths(), [&first[..], &["GET /attestation", "POST /dev/derive-address"]].concat());
}

#[tokio::test]
async fn an_attestation_key_is_activated_again_for_another_endorsement_key() {
    let (signer, machine) = (FakeSigner::start().await, Machine { activates: true, ..Machine::new() });
    derive(&machine.client(&signer), &signer).await.unwrap();
    let client = machine.client(&signer);
    machine.kept().change(client.url(), |kept| kept.ek_sha256 = Some("0f".to_owned())).unwrap();
    signer.state().asked.clear();

    derive(&client, &signer).await.unwrap();

    assert_eq!(signer.paths(), ["GET /attestation", "POST /attestation/activate", "POST /dev/derive-address"]);
    assert_eq!(machine.kept().read(client.url()).unwrap().unwrap().ek_sha256.as_deref(), Some("0e"));
}

/// A server that has the evidence of the genuine one sent to itself, over a connection of its own.
async fn relay(genuine: &FakeSigner, identity: TlsIdentity) -> agentkeys_http::Running {
    let url: crate::ServerUrl = genuine.url().parse().unwrap();
    let forward = move |method: Method, uri: Uri| async move { forwarded(&url, method, &uri).await };
    let server = Server::bind("relay", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    server.with_tls(identity).serve(Router::new().route("/{*path}", any(forward)))
}

async fn forwarded(url: &crate::ServerUrl, method: Method, uri: &Uri) -> Response {
    let mut genuine = Connection::open(url, &Http::default()).await.unwrap();
    let mut target = url.join(uri.path());
    target.set_query(uri.query());
    let request = reqwest::Request::new(method, target);
    match genuine.exchange(&request).await {
        Ok(answer) => ([("content-type", "application/json")], answer.body.to_vec()).into_response(),
        Err(_) => problem(agentkeys_api::ErrorCode::Internal),
    }
}

#[tokio::test]
async fn genuine_evidence_is_worth_nothing_to_one_in_the_middle_even_with_the_stolen_key() {
    let signer = FakeSigner::start().await;
    for (identity, check) in
        [(TlsIdentity::generate(["signer.example.com"]).unwrap(), "tls_key"), (signer.identity.clone(), "exporter")]
    {
        let (relay, machine) = (relay(&signer, identity).await, Machine::new());
        let client = machine.try_client(&format!("https://{}", relay.address())).unwrap();

        let refused = derive(&client, &signer).await;

        assert_eq!(check_of(refused), check);
        assert!(!signer.has_heard_a_token());
    }
    assert_eq!(signer.questions(), 2);
}

#[tokio::test]
async fn evidence_is_asked_for_again_when_it_is_ten_minutes_old_and_when_the_clock_was_set_back() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    let mut questions = Vec::new();

    for at in [START, START + 599, START + 600, START + 601, START + 500] {
        machine.clock.set(at);
        derive(&client, &signer).await.unwrap();
        questions.push(signer.questions());
    }

    assert_eq!(questions, [1, 1, 2, 2, 3]);
}

#[tokio::test]
async fn evidence_that_has_turned_bad_ends_a_connection_that_was_good() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    derive(&client, &signer).await.unwrap();
    signer.plays(Trick::OtherEvidence);
    machine.clock.set(START + 600);

    let refused = derive(&client, &signer).await;

    assert_eq!(check_of(refused), "exporter");
    assert_eq!(signer.paths(), ["GET /attestation", "POST /dev/derive-address", "GET /attestation"]);
}

#[tokio::test]
async fn a_new_connection_begins_with_evidence_again() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);
    signer.plays(Trick::Closes);

    derive(&client, &signer).await.unwrap();
    derive(&client, &signer).await.unwrap();

    let (paths, asked) = (signer.paths(), signer.asked());
    assert_eq!(paths, ["GET /attestation", "POST /dev/derive-address"].repeat(2));
    assert_eq!(asked[0].connection, asked[1].connection);
    assert_eq!(asked[2].connection, asked[3].connection);
    assert_ne!(asked[1].connection, asked[2].connection);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_ends_soon() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);

    derive(&client, &signer).await.unwrap();
    // Its end is awaited from here on.
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(2 * crate::http::IDLE_TIMEOUT).await;
    tokio::task::yield_now().await;
    tokio::time::resume();
    derive(&client, &signer).await.unwrap();

    assert_eq!(signer.questions(), 2);
}

#[tokio::test]
async fn the_limits_are_those_of_every_server() {
    for (trick, reason) in [(Trick::Redirects, "redirect"), (Trick::TooLarge, "1 MiB")] {
        let (signer, machine) = (FakeSigner::start().await, Machine::new());
        signer.plays(trick);

        let error = derive(&machine.client(&signer), &signer).await.unwrap_err();

        assert!(matches!(&error, ClientError::UnexpectedAnswer { reason: why, .. } if why.contains(reason)), "{error}");
    }
}

#[tokio::test]
async fn without_tls_only_a_development_signer_that_the_policy_allows_is_used() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let derived = json!({"address": "0x74144a5f826537a8610B136552c6fFEc9D37A6dE"});
    let router = Router::new().fallback(async move || axum::Json(derived));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let refused = Machine::new().try_client(&url).map(drop);
    assert!(refused.as_ref().unwrap_err().to_string().contains("`allow_dev`"), "{refused:?}");
    let allowed = Machine { allow_dev: true, ..Machine::new() }.try_client(&url).unwrap();

    assert_eq!(check_of(refused), "channel");
    allowed.derive_address(&session(&url), ACCOUNT.parse().unwrap()).await.unwrap();
    assert!(allowed.examine().await.unwrap().is_none());
}

#[test]
fn a_policy_in_its_usual_place_counts_for_signers_without_tls_too_but_for_that_of_the_development_command() {
    const POLICY: &str = r#"
        version = 1
        min_release = "0.1.0"
        revoked = []
        accept = [{ backend = "tpm2", release = "0.1.0", bank = "sha256", pcr = PCRS, anchor = { ek_ca_sha256 = [ZERO] } }]
    "#;
    let home = tempfile::tempdir().unwrap();
    let places = Places::new(home.path(), None, None, None);
    let client = |profile: &str| {
        let settings = Settings::default();
        let trust = SignerTrust::of(&settings, &places, &profile.parse().unwrap())?;
        SignerClient::new(&Http::default(), settings.signer_url, trust).map(drop)
    };
    let zero = format!("\"{}\"", "0".repeat(64));
    let policy = POLICY.replace("PCRS", "{ 4 = [ZERO], 11 = [ZERO], 12 = [ZERO] }").replace("ZERO", &zero);
    let path = places.attestation_policy();
    fs::create_dir_all(path.parent().unwrap()).unwrap();

    let without_policy = client("default");
    fs::write(&path, &policy).unwrap();
    let refused = client("default");
    let of_the_command = client("dev");
    fs::write(&path, format!("allow_dev = true\n{policy}")).unwrap();
    let allowed = client("default");

    without_policy.unwrap();
    assert_eq!(check_of(refused), "channel");
    of_the_command.unwrap();
    allowed.unwrap();
}

#[tokio::test]
async fn a_signature_counts_when_the_log_tells_of_it() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);

    for _ in 0..5 {
        sign(&client, &signer).await.unwrap();
    }

    let kept = machine.kept().read(client.url()).unwrap().unwrap();
    assert!(kept.checkpoint.unwrap().starts_with("log.example\n6\n"));
}

#[tokio::test]
async fn a_signature_that_the_log_does_not_tell_of_is_not_used() {
    use Trick::{ForkedLog, NoReceipt, OldEntry, OtherKey, OtherLeaf, UnloggedLeaf};
    for trick in [NoReceipt, OldEntry, OtherLeaf, UnloggedLeaf, ForkedLog, OtherKey] {
        let (signer, machine) = (FakeSigner::start().await, Machine::new());
        let client = machine.client(&signer);
        sign(&client, &signer).await.unwrap();
        let before = machine.kept().read(client.url()).unwrap();
        signer.plays(trick);

        let refused = sign(&client, &signer).await;

        assert_eq!(check_of(refused), "log", "{trick:?}");
        assert_eq!(machine.kept().read(client.url()).unwrap(), before, "{trick:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_off_or_rewritten_is_seen_before_anything_is_sent() {
    let cut = |leaves: &mut Vec<Vec<u8>>| leaves.truncate(1);
    let rewrite = |leaves: &mut Vec<Vec<u8>>| leaves[0] = b"{}".to_vec();
    let changes: [fn(&mut Vec<Vec<u8>>); 2] = [cut, rewrite];
    for change in changes {
        let (signer, machine) = (FakeSigner::start().await, Machine::new());
        sign(&machine.client(&signer), &signer).await.unwrap();
        change(&mut signer.state().leaves);
        signer.state().asked.clear();

        let refused = derive(&machine.client(&signer), &signer).await;

        assert_eq!(check_of(refused), "log");
        assert!(!signer.has_heard_a_token());
    }
}

#[tokio::test]
async fn another_master_secret_at_the_same_place_is_refused() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    derive(&machine.client(&signer), &signer).await.unwrap();
    signer.state().master = [8; 32];
    signer.state().asked.clear();

    let refused = derive(&machine.client(&signer), &signer).await;

    assert_eq!(check_of(refused), "identity");
    assert!(!signer.has_heard_a_token());
}

#[tokio::test]
async fn an_older_policy_than_the_one_that_accepted_a_signer_does_not_accept_it() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    derive(&machine.client(&signer), &signer).await.unwrap();
    let older = Machine { policy_version: 6, ..machine };

    let refused = derive(&older.client(&signer), &signer).await;

    assert_eq!(check_of(refused), "policy_version");
}

#[tokio::test]
async fn a_damaged_memory_trusts_nobody_anew() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    derive(&machine.client(&signer), &signer).await.unwrap();
    let path = machine.kept().path().to_owned();
    fs::write(&path, "{").unwrap();
    signer.state().asked.clear();

    let refused = derive(&machine.client(&signer), &signer).await;

    let ClientError::AttestationInvalid { check, detail, .. } = refused.unwrap_err() else { panic!() };
    assert_eq!(check, "memory");
    assert!(detail.contains("remove the file") && detail.contains(path.to_str().unwrap()), "{detail}");
    assert_eq!(signer.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_holds_the_memory_delays_a_request_for_a_short_time_and_nothing_else() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    derive(&machine.client(&signer), &signer).await.unwrap();
    machine.clock.set(START + 1);
    let lock = fs::File::open(machine.kept().path().with_extension("lock")).unwrap();
    lock.lock().unwrap();

    let mut waiting = Box::pin(async { derive(&machine.client(&signer), &signer).await });
    let meanwhile = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    let refused = waiting.await;
    lock.unlock().unwrap();
    let once_it_is_free = derive(&machine.client(&signer), &signer).await;

    assert!(meanwhile.is_err(), "the runtime itself has waited");
    let ClientError::AttestationInvalid { check, detail, .. } = refused.unwrap_err() else { panic!() };
    assert_eq!(check, "memory");
    assert!(detail.contains("is in use") && detail.contains("try again"), "{detail}");
    once_it_is_free.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_remembered_is_for_its_owner_alone_and_has_no_token() {
    use std::os::unix::fs::PermissionsExt;
    let (signer, machine) = (FakeSigner::start().await, Machine::new());

    derive(&machine.client(&signer), &signer).await.unwrap();

    let path = machine.kept().path().to_owned();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&path).unwrap().contains("aks_"));
}

#[tokio::test]
async fn a_signer_is_examined_without_hearing_anything_whether_it_is_accepted_or_not() {
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let client = machine.client(&signer);

    let accepted = client.examine().await.unwrap().unwrap();
    signer.plays(Trick::OtherEvidence);
    let refused = client.examine().await.unwrap().unwrap();

    assert!(accepted.is_accepted && accepted.failed().is_none());
    assert_eq!(refused.failed().unwrap().name.as_str(), "exporter");
    assert!(!refused.is_accepted && !signer.has_heard_a_token());
}

fn device(key: char, pinned_by: &str, is_this: bool) -> Value {
    let key = key.to_string().repeat(43);
    json!({"key": key, "state": "pinned", "since": "2026-12-22T10:00:00Z", "pinned_by": pinned_by,
           "pinned_at": null, "is_this": is_this})
}

#[tokio::test]
async fn at_the_first_look_all_other_devices_are_news_and_this_one_where_it_was_not_the_first() {
    let news = async |devices: Vec<Value>| {
        let (signer, machine) = (FakeSigner::start().await, Machine::new());
        let (client, session) = (machine.client(&signer), session(&signer.url()));
        signer.state().devices = Some(json!({"devices": devices, "recovery_wait_seconds": 0, "revision": 1}));
        derive(&client, &signer).await.unwrap();
        let first = client.device_news(&session).await.unwrap();
        assert_eq!(client.device_news(&session).await.unwrap(), None);
        first
    };

    let alone = news(vec![device('A', "first_use", true)]).await;
    let behind_another = news(vec![device('A', "recovery", true), device('E', "first_use", false)]).await.unwrap();
    let after_another = news(vec![device('A', "recovery", true)]).await.unwrap();
    let before_another = news(vec![device('A', "first_use", true), device('E', "recovery", false)]).await.unwrap();

    assert_eq!(alone, None);
    assert!(behind_another.is_first_look && behind_another.own.is_some());
    assert_eq!(behind_another.added[0].key.to_string(), "E".repeat(43));
    assert!(after_another.added.is_empty() && after_another.own.is_some());
    assert!(before_another.own.is_none() && before_another.added.len() == 1);
}

#[tokio::test]
async fn a_device_that_was_not_there_before_is_news_once() {
    let device = |key, is_this| device(key, "first_use", is_this);
    let (signer, machine) = (FakeSigner::start().await, Machine::new());
    let (client, session) = (machine.client(&signer), session(&signer.url()));
    let mut news: Vec<Option<DeviceNews>> = Vec::new();

    for (revision, devices) in [
        (1, vec![device('A', true)]),
        (1, vec![device('A', true)]),
        (2, vec![device('A', true), device('E', false)]),
        (2, vec![device('A', true), device('E', false)]),
        (3, vec![device('A', true)]),
    ] {
        let devices = json!({"devices": devices, "recovery_wait_seconds": 0, "revision": revision});
        signer.state().devices = Some(devices);
        derive(&client, &signer).await.unwrap();
        news.push(client.device_news(&session).await.unwrap());
    }

    assert_eq!(news.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, false, true]);
    assert_eq!(news[2].as_ref().unwrap().added[0].key.to_string(), "E".repeat(43));
    assert_eq!(news[4].as_ref().unwrap().removed, ["E".repeat(43)]);
    assert_eq!(signer.paths().iter().filter(|path| *path == "GET /v1/devices").count(), 3);
}
