//! Programs that put and get an object again and again, until their credentials have changed often enough.

use std::fs;

use serde_json::Value;

use crate::parts::{self, AwsClient, Ran};

const BOTO3: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/python/keep_using.py");
const JAVASCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_parts/javascript/keep_using.mjs");

/// For how long a program may wait for other credentials.
const SECONDS: &str = "60";
/// The same for the AWS CLI, of which a round takes some seconds.
const MOST_RUNS: usize = 30;

/// Something of AWS's own that finds credentials by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sdk {
    Boto3,
    Cli,
    JavaScript,
    Rust,
}

/// Where objects are put.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) bucket: String,
    /// Ends in a slash.
    pub(crate) prefix: String,
}

/// Credentials that a client has signed with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) access_key_id: String,
    /// Whether the client knows when they end; the AWS CLI does not say.
    pub(crate) expires: Option<bool>,
}

impl Sdk {
    pub(crate) const ALL: [Self; 4] = [Self::Boto3, Self::Cli, Self::JavaScript, Self::Rust];

    /// What it says of these.
    pub(crate) fn used(self, access_key_id: &str, expires: bool) -> Used {
        let says = !matches!(self, Self::Cli);
        Used { access_key_id: access_key_id.to_owned(), expires: says.then_some(expires) }
    }

    /// Has it use credentials from behind a door, until it has had `count` different ones; gives them in their order.
    ///
    /// `door` tells the client's environment where they are.
    pub(crate) async fn keep_using(
        self,
        place: &Place,
        count: usize,
        door: impl FnOnce(AwsClient) -> AwsClient,
    ) -> Vec<Used> {
        let client = door(self.client(&place.url));
        if let Self::Cli = self {
            return keep_using_the_cli(&client, place, count).await;
        }
        let lines = self.run(&client, place, count).await.stdout();
        lines.lines().map(Used::read).collect()
    }

    /// Has it do the same, in vain; gives what it complains of.
    pub(crate) async fn fail_to_use(self, place: &Place, door: impl FnOnce(AwsClient) -> AwsClient) -> String {
        let client = door(self.client(&place.url));
        match self {
            Self::Cli => put(&client, place).await.complaint(),
            _ => self.run(&client, place, 1).await.complaint(),
        }
    }

    fn client(self, url: &str) -> AwsClient {
        match self {
            Self::Boto3 => AwsClient::boto3(url),
            // The others say so themselves.
            Self::Cli => AwsClient::cli(url).with("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
            Self::JavaScript => AwsClient::javascript(url),
            Self::Rust => AwsClient::rust(url),
        }
    }

    async fn run(self, client: &AwsClient, place: &Place, count: usize) -> Ran {
        let (modules, count) = (parts::at("AGENTKEYS_TEST_NODE_MODULES"), count.to_string());
        let before: &[&str] = match self {
            Self::Boto3 => &[BOTO3],
            Self::JavaScript => &[JAVASCRIPT, &modules],
            Self::Cli | Self::Rust => &[],
        };
        client.run(&[before, &[&place.bucket, &place.prefix, &count, SECONDS]].concat()).await
    }
}

impl Used {
    /// Reads a line of the programs.
    fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap();
        let access_key_id = line["access_key_id"].as_str().unwrap().to_owned();
        Self { access_key_id, expires: Some(line["expiration"].is_string()) }
    }
}

/// A run for each object that is put, each of which finds credentials anew; it is got again when these are others.
async fn keep_using_the_cli(client: &AwsClient, place: &Place, count: usize) -> Vec<Used> {
    let object = format!("s3://{}/{}by-cli", place.bucket, place.prefix);
    let mut used: Vec<Used> = Vec::new();
    for _ in 0..MOST_RUNS {
        let put = put(client, place).await;
        put.stdout();

        let access_key_id = signer_in(&put.stderr()).to_owned();
        if used.iter().all(|credentials| credentials.access_key_id != access_key_id) {
            assert_eq!(client.run(&["s3", "cp", &object, "-"]).await.stdout(), "hello");
            used.push(Used { access_key_id, expires: None });
        }
        if used.len() >= count {
            return used;
        }
    }
    panic!("only {used:?} in {MOST_RUNS} rounds")
}

async fn put(client: &AwsClient, place: &Place) -> Ran {
    fs::write(client.home().join("small"), "hello").unwrap();
    let object = format!("s3://{}/{}by-cli", place.bucket, place.prefix);
    client.run(&["--debug", "s3", "cp", "small", &object]).await
}

/// The access key id in the first signature of a log.
fn signer_in(log: &str) -> &str {
    let (_, signature) = log.split_once("AWS4-HMAC-SHA256 Credential=").unwrap();
    signature.split_once('/').unwrap().0
}
