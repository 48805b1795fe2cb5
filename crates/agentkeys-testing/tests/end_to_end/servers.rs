//! Broker and development parts as separate processes.

use std::{sync::Arc, time::Duration};

use agentkeys_client::{AwsSettings, DaemonClient, Dispenser, Http, Observer, Places, ProfileName, Step};
use agentkeys_daemon::{Daemon, DaemonConfig, Rules};
use agentkeys_testing::System;
use agentkeys_types::{RoleName, SystemClock};
use secrecy::ExposeSecret;

#[tokio::test]
async fn a_sign_in_becomes_aws_credentials_in_eight_steps() {
    let system = System::start().await;
    let mut steps = Steps::default();

    let walked = system.walk("ada", &mut steps).await.unwrap();

    assert_eq!(steps.0, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(walked.credentials.access_key_id.starts_with("ASIA"));
}

#[tokio::test]
async fn the_same_person_comes_back_to_the_same_account_and_wallet() {
    let system = System::start().await;

    let [first, second] = [system.walk("ada", &mut ()).await.unwrap(), system.walk("ada", &mut ()).await.unwrap()];
    let other = system.walk("grace", &mut ()).await.unwrap();

    assert_eq!(first.session.omni_account, second.session.omni_account);
    assert_eq!(first.wallet, second.wallet);
    assert_ne!(first.session.session_id, second.session.session_id);
    assert_ne!(first.wallet, other.wallet);
}

#[tokio::test]
async fn the_log_of_the_broker_has_none_of_the_secrets() {
    let system = System::start().await;

    let walked = system.walk("ada", &mut ()).await.unwrap();

    let log = system.broker_log();
    assert!(!log.contains(walked.session.token.expose()));
    assert!(!log.contains(walked.credentials.secret_access_key.expose_secret()));
}

#[tokio::test]
async fn a_running_daemon_hands_out_nothing_more_once_its_session_is_revoked() {
    let system = System::start().await;
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let aws = AwsSettings {
        role_arn: Some(System::ROLE_ARN.parse().unwrap()),
        endpoint_url: Some(system.aws_url().parse().unwrap()),
        ..AwsSettings::default()
    };
    let places = Places::new(folder.path(), None, None, None);
    let servers = [system.broker_url().parse().unwrap(), system.signer_url().parse().unwrap()];
    let config = DaemonConfig::in_places(&places, ProfileName::default(), servers, Rules::of_aws(aws).fixed());
    let config = DaemonConfig { signer_trust: system.signer_trust(), ..config };
    let daemon =
        Daemon::start(config, walked.session.clone(), None, Arc::new(SystemClock), &Http::default()).await.unwrap();
    let agent = DaemonClient::new(daemon.socket().to_owned(), ProfileName::default());
    agent.credentials(&RoleName::default(), None).await.unwrap();

    let session = walked.session;
    system.flow().broker.revoke_session(&session, session.session_id).await.unwrap();

    let refused = async {
        loop {
            if let Err(error) = agent.credentials(&RoleName::default(), None).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), refused).await.unwrap();
    assert!(error.needs_sign_in(), "{error}");
    daemon.stop().await;
}

/// The numbers of the steps, as they are done.
#[derive(Default)]
struct Steps(Vec<u8>);

impl Observer for Steps {
    fn step(&mut self, step: Step, _: Duration, _: &str) {
        self.0.push(step.number());
    }
}
