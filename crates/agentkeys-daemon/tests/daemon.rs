//! The daemon's cache and its socket, over a source that a test steers.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use agentkeys_api::{Audience, DaemonCredentials, DaemonState, DaemonToken, ErrorCode, Problem};
use agentkeys_client::{
    Agent, AgentPages, AwsSettings, ClientError, DaemonClient, DaemonSettings, Dispenser, Places, ProfileName, Role,
};
use agentkeys_daemon::{
    Cached, CredentialSource, Daemon, DaemonConfig, Fetch, Rules, RunError, Running, Socket, SocketError,
};
use agentkeys_types::{AgentName, AwsCredentials, Clock, EvmAddress, OidcJwt, OmniAccount, RoleName, Timestamp};
use async_trait::async_trait;
use futures_util::{FutureExt, future::join_all};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::sync::Semaphore;

const LIFE: Duration = Duration::from_mins(15);
const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/agentkeys-dev";

#[derive(Debug)]
struct ManualClock(AtomicI64);

impl ManualClock {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// Gives credentials named by a running number, or fails while a test says so.
#[derive(Debug)]
struct FakeSource {
    clock: Arc<ManualClock>,
    asked: AtomicUsize,
    failure: Mutex<Option<ClientError>>,
    gate: Semaphore,
    life: Mutex<Duration>,
}

impl FakeSource {
    async fn next(&self) -> Result<usize, ClientError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        drop(self.gate.acquire().await.unwrap());
        match self.failure.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(number),
        }
    }
}

#[async_trait]
impl CredentialSource for FakeSource {
    async fn credentials(&self, role: &Role, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        let credentials = AwsCredentials {
            access_key_id: format!("ASIA{}", self.next().await?),
            secret_access_key: "secret".into(),
            session_token: "token".into(),
            expires_at: self.clock.now().after(*self.life.lock().unwrap()),
        };
        let (wallet, account) = (EvmAddress::from_bytes([7; 20]), OmniAccount::from_bytes([9; 32]));
        Ok(role.hand_out(credentials, wallet, account, agent.cloned()))
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        Ok(DaemonToken {
            jwt: OidcJwt::new(format!("jwt.{}.{audience}", self.next().await?)),
            audience: audience.clone(),
            expires_at: self.clock.now().after(Duration::from_mins(5)),
            agent: agent.cloned(),
            wallet: EvmAddress::from_bytes([7; 20]),
        })
    }
}

/// The default role's credentials, as the daemon fetches them.
#[derive(Debug)]
struct FetchDefault(Arc<FakeSource>);

#[async_trait]
impl Fetch for FetchDefault {
    type Item = DaemonCredentials;

    async fn fetch(&self) -> Result<DaemonCredentials, ClientError> {
        self.0.credentials(&Role::with_arn(ROLE_ARN.parse().unwrap()), None).await
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    source: Arc<FakeSource>,
    cached: Cached<FetchDefault>,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(1_800_000_000)));
        let source = Arc::new(FakeSource {
            clock: Arc::clone(&clock),
            asked: AtomicUsize::new(0),
            failure: Mutex::default(),
            gate: Semaphore::new(1),
            life: Mutex::new(LIFE),
        });
        let cached = Cached::new(FetchDefault(Arc::clone(&source)), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { clock, source, cached, folder: tempfile::tempdir().unwrap() }
    }

    fn asked(&self) -> usize {
        self.source.asked.load(Ordering::SeqCst)
    }

    fn fail(&self, error: Option<ClientError>) {
        *self.source.failure.lock().unwrap() = error;
    }

    async fn key_id(&self) -> String {
        self.cached.fetch().await.unwrap().access_key_id
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agentkeys/agent.sock")
    }

    /// What is at hand, if anything is.
    fn at_hand(&self) -> Option<String> {
        self.cached.condition().at_hand.map(|credentials| credentials.access_key_id)
    }

    async fn serve(&self) -> (Running, DaemonClient) {
        let running = self.serve_by(self.config()).await.unwrap();
        (running, DaemonClient::new(self.socket(), "dev".parse().unwrap()))
    }

    async fn serve_by(&self, config: DaemonConfig) -> Result<Running, RunError> {
        let source = Arc::clone(&self.source) as Arc<dyn CredentialSource>;
        Daemon::serve(config, source, Arc::clone(&self.clock) as Arc<dyn Clock>).await
    }

    fn config(&self) -> DaemonConfig {
        let aws = AwsSettings {
            role_arn: Some(ROLE_ARN.parse().unwrap()),
            endpoint_url: Some("http://127.0.0.1:8472".parse().unwrap()),
            ..AwsSettings::default()
        };
        self.config_with(Rules::of_aws(aws))
    }

    fn config_with(&self, rules: Rules) -> DaemonConfig {
        let places = Places::new(self.folder.path(), None, None, None);
        let nowhere = ["http://127.0.0.1:1".parse().unwrap(), "http://127.0.0.1:1".parse().unwrap()];
        let config = DaemonConfig::in_places(&places, "dev".parse().unwrap(), nowhere, rules.fixed());
        DaemonConfig { socket: self.socket(), ..config }
    }
}

fn outage() -> ClientError {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    ClientError::Unreachable { url: "http://127.0.0.1:1".to_owned(), source: Arc::new(source) }
}

fn revoked() -> ClientError {
    ClientError::Problem { problem: Problem::new(ErrorCode::TokenRevoked, "revoked"), retry_after: None }
}

#[tokio::test]
async fn two_hundred_callers_at_expiry_make_one_refresh() {
    let bench = Bench::new();
    bench.key_id().await;
    bench.clock.pass(900);
    let closed = bench.source.gate.acquire().await.unwrap();

    // They are polled in order, so the gate opens when all of them wait.
    let callers = join_all((0..200).map(|_| bench.key_id()));
    let (key_ids, ()) = tokio::join!(callers, async { drop(closed) });

    assert_eq!(bench.asked(), 2);
    assert!(key_ids.iter().all(|key_id| key_id == "ASIA2"));
}

#[tokio::test]
async fn two_hundred_callers_share_one_failure_too() {
    let bench = Bench::new();
    bench.fail(Some(outage()));
    let closed = bench.source.gate.acquire().await.unwrap();

    let callers = join_all((0..200).map(|_| bench.cached.fetch()));
    let (answers, ()) = tokio::join!(callers, async { drop(closed) });

    assert_eq!(bench.asked(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Err(ClientError::Unreachable { .. }))));
}

#[tokio::test]
async fn what_was_begun_arrives_though_whoever_asked_has_gone_away() {
    let bench = Bench::new();
    let closed = bench.source.gate.acquire().await.unwrap();

    let gone = bench.cached.fetch().now_or_never();
    tokio::task::yield_now().await;
    let (key_id, ()) = tokio::join!(bench.key_id(), async { drop(closed) });

    assert!(gone.is_none());
    assert_eq!((bench.asked(), key_id.as_str()), (1, "ASIA1"));
}

#[tokio::test]
async fn what_has_ended_before_it_came_is_not_handed_out_and_two_hundred_callers_share_that() {
    let bench = Bench::new();
    *bench.source.life.lock().unwrap() = Duration::ZERO;
    let closed = bench.source.gate.acquire().await.unwrap();

    let callers = join_all((0..200).map(|_| bench.cached.fetch()));
    let (answers, ()) = tokio::join!(callers, async { drop(closed) });

    assert_eq!((bench.asked(), bench.at_hand()), (1, None));
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(ClientError::retryable)));
}

#[tokio::test]
async fn after_the_clock_was_set_forward_beyond_the_end_the_next_caller_fetches() {
    let bench = Bench::new();
    bench.key_id().await;

    bench.clock.pass(400_000_000);

    assert_eq!(bench.key_id().await, "ASIA2");
}

#[tokio::test(start_paused = true)]
async fn after_the_clock_was_set_back_nothing_is_handed_out_for_longer_than_it_had_to_live() {
    let bench = Bench::new();
    bench.key_id().await;

    bench.clock.pass(-400_000_000);
    let due = bench.cached.refresh_if_due().await.unwrap();
    tokio::time::advance(Duration::from_secs(889)).await;
    let before = bench.key_id().await;
    tokio::time::advance(Duration::from_secs(2)).await;

    assert!(due <= bench.clock.now().after(Duration::from_mins(10)), "{due}");
    assert_eq!((before.as_str(), bench.key_id().await.as_str()), ("ASIA1", "ASIA2"));
}

#[tokio::test]
async fn after_the_clock_was_set_back_a_failure_does_not_last_until_the_time_that_it_was() {
    let bench = Bench::new();
    bench.fail(Some(outage()));
    bench.cached.fetch().await.unwrap_err();
    bench.fail(None);

    bench.clock.pass(-3600);
    let due = bench.cached.refresh_if_due().await.unwrap();

    assert!(due.since(bench.clock.now()) <= Duration::from_secs(3), "{due}");
    assert_eq!(bench.key_id().await, "ASIA2");
}

#[tokio::test]
async fn a_session_that_was_over_by_a_clock_that_was_wrong_serves_again() {
    let bench = Bench::new();
    bench.fail(Some(ClientError::SessionExpired));
    bench.cached.fetch().await.unwrap_err();
    bench.fail(None);

    bench.clock.pass(-3600);

    assert_eq!(bench.key_id().await, "ASIA2");
}

#[tokio::test]
async fn credentials_are_renewed_at_two_thirds_of_their_life() {
    let bench = Bench::new();
    bench.key_id().await;

    let due = bench.cached.refresh_if_due().await.unwrap();
    bench.clock.pass(500);
    bench.cached.refresh_if_due().await;
    let asked_before = bench.asked();
    bench.clock.pass(100);
    bench.cached.refresh_if_due().await;

    let wait = due.since(bench.clock.now().before(Duration::from_mins(10)));
    assert!((510..=600).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!((asked_before, bench.asked()), (1, 2));
    assert_eq!(bench.key_id().await, "ASIA2");
}

#[tokio::test]
async fn who_comes_during_a_renewal_gets_what_is_at_hand() {
    let bench = Bench::new();
    bench.key_id().await;
    bench.clock.pass(600);
    let closed = bench.source.gate.acquire().await.unwrap();

    let (_, key_id) = tokio::join!(bench.cached.refresh_if_due(), async {
        let key_id = bench.key_id().await;
        drop(closed);
        key_id
    });

    assert_eq!(key_id, "ASIA1");
    assert_eq!(bench.key_id().await, "ASIA2");
}

#[tokio::test]
async fn an_outage_shorter_than_the_remaining_life_goes_unnoticed() {
    let bench = Bench::new();
    bench.key_id().await;
    bench.fail(Some(outage()));

    for _ in 0..88 {
        bench.clock.pass(10);
        bench.cached.refresh_if_due().await;
        assert_eq!(bench.key_id().await, "ASIA1");
    }
    bench.fail(None);
    bench.clock.pass(60);
    bench.cached.refresh_if_due().await;

    assert_ne!(bench.key_id().await, "ASIA1");
    assert!(bench.cached.condition().failure.is_none());
}

#[tokio::test]
async fn attempts_that_fail_are_made_less_and_less_often() {
    let bench = Bench::new();
    bench.fail(Some(outage()));
    bench.cached.fetch().await.unwrap_err();

    let mut pauses = Vec::new();
    for _ in 0..8 {
        let due = bench.cached.refresh_if_due().await.unwrap();
        let pause = due.since(bench.clock.now()).as_secs();
        pauses.push(pause);
        bench.clock.pass(i64::try_from(pause).unwrap());
    }

    assert_eq!(bench.asked(), 8);
    assert!(pauses[0] <= 3 && pauses[2] >= 8 && pauses[7] >= 60, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 75), "{pauses:?}");
}

#[tokio::test]
async fn what_nobody_has_asked_for_during_two_lives_is_let_go_and_fetched_when_somebody_does() {
    let bench = Bench::new();
    bench.key_id().await;

    let mut wakes = 0;
    while let Some(due) = bench.cached.refresh_if_due().await {
        bench.clock.pass(i64::try_from(due.since(bench.clock.now()).as_secs()).unwrap());
        wakes += 1;
    }

    // Renewals come up to a tenth of a life early, so that one more may fit in.
    assert!((3..=4).contains(&wakes), "{wakes}");
    assert_eq!((bench.asked(), bench.at_hand()), (wakes, None));
    assert_eq!(bench.key_id().await, format!("ASIA{}", wakes + 1));
}

#[tokio::test]
async fn a_revoked_session_empties_the_cache_at_once() {
    let bench = Bench::new();
    bench.key_id().await;
    bench.fail(Some(revoked()));
    bench.clock.pass(600);

    bench.cached.refresh_if_due().await;
    let error = bench.cached.fetch().await.unwrap_err();

    assert!(error.needs_sign_in());
    assert_eq!(bench.at_hand(), None);
}

#[tokio::test]
async fn nobody_is_asked_until_a_person_has_signed_in_again() {
    let bench = Bench::new();
    bench.fail(Some(revoked()));
    bench.cached.fetch().await.unwrap_err();
    bench.fail(None);

    for _ in 0..10 {
        bench.clock.pass(3600);
        bench.cached.refresh_if_due().await;
        assert!(bench.cached.fetch().await.is_err());
    }
    let asked_before = bench.asked();
    let anew = bench.cached.renew().await.unwrap();

    assert_eq!(asked_before, 1);
    assert_eq!((anew.access_key_id, bench.key_id().await), ("ASIA2".to_owned(), "ASIA2".to_owned()));
}

#[tokio::test]
async fn an_agent_gets_credentials_and_what_it_needs_to_use_them() {
    let bench = Bench::new();
    let (running, client) = bench.serve().await;

    let credentials = client.credentials(&RoleName::default(), None).await.unwrap();
    let status = client.status().await.unwrap();
    running.stop().await;

    assert_eq!(credentials.access_key_id, "ASIA1");
    assert_eq!(credentials.secret_access_key.expose_secret(), "secret");
    assert_eq!(credentials.region, "us-east-1");
    assert_eq!(credentials.endpoint_url.as_deref(), Some("http://127.0.0.1:8472"));
    assert_eq!(credentials.role_arn, "arn:aws:iam::000000000000:role/agentkeys-dev");
    assert_eq!((status.state, status.profile.as_str()), (DaemonState::Ready, "dev"));
    assert_eq!(status.credentials_expire_at, Some(credentials.expires_at));
}

#[tokio::test]
async fn without_a_role_the_jwts_say_how_it_is() {
    let bench = Bench::new();
    let agent = Agent {
        roles: BTreeSet::new(),
        audiences: BTreeSet::from([Audience::aws_sts()]),
        created_at: bench.clock.now(),
        expires_at: None,
        token_file: None,
    };
    let pages = AgentPages { agents: [("claude".parse().unwrap(), agent)].into(), ..AgentPages::default() };
    let rules = Rules::new(AwsSettings::default(), DaemonSettings::default(), pages);
    let running = bench.serve_by(bench.config_with(rules)).await.unwrap();
    let client = DaemonClient::new(bench.socket(), "dev".parse().unwrap());
    let ask = async || client.token(&Audience::aws_sts(), Some(&"claude".parse().unwrap())).await;

    running.fetch_first().await.unwrap();
    let nobody_asked = running.status();
    bench.fail(Some(ClientError::NotSignedIn));
    ask().await.unwrap_err();
    let shut_out = running.status();
    bench.fail(None);
    bench.clock.pass(1);
    ask().await.unwrap();
    let served = running.status();

    assert_eq!((nobody_asked.state, nobody_asked.last_error), (DaemonState::Idle, None));
    assert_eq!((shut_out.state, shut_out.last_error.is_some()), (DaemonState::SignInNeeded, true));
    assert_eq!((served.state, served.wallet), (DaemonState::Ready, Some(EvmAddress::from_bytes([7; 20]))));
    assert_eq!((served.credentials_expire_at, served.last_error), (None, None));
}

#[tokio::test]
async fn a_daemon_that_would_serve_nothing_says_what_it_could() {
    let bench = Bench::new();

    let refused = bench.serve_by(bench.config_with(Rules::default())).await.unwrap_err();

    let said = refused.to_string();
    assert!(matches!(refused, RunError::NoRole));
    assert!(["role", "agent", "token file"].into_iter().all(|thing| said.contains(thing)), "{said}");
}

#[tokio::test]
async fn another_profile_is_not_found() {
    let bench = Bench::new();
    let (_running, _client) = bench.serve().await;
    let client = DaemonClient::new(bench.socket(), ProfileName::default());

    let error = client.credentials(&RoleName::default(), None).await.unwrap_err();

    let ClientError::Problem { problem, .. } = error else { panic!("{error}") };
    assert_eq!(problem.error, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_agent_learns_that_a_person_must_sign_in() {
    let bench = Bench::new();
    bench.fail(Some(revoked()));
    let (_running, client) = bench.serve().await;

    let error = client.credentials(&RoleName::default(), None).await.unwrap_err();

    assert!(error.needs_sign_in(), "{error}");
}

#[tokio::test]
async fn only_the_owner_can_reach_the_socket_and_it_goes_with_the_daemon() {
    let bench = Bench::new();
    let (running, client) = bench.serve().await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    let modes = (mode(bench.socket().parent().unwrap()), mode(&bench.socket()));
    running.stop().await;

    assert_eq!(modes, (0o700, 0o600));
    assert_eq!(fs::read_dir(bench.socket().parent().unwrap()).unwrap().count(), 0);
    assert!(matches!(client.status().await, Err(ClientError::NoDaemon { .. })));
}

#[tokio::test]
async fn a_folder_into_which_others_may_write_is_refused() {
    let bench = Bench::new();
    let folder = bench.socket().parent().unwrap().to_owned();
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();

    let refused = Socket::open(&bench.socket()).await;

    assert!(matches!(refused, Err(SocketError::InsecureFolder { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_refused() {
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), bench.socket().parent().unwrap()).unwrap();

    let refused = Socket::open(&bench.socket()).await;

    assert!(matches!(refused, Err(SocketError::InsecureFolder { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_socket_that_nobody_answers_is_replaced() {
    let bench = Bench::new();
    fs::create_dir(bench.socket().parent().unwrap()).unwrap();
    drop(UnixListener::bind(bench.socket()).unwrap());

    let (_running, client) = bench.serve().await;

    assert!(client.status().await.is_ok());
}

#[tokio::test]
async fn a_socket_that_somebody_answers_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.socket().parent().unwrap()).unwrap();
    let _other = UnixListener::bind(bench.socket()).unwrap();

    let refused = Socket::open(&bench.socket()).await;

    assert!(matches!(refused, Err(SocketError::AlreadyServed(_))), "{refused:?}");
    assert!(bench.socket().exists());
}

#[tokio::test]
async fn a_second_daemon_leaves_the_first_alone() {
    let bench = Bench::new();
    let (_running, client) = bench.serve().await;

    let refused = Socket::open(&bench.socket()).await;

    assert!(matches!(refused, Err(SocketError::AlreadyServed(_))), "{refused:?}");
    assert!(client.status().await.is_ok());
}

#[tokio::test]
async fn what_is_not_a_socket_is_not_removed() {
    let bench = Bench::new();
    fs::create_dir(bench.socket().parent().unwrap()).unwrap();
    for kind in ["file", "link"] {
        match kind {
            "file" => fs::write(bench.socket(), "precious").unwrap(),
            _ => std::os::unix::fs::symlink("/dev/null", bench.socket()).unwrap(),
        }

        let refused = Socket::open(&bench.socket()).await;

        assert!(matches!(refused, Err(SocketError::NotASocket(_))), "{kind}: {refused:?}");
        fs::remove_file(bench.socket()).unwrap();
    }
}
