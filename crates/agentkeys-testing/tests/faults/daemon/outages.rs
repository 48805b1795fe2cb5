//! Servers that are killed and come back.

use std::time::Duration;

use agentkeys_api::ErrorCode;
use agentkeys_client::DaemonClient;
use agentkeys_testing::{Process, ReservedPort, System};

use super::machine::{Machine, SOON, ask, poll, problem};

/// Of credentials that are renewed while a server is away; and of some that end while it is.
const LONG: u32 = 24;
const SHORT: u32 = 4;

/// What runs, and the STS in a process of its own.
struct Running {
    system: System,
    port: ReservedPort,
    sts: Option<Process>,
    machine: Machine,
    daemon: Process,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Broker,
    Signer,
    Sts,
}

impl Running {
    async fn start(life: u32) -> Self {
        let system = System::start_with_short_sessions(Duration::from_mins(15)).await;
        let port = ReservedPort::take();
        let sts = system.start_other_aws(port.address()).await;
        let (machine, _) = Machine::signed_in(&system, &format!("http://{}", port.address()), life).await;
        let daemon = machine.start().await;
        Self { system, port, sts: Some(sts), machine, daemon }
    }

    async fn kill(&mut self, server: Server) {
        match server {
            Server::Broker => self.system.kill_broker().await,
            Server::Signer => self.system.kill_parts().await,
            Server::Sts => drop(self.sts.take().unwrap().kill().await),
        }
    }

    async fn restart(&mut self, server: Server) {
        match server {
            Server::Broker => self.system.restart_broker().await,
            Server::Signer => self.system.restart_parts().await,
            Server::Sts => self.sts = Some(self.system.start_other_aws(self.port.address()).await),
        }
    }

    fn client(&self) -> DaemonClient {
        self.machine.client()
    }

    /// Kills and restarts `server` while an agent asks all the time.
    async fn outage_within_a_life(server: Server) {
        let mut running = Self::start(LONG).await;
        let first = ask(&running.client()).await.unwrap().access_key_id;
        running.kill(server).await;
        let client = running.client();
        let patience = Duration::from_secs(LONG.into()) * 2;
        let polling = tokio::spawn(async move {
            poll(&client, patience, |answer| answer.as_ref().map_or(true, |new| new.access_key_id != first)).await
        });

        if server != Server::Signer {
            running.daemon.line_with("could not be renewed").await;
        }
        running.restart(server).await;
        let answers = polling.await.unwrap();

        let failures: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(failures.is_empty(), "{server:?}: {failures:?}");
        assert!(answers.len() > 10, "nobody asked meanwhile");
    }

    /// Kills `server` for longer than a life, and restarts it.
    async fn outage_beyond_a_life(server: Server, expected: ErrorCode) {
        let mut running = Self::start(SHORT).await;
        ask(&running.client()).await.unwrap();
        running.kill(server).await;

        let refused = poll(&running.client(), SOON, Result::is_err).await.pop().unwrap();
        running.restart(server).await;
        let pid = running.client().status().await.unwrap().pid;
        let answers = poll(&running.client(), SOON, Result::is_ok).await;

        let refused = problem(refused);
        assert_eq!(refused.error, expected, "{refused}");
        assert!(refused.detail.contains("check the network"), "{refused}");
        assert!(answers.len() < 200, "it took long to recover");
        assert_eq!(pid, running.daemon.id());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_notice_that_the_broker_was_away_for_less_than_a_life() {
    Running::outage_within_a_life(Server::Broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_notice_that_the_signer_was_away_for_less_than_a_life() {
    Running::outage_within_a_life(Server::Signer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_notice_that_the_sts_was_away_for_less_than_a_life() {
    Running::outage_within_a_life(Server::Sts).await;
}

#[tokio::test]
async fn after_the_end_of_a_life_an_agent_is_told_that_the_broker_is_away_until_it_is_back() {
    Running::outage_beyond_a_life(Server::Broker, ErrorCode::BrokerUnreachable).await;
}

#[tokio::test]
async fn after_the_end_of_a_life_an_agent_is_told_that_the_sts_is_away_until_it_is_back() {
    Running::outage_beyond_a_life(Server::Sts, ErrorCode::StsUnavailable).await;
}

#[tokio::test]
async fn a_daemon_that_starts_while_the_signer_is_away_goes_on_once_it_is_back() {
    let mut running = Running::start(SHORT).await;
    running.daemon.kill().await;
    running.system.kill_parts().await;
    running.daemon = running.machine.start().await;

    let refused = problem(ask(&running.client()).await);
    running.restart(Server::Signer).await;
    poll(&running.client(), SOON, Result::is_ok).await;

    assert_eq!(refused.error, ErrorCode::BrokerUnreachable, "{refused}");
    assert!(refused.detail.contains(&running.system.signer_url()), "{refused}");
}
