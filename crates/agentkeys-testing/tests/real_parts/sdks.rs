//! AWS's own clients in four languages, each with its default chain at each door by which it finds credentials.

mod ceph;
pub(crate) mod sdk;

use std::{fs, path::PathBuf, time::Duration};

use agentkeys_client::Walked;
use agentkeys_testing::System;
use agentkeys_types::AwsCredentials;
use secrecy::ExposeSecret;
use serde_json::json;

use self::sdk::{Place, Sdk};

#[tokio::test]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn every_sdk_uses_credentials_from_its_environment() {
    let bench = Bench::start(System::start().await).await;
    let credentials = &bench.ada.credentials;

    for sdk in Sdk::ALL {
        let used = sdk.keep_using(&bench.place(), 1, |client| client.with_credentials(credentials)).await;

        assert_eq!(used, [sdk.used(&credentials.access_key_id, false)], "{sdk:?}");
    }
}

#[tokio::test]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn every_sdk_uses_credentials_that_a_command_prints() {
    let bench = Bench::start(System::start().await).await;
    let credentials = &bench.ada.credentials;
    let printed = bench.file("printed", &printed(credentials));
    let settings = format!("credential_process = cat {}", printed.display());

    for sdk in Sdk::ALL {
        let used = sdk.keep_using(&bench.place(), 1, |client| client.with_configuration(&settings)).await;

        assert_eq!(used, [sdk.used(&credentials.access_key_id, true)], "{sdk:?}");
    }
}

#[tokio::test]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn every_sdk_exchanges_a_minted_jwt_by_itself_whenever_its_session_ends() {
    let bench = Bench::start(System::start_with_short_sessions(Duration::from_secs(4)).await).await;
    let jwt = bench.file("jwt", &bench.mint().await);

    for sdk in Sdk::ALL {
        let before = bench.system.aws_sessions().await;
        let used = sdk.keep_using(&bench.place(), 3, |client| client.with_web_identity(&jwt, System::ROLE_ARN)).await;
        let exchanged = bench.system.aws_sessions().await - before;

        assert!(
            used.len() >= 3 && used.iter().all(|credentials| credentials.expires != Some(false)),
            "{sdk:?}: {used:?}"
        );
        assert!(exchanged >= used.len(), "{sdk:?}: {exchanged} sessions, {used:?}");
    }
}

#[tokio::test]
#[ignore = "needs the AWS SDKs: cargo xtask test"]
async fn every_sdk_fails_where_it_may_not_write() {
    let bench = Bench::start(System::start().await).await;
    let elsewhere = Place { prefix: "bots/0x0000000000000000000000000000000000000000/".to_owned(), ..bench.place() };

    for sdk in Sdk::ALL {
        let complaint = sdk.fail_to_use(&elsewhere, |client| client.with_credentials(&bench.ada.credentials)).await;

        assert!(complaint.contains("AccessDenied"), "{sdk:?}: {complaint}");
    }
}

/// The servers, and somebody who has walked the eight steps.
struct Bench {
    system: System,
    ada: Walked,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start(system: System) -> Self {
        let ada = system.walk("ada", &mut ()).await.unwrap();
        Self { system, ada, folder: tempfile::tempdir().unwrap() }
    }

    /// What lies at the stand-in, and is hers.
    fn place(&self) -> Place {
        Place { url: self.system.aws_url(), bucket: System::BUCKET.to_owned(), prefix: self.prefix() }
    }

    fn prefix(&self) -> String {
        format!("bots/{}/", self.ada.wallet.to_lowercase())
    }

    async fn mint(&self) -> String {
        let flow = self.system.flow();
        let proof = flow.prove_wallet(&self.ada.session, self.ada.wallet, &mut ()).await.unwrap();
        flow.mint_oidc_jwt(&proof, &mut ()).await.unwrap().expose().to_owned()
    }

    /// A file with this in it.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// Credentials as a command prints them for AWS's clients.
fn printed(credentials: &AwsCredentials) -> String {
    json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose_secret(),
        "SessionToken": credentials.session_token.expose_secret(),
        "Expiration": credentials.expires_at.to_string(),
    })
    .to_string()
}
