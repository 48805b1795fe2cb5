//! boto3 from `PyPI`, with credentials from the eight steps and JWTs from the broker.

use std::time::Duration;

use agentkeys_http::Running;
use agentkeys_mock_server::{AwsConfig, AwsStandIn, Trust};
use agentkeys_testing::{Person, System, TestBroker};
use serde_json::{Value, json};

use crate::parts::AwsClient;

const OBJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/objects.py");
const ASSUME_ROLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/assume_role.py");

#[tokio::test]
#[ignore = "needs boto3: cargo xtask test"]
async fn boto3_reaches_its_own_wallets_objects_and_no_others() {
    let system = System::start().await;
    let ada = system.walk("ada", &mut ()).await.unwrap();
    let grace = system.walk("grace", &mut ()).await.unwrap();
    let [own, other] = [&ada, &grace].map(|walked| format!("bots/{}/", walked.wallet.to_lowercase()));
    let boto3 = AwsClient::boto3(&system.aws_url()).with_credentials(&ada.credentials);

    let outcomes = boto3.run(&[OBJECTS, System::BUCKET, &own, &other]).await.stdout();

    let denied = "AccessDenied";
    assert_eq!(
        serde_json::from_str::<Value>(&outcomes).unwrap(),
        json!({
            "put own": 200,
            "get own": "hello",
            "list own": ["a b+c.txt"],
            "presigned, version 4": "hello",
            "presigned, version 2": "hello",
            "get missing": "NoSuchKey",
            "put other": denied,
            "get other": denied,
            "list other": denied,
            "list all": denied,
            "presigned other": 403,
            "copy from other": denied,
        })
    );
}

#[tokio::test]
#[ignore = "needs boto3: cargo xtask test"]
async fn a_minted_jwt_is_taken_and_an_altered_one_is_not() {
    let bench = Bench::start().await;
    let jwt = bench.mint().await;
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();

    let taken = bench.assume_role(&jwt).await;

    assert_eq!(taken, "arn:aws:sts::000000000000:assumed-role/agentkeys-dev/agent");
    for altered in [
        format!("{header}.{claims}.{}", altered(signature)),
        format!("{header}.{}.{signature}", altered(claims)),
        format!("{}.{claims}.{signature}", altered(header)),
        format!("{header}.{claims}."),
    ] {
        assert_eq!(bench.assume_role(&altered).await, "InvalidIdentityToken", "{altered}");
    }
}

#[tokio::test]
#[ignore = "needs boto3: cargo xtask test"]
async fn a_minted_jwt_is_over_after_five_minutes() {
    let bench = Bench::start().await;
    let jwt = bench.mint().await;

    bench.broker.clock().advance(Duration::from_secs(299));
    let last_moment = bench.assume_role(&jwt).await;
    bench.broker.clock().advance(Duration::from_secs(1));
    let over = bench.assume_role(&jwt).await;

    assert_eq!(last_moment, "arn:aws:sts::000000000000:assumed-role/agentkeys-dev/agent");
    assert_eq!(over, "ExpiredTokenException");
}

/// A broker and the AWS stand-in on one clock that the test moves.
struct Bench {
    broker: TestBroker,
    ada: Person,
    aws: Running,
    _data: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let broker = TestBroker::start().await;
        let ada = broker.sign_in("ada").await.prove_wallet().await;
        let data = tempfile::tempdir().unwrap();
        let trusted = Trust { issuer: broker.url(""), audiences: vec!["sts.amazonaws.com".to_owned()] };
        let config = AwsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.path().join("s3"),
            role_arn: AwsConfig::DEFAULT_ROLE_ARN.to_owned(),
            bucket: AwsConfig::DEFAULT_BUCKET.to_owned(),
            trusted: vec![trusted],
            shortest_session: AwsConfig::SHORTEST_SESSION,
            default_session: AwsConfig::DEFAULT_SESSION,
        };
        let aws = AwsStandIn::start(config, broker.shared_clock()).await.unwrap();
        Self { broker, ada, aws, _data: data }
    }

    async fn mint(&self) -> String {
        self.ada.mint(&json!({})).await.expect(200).text("jwt").to_owned()
    }

    async fn assume_role(&self, jwt: &str) -> String {
        let boto3 = AwsClient::boto3(&format!("http://{}", self.aws.address()));
        let said = boto3.run_with_input(&[ASSUME_ROLE, AwsConfig::DEFAULT_ROLE_ARN], jwt).await.stdout();
        said.trim_end().to_owned()
    }
}

/// The same text with its tenth character exchanged.
fn altered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[10] = if bytes[10] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}
