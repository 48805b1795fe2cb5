//! The same at Ceph, which verifies JWTs, and enforces tags and session policies for real.

use agentkeys_api::DaemonCredentials;
use agentkeys_client::{Dispenser, RoleArn, Walked};
use agentkeys_testing::{Process, System};
use agentkeys_types::AwsCredentials;
use reqwest::{Client, Method, Url};
use serde_json::json;
use tokio::time::Instant;

use super::{
    assert_each_had_enough,
    bench::{AUDIENCE, Bench, CLAUDE, LIFE, Site},
    door::Door,
    machine::Machine,
    most_lives,
};
use crate::{
    ceph::{
        radosgw::{OnlyFor, Radosgw},
        sigv4::Keys,
    },
    sdks::sdk::Place,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS SDKs and Ceph: cargo xtask test"]
async fn every_sdk_goes_on_through_every_door_while_credentials_are_renewed() {
    // Whoever exchanges a JWT by itself asks for no length, and so has an hour.
    let sets = |door: Door| if door == Door::WebIdentity { 1 } else { door.sets() };
    let ada = Ada::at_ceph().await;
    let (site, began) = (ada.site(&ada.role(OnlyFor::default()).await), Instant::now());
    let Ada { system, walked, .. } = ada;
    let bench = Bench::start(system, &walked, site).await;

    let everybody = bench.keep_using(&Door::ALL, sets).await;

    assert_each_had_enough(&everybody, sets);
    for whose in ["person", CLAUDE] {
        let (lives, sessions) = (most_lives(began), bench.handed_out_to(whose));
        assert!((3..=lives).contains(&sessions), "{whose}: {sessions} sessions in {lives} lives");
    }
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn credentials_may_do_no_more_than_the_policy_of_the_settings() {
    let ada = Ada::at_ceph().await;
    let role = ada.role(OnlyFor::default()).await;
    let drafts = format!("arn:aws:s3:::{}/{}drafts/*", ada.bucket, ada.prefix());
    let statement = json!({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [drafts]});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    let narrower = format!("[aws.roles.narrower]\nrole_arn = \"{role}\"\nsession_policy = '{policy}'\n");
    let (machine, _daemon) = ada.machine(&role, &narrower).await;

    let wide = machine.daemon_client().credentials(&"default".parse().unwrap(), None).await.unwrap();
    let narrow = machine.daemon_client().credentials(&"narrower".parse().unwrap(), None).await.unwrap();

    for (credentials, name, expected) in
        [(&wide, "drafts/a", 200), (&wide, "a", 200), (&narrow, "drafts/a", 200), (&narrow, "a", 403)]
    {
        assert_eq!(ada.put(name, credentials).await, expected, "{} {name}", credentials.role);
    }
}

#[tokio::test]
#[ignore = "needs Ceph: cargo xtask test"]
async fn a_tag_lets_one_agent_in_and_keeps_everybody_else_out() {
    let ada = Ada::at_ceph().await;
    let permitting = ada.role(OnlyFor { permitted: Some(CLAUDE), ..OnlyFor::default() }).await;
    let trusting = ada.role(OnlyFor { trusted: Some(CLAUDE), ..OnlyFor::default() }).await;
    let roles = format!("[aws.roles.trusting]\nrole_arn = \"{trusting}\"\n");
    let (machine, _daemon) = ada.machine(&permitting, &roles).await;
    let daemon = machine.daemon_client();

    // The person first: at that moment the daemon asks for them anyway.
    for (agent, may) in [(None, false), (Some(CLAUDE), true), (Some("codex"), false)] {
        let agent = agent.map(|name| name.parse().unwrap());
        let permitted = daemon.credentials(&"default".parse().unwrap(), agent.as_ref()).await.unwrap();
        let trusted = daemon.credentials(&"trusting".parse().unwrap(), agent.as_ref()).await;

        assert_eq!(ada.put("a", &permitted).await, if may { 200 } else { 403 }, "{agent:?}");
        match trusted {
            Ok(trusted) => assert!(may && ada.put("a", &trusted).await == 200, "{agent:?}"),
            Err(refusal) => assert!(!may && refusal.code() == "role_refused", "{agent:?}: {refusal:?}"),
        }
    }
}

/// Somebody who is signed in, and has a bucket at Ceph.
struct Ada {
    system: System,
    walked: Walked,
    radosgw: Radosgw,
    bucket: String,
}

impl Ada {
    async fn at_ceph() -> Self {
        let (system, radosgw) = (System::start().await, Radosgw::at_hand());
        let walked = system.walk("ada", &mut ()).await.unwrap();
        let bucket = radosgw.create_bucket().await;
        radosgw.create_provider(&system.broker_url(), AUDIENCE).await;
        Self { system, walked, radosgw, bucket }
    }

    /// What is hers in the bucket.
    fn prefix(&self) -> String {
        format!("bots/{}/", self.walked.wallet.to_lowercase())
    }

    /// A role for her, or for an agent of hers alone.
    async fn role(&self, only_for: OnlyFor<'_>) -> RoleArn {
        let (issuer, wallet) = (self.system.broker_url(), self.walked.wallet.to_lowercase());
        self.radosgw.create_role_only_for(only_for, &issuer, AUDIENCE, &[&wallet], &self.bucket).await
    }

    fn site(&self, role: &RoleArn) -> Site {
        let place = Place { url: self.radosgw.url.clone(), bucket: self.bucket.clone(), prefix: self.prefix() };
        Site { sts: self.radosgw.url.clone(), role_arn: role.to_string(), place }
    }

    /// Her machine with two agents that may have this role, the default one, and those that other settings name.
    async fn machine(&self, role: &RoleArn, other_roles: &str) -> (Machine, Process) {
        let settings = format!(
            "[aws]\nrole_arn = \"{role}\"\nendpoint_url = \"{}\"\nduration_seconds = {}\n{other_roles}",
            self.radosgw.url,
            LIFE.as_secs()
        );
        let session = &self.walked.session;
        let machine = Machine::with(session, &self.system, |_| settings).await;
        for agent in [CLAUDE, "codex"] {
            machine.name_agent(agent, &["default", "trusting"], &[AUDIENCE], &self.system, session).await;
        }
        let daemon = machine.start_daemon().await;
        (machine, daemon)
    }

    /// The status of an attempt to put one of her objects.
    async fn put(&self, name: &str, credentials: &DaemonCredentials) -> u16 {
        let keys = Keys::from(&AwsCredentials {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            session_token: credentials.session_token.clone(),
            expires_at: credentials.expires_at,
        });
        let url = Url::parse(&format!("{}/{}/{}{name}", self.radosgw.url, self.bucket, self.prefix())).unwrap();
        let http = Client::builder().no_proxy().build().unwrap();
        keys.send(&http, "s3", Method::PUT, &url, "hello").await.status().as_u16()
    }
}
