//! A broker, and the two clouds that trust it: Ceph, and our stand-in for AWS.

use std::{sync::Arc, time::Duration};

use agentkeys_broker::Config;
use agentkeys_client::{ClientError, Http, Role, RoleArn, SessionDuration, StsClient};
use agentkeys_http::Running;
use agentkeys_mock_server::{AwsConfig, AwsStandIn, Trust};
use agentkeys_testing::{Person, TestBroker};
use agentkeys_types::{AwsCredentials, Clock, OidcJwt, SystemClock};
use reqwest::{Client, Method, Url};
use serde_json::json;
use tempfile::TempDir;

use super::{radosgw::Radosgw, sigv4::Keys};

/// Whom the broker's JWTs are for.
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";

/// A broker with three people who have proved their wallets, and the clouds that trust it.
pub(crate) struct Bench {
    pub(crate) broker: TestBroker,
    pub(crate) ada: Person,
    pub(crate) grace: Person,
    /// Nobody named their wallet to Ceph.
    pub(crate) mallory: Person,
    pub(crate) clouds: Clouds,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With settings of the test's own.
    pub(crate) async fn start_with(settings: impl FnOnce(&mut Config)) -> Self {
        let broker = TestBroker::start_with(settings).await;
        // The machine's time, which Ceph cannot be moved from.
        let (machine, ours) = (SystemClock.now(), broker.clock().now());
        broker.clock().advance(machine.since(ours));
        broker.clock().step_back(ours.since(machine));
        let ada = broker.sign_in("ada").await.prove_wallet().await;
        let grace = broker.sign_in("grace").await.prove_wallet().await;
        let mallory = broker.sign_in("mallory").await.prove_wallet().await;
        let wallets = [&ada, &grace].map(|person| person.address().to_lowercase());
        let clouds = Clouds::trusting(&broker.url(""), &wallets.each_ref().map(String::as_str)).await;
        Self { broker, ada, grace, mallory, clouds }
    }

    /// A JWT from the broker.
    pub(crate) async fn mint(&self, person: &Person) -> String {
        person.mint(&json!({})).await.expect(200).text("jwt").to_owned()
    }
}

/// Ceph, and our stand-in for AWS.
pub(crate) struct Clouds {
    pub(crate) ceph: Cloud,
    pub(crate) stand_in: Cloud,
    _aws: Running,
    _data: TempDir,
}

impl Clouds {
    /// Has both trust an issuer; Ceph is told the wallets too, since its policies must name them.
    pub(crate) async fn trusting(issuer: &str, wallets: &[&str]) -> Self {
        let gateway = Radosgw::at_hand();
        let bucket = gateway.create_bucket().await;
        gateway.create_provider(issuer, AUDIENCE).await;
        let role = gateway.create_role(issuer, AUDIENCE, wallets, &bucket).await;
        let ceph = Cloud::new(&gateway.url, &bucket, role);

        let data = tempfile::tempdir().unwrap();
        let config = AwsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.path().join("s3"),
            role_arn: AwsConfig::DEFAULT_ROLE_ARN.to_owned(),
            bucket: AwsConfig::DEFAULT_BUCKET.to_owned(),
            trusted: vec![Trust { issuer: issuer.to_owned(), audiences: vec![AUDIENCE.to_owned()] }],
            shortest_session: AwsConfig::SHORTEST_SESSION,
            default_session: AwsConfig::DEFAULT_SESSION,
        };
        let (bucket, role) = (config.bucket.clone(), config.role_arn.parse().unwrap());
        let aws = AwsStandIn::start(config, Arc::new(SystemClock)).await.unwrap();
        let stand_in = Cloud::new(&format!("http://{}", aws.address()), &bucket, role);
        Self { ceph, stand_in, _aws: aws, _data: data }
    }

    /// What the stand-in and Ceph make of a request.
    pub(crate) async fn judge(&self, jwt: &str, change: impl Fn(&mut Assume)) -> (Verdict, Verdict) {
        let [mut ours, mut cephs] = [&self.stand_in, &self.ceph].map(|cloud| cloud.request(jwt.to_owned()));
        change(&mut ours);
        change(&mut cephs);
        (self.stand_in.verdict_on_assuming(&ours).await, self.ceph.verdict_on_assuming(&cephs).await)
    }
}

/// What a cloud made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// What is asked of an STS.
pub(crate) struct Assume {
    pub(crate) jwt: String,
    pub(crate) role_arn: RoleArn,
    pub(crate) session_name: String,
    pub(crate) duration: SessionDuration,
}

/// What is asked of an S3.
pub(crate) struct Access {
    pub(crate) method: Method,
    /// Behind the bucket.
    pub(crate) path: String,
    pub(crate) keys: Keys,
}

/// An STS and an S3 at one address, with one role and one bucket.
pub(crate) struct Cloud {
    url: String,
    bucket: String,
    role_arn: RoleArn,
    sts: StsClient,
    http: Client,
}

impl Cloud {
    fn new(url: &str, bucket: &str, role_arn: RoleArn) -> Self {
        let sts = StsClient::new(&Http::default());
        let http = Client::builder().no_proxy().build().unwrap();
        Self { url: url.to_owned(), bucket: bucket.to_owned(), role_arn, sts, http }
    }

    /// A request with nothing wrong but, perhaps, the JWT.
    pub(crate) fn request(&self, jwt: String) -> Assume {
        let (session_name, duration) = ("agent".to_owned(), SessionDuration::default());
        Assume { jwt, role_arn: self.role_arn.clone(), session_name, duration }
    }

    /// Assumes a role.
    pub(crate) async fn assume(&self, request: &Assume) -> Result<AwsCredentials, ClientError> {
        let Assume { jwt, role_arn, session_name, duration } = request;
        let jwt = OidcJwt::new(jwt.clone());
        let role = Role::with_arn(role_arn.clone());
        let role = Role { endpoint_url: Some(self.url.parse().unwrap()), duration: *duration, ..role };
        self.sts.assume_role_with_web_identity(&role, session_name, &jwt).await
    }

    /// Keys for this JWT.
    pub(crate) async fn keys(&self, jwt: &str) -> Keys {
        Keys::from(&self.assume(&self.request(jwt.to_owned())).await.unwrap())
    }

    /// Whether it assumes a role.
    pub(crate) async fn verdict_on_assuming(&self, request: &Assume) -> Verdict {
        match self.assume(request).await {
            Ok(_) => Verdict::Accepted,
            Err(ClientError::Sts(refusal)) if (400..500).contains(&refusal.status) => Verdict::Refused,
            Err(other) => panic!("neither accepted nor refused: {other:?}"),
        }
    }

    /// Touches what lies in the bucket.
    pub(crate) async fn access(&self, access: &Access) -> (u16, String) {
        let url = Url::parse(&format!("{}/{}{}", self.url, self.bucket, access.path)).unwrap();
        let body = if access.method == Method::PUT { "hello" } else { "" };
        let response = access.keys.send(&self.http, "s3", access.method.clone(), &url, body).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Whether that is allowed.
    pub(crate) async fn verdict_on_access(&self, access: &Access) -> Verdict {
        match self.access(access).await {
            (200..300, _) => Verdict::Accepted,
            (400..500, _) => Verdict::Refused,
            other => panic!("neither accepted nor refused: {other:?}"),
        }
    }
}

/// The time for which JWTs are good.
pub(crate) const LIFE: Duration = Duration::from_mins(5);
