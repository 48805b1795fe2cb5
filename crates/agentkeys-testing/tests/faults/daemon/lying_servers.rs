//! A broker or a signer that is slow, refuses, or lies.

use std::{sync::Arc, time::Duration};

use agentkeys_api::{Audience, DaemonCredentials, DaemonState, ErrorCode, paths};
use agentkeys_client::{AwsSettings, DaemonClient, Dispenser, Http, Places, ProfileName};
use agentkeys_daemon::{Daemon, DaemonConfig, Rules, Running};
use agentkeys_testing::System;
use agentkeys_types::{Clock, SystemClock};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::{
    fake_servers::{FakeServer, Manner},
    fake_sts::{self, FakeSts},
    machine::{SOON, ask, code, poll, problem},
};

/// Which of the two misbehaves.
#[derive(Clone, Copy, Debug)]
enum Which {
    Broker,
    Signer,
}

const BOTH: [Which; 2] = [Which::Broker, Which::Signer];

/// A daemon among servers of which each does what it is told.
struct Bench {
    broker: FakeServer,
    signer: FakeServer,
    sts: FakeSts,
    daemon: Running,
    _home: TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self::with(&Http::default()).await
    }

    async fn with(http: &Http) -> Self {
        let (broker, signer) = (FakeServer::start().await, FakeServer::start().await);
        let sts = FakeSts::start(fake_sts::Manner::Gives(900)).await;
        let home = tempfile::tempdir().unwrap();
        let places = Places::new(home.path(), None, None, None);
        let aws = AwsSettings {
            role_arn: Some(System::ROLE_ARN.parse().unwrap()),
            endpoint_url: Some(sts.url.parse().unwrap()),
            ..AwsSettings::default()
        };
        let servers = [broker.url.clone(), signer.url.clone()];
        let config = DaemonConfig::in_places(&places, ProfileName::default(), servers, Rules::of_aws(aws).fixed());
        let session = Some(broker.session());
        let daemon = Daemon::open(config, session, None, Arc::new(SystemClock), http, None).await.unwrap();
        Self { broker, signer, sts, daemon, _home: home }
    }

    fn server(&self, which: Which) -> &FakeServer {
        match which {
            Which::Broker => &self.broker,
            Which::Signer => &self.signer,
        }
    }

    fn client(&self) -> DaemonClient {
        DaemonClient::new(self.daemon.socket().to_owned(), ProfileName::default())
    }
}

#[tokio::test]
async fn while_a_server_holds_its_answers_back_who_has_something_at_hand_does_not_wait() {
    for which in BOTH {
        let bench = Bench::start().await;
        let (server, client) = (bench.server(which), bench.client());
        ask(&client).await.unwrap();
        let (held, asked) = (server.hold().await, server.asked());
        bench.broker.doubt();
        server.is_asked(asked + 1).await;

        let asking = join_all((0..50).map(async |_| ask(&client).await.unwrap().access_key_id));
        let meanwhile = tokio::time::timeout(Duration::from_secs(5), asking).await.unwrap();
        let (newcomer, audience) = (client.clone(), Audience::aws_sts());
        let newcomer = tokio::spawn(async move { newcomer.token(&audience, None).await });
        let asked_of_sts = bench.sts.asked();
        drop(held);
        let is_new = |answer: &Result<DaemonCredentials, _>| {
            answer.as_ref().is_ok_and(|credentials| credentials.access_key_id == "ASIA2")
        };
        let after = poll(&client, SOON, is_new).await;

        assert!(meanwhile.iter().all(|key| key == "ASIA1"), "{which:?}: {meanwhile:?}");
        assert_eq!(asked_of_sts, 1, "{which:?}");
        assert!(after.iter().all(Result::is_ok), "{which:?}: {after:?}");
        assert!(newcomer.await.unwrap().is_ok(), "{which:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_so_in_the_end_and_is_asked_again() {
    for which in BOTH {
        let bench = Bench::with(&Http::with_timeout(Duration::from_millis(500))).await;
        let server = bench.server(which);
        let held = server.hold().await;

        let refused = problem(ask(&bench.client()).await);
        drop(held);
        poll(&bench.client(), SOON, Result::is_ok).await;

        assert_eq!(refused.error, ErrorCode::BrokerUnreachable, "{which:?}: {refused}");
        assert!(refused.detail.contains(&server.url.to_string()), "{which:?}: {refused}");
    }
}

#[tokio::test]
async fn what_is_no_answer_of_a_server_is_told_so_until_it_answers_again() {
    let manners = [Manner::Garbage, Manner::Page(401), Manner::Page(500), Manner::Page(502), Manner::Redirects];
    let cases = BOTH.into_iter().flat_map(|which| manners.map(|manner| (which, manner)));
    let outcomes = cases.map(async |(which, manner)| {
        let bench = Bench::start().await;
        let server = bench.server(which);
        server.tell(manner);

        let refused = problem(ask(&bench.client()).await);
        server.tell(Manner::Honest);
        poll(&bench.client(), SOON, Result::is_ok).await;

        assert_eq!(refused.error, ErrorCode::BrokerUnreachable, "{which:?} {manner:?}: {refused}");
        let says = |words: &str| refused.detail.contains(words);
        assert!(says(&server.url.to_string()) && says("check the network"), "{which:?} {manner:?}: {refused}");
    });

    join_all(outcomes).await;
}

#[tokio::test]
async fn a_server_that_refuses_is_not_asked_at_the_bidding_of_each_caller() {
    let codes = [ErrorCode::AccountMismatch, ErrorCode::InvalidField, ErrorCode::RateLimited, ErrorCode::Internal];
    for (which, refusal) in BOTH.into_iter().flat_map(|which| codes.map(|refusal| (which, refusal))) {
        let bench = Bench::start().await;
        let (server, client) = (bench.server(which), bench.client());
        server.tell(Manner::Refuses(refusal));
        let started = SystemClock.now();

        for _ in 0..10 {
            for refused in join_all((0..50).map(|_| ask(&client))).await {
                assert_eq!(code(refused), refusal, "{which:?}");
            }
        }

        let (asked, seconds) = (server.asked(), SystemClock.now().since(started).as_secs() + 2);
        assert!(u64::try_from(asked).unwrap() <= 2 * seconds, "{which:?}: {asked} requests in {seconds} s");
        server.tell(Manner::Honest);
        poll(&client, SOON, Result::is_ok).await;
    }
}

#[tokio::test]
async fn a_server_that_wrongly_called_the_session_over_is_believed_until_a_person_reloads() {
    let codes = [ErrorCode::TokenExpired, ErrorCode::TokenInvalid];
    for (which, wrong) in BOTH.into_iter().flat_map(|which| codes.map(|wrong| (which, wrong))) {
        let bench = Bench::start().await;
        let (server, client) = (bench.server(which), bench.client());
        ask(&client).await.unwrap();
        server.tell(Manner::Refuses(wrong));
        bench.broker.doubt();
        let refused = problem(poll(&client, SOON, Result::is_err).await.pop().unwrap());
        let state = client.status().await.unwrap().state;
        server.tell(Manner::Honest);

        let asked = server.asked();
        for again in join_all((0..50).map(|_| ask(&client))).await {
            assert_eq!(code(again), wrong, "{which:?}");
        }
        let asked_meanwhile = server.asked() - asked;
        client.reload().await.unwrap();
        let after = ask(&client).await.unwrap();
        client.reload().await.unwrap();
        let at_hand = ask(&client).await.unwrap();

        assert_eq!((refused.error, state), (wrong, DaemonState::SignInNeeded), "{which:?}");
        assert!(refused.detail.contains("`agentkeys init`"), "{which:?}: {refused}");
        assert_eq!(asked_meanwhile, 0, "{which:?} {wrong:?}");
        assert_eq!((after.access_key_id.as_str(), at_hand.access_key_id.as_str()), ("ASIA2", "ASIA2"), "{which:?}");
    }
}

#[tokio::test]
async fn a_challenge_that_ends_before_it_begins_or_lasts_too_long_is_not_signed() {
    for (issued_in, life) in [(0, 601), (0, 0), (0, -300), (86_400, 86_400), (-86_400, 86_700)] {
        let bench = Bench::start().await;
        bench.broker.tell(Manner::Challenges { issued_in, life });

        let refused = problem(ask(&bench.client()).await);
        let signed = bench.signer.asked_for(paths::SIGN_MESSAGE);
        bench.broker.tell(Manner::Honest);
        poll(&bench.client(), SOON, Result::is_ok).await;

        assert!(refused.detail.contains("asked for a signature that proves something else"), "{life}: {refused}");
        assert_eq!(signed, 0, "{issued_in} {life}");
    }
}

#[tokio::test]
async fn the_life_of_a_jwt_is_not_what_a_broker_with_another_clock_says() {
    let (bench, audience) = (Bench::start().await, Audience::aws_sts());
    bench.broker.tell(Manner::Mints(-60));
    let over = problem(bench.client().token(&audience, None).await);
    bench.broker.tell(Manner::Mints(400_000_000));

    let token = async {
        loop {
            if let Ok(token) = bench.client().token(&audience, None).await {
                return token;
            }
        }
    };
    let token = tokio::time::timeout(SOON, token).await.unwrap();

    assert!(over.detail.contains("clock of this machine"), "{over}");
    let life = token.expires_at.since(SystemClock.now());
    assert!(life <= Duration::from_mins(6), "{life:?}");
}
