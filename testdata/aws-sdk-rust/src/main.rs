//! Puts and gets an object again and again with the AWS SDK for Rust, whose default chain finds the credentials.
//!
//!     aws-sdk-rust BUCKET PREFIX COUNT SECONDS
//!
//! Prints `{"access_key_id": …, "expiration": …}` whenever the credentials are others than before. Ends well once it
//! has had COUNT different ones, and badly after SECONDS, or when anything is refused.

use std::{
    env, error,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_config::BehaviorVersion;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use aws_sdk_s3::{
    Client,
    config::{Builder, RequestChecksumCalculation},
    error::DisplayErrorContext,
    primitives::{ByteStream, DateTime, DateTimeFormat},
};
use serde_json::json;

const PAUSE: Duration = Duration::from_millis(200);

type Failure = Box<dyn error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bucket, prefix, count, seconds] = arguments.as_slice() else {
        return Err("aws-sdk-rust BUCKET PREFIX COUNT SECONDS".into());
    };
    let (count, limit): (usize, _) = (count.parse()?, Duration::from_secs(seconds.parse()?));
    let (began, key) = (Instant::now(), format!("{prefix}by-rust"));
    let found = Found::default();
    let s3 = client(found.clone()).await?;
    let mut seen = Seen::default();
    loop {
        let body = ByteStream::from_static(b"hello");
        s3.put_object().bucket(bucket).key(&key).body(body).send().await.map_err(in_full)?;
        seen.take(&found)?;
        let answer = s3.get_object().bucket(bucket).key(&key).send().await.map_err(in_full)?;
        if answer.body.collect().await?.into_bytes() != "hello" {
            return Err("another object came back".into());
        }
        seen.take(&found)?;
        if seen.0.len() >= count {
            return Ok(());
        }
        if began.elapsed() >= limit {
            return Err(format!("only {} different credentials in {seconds} seconds", seen.0.len()).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn client(found: Found) -> Result<Client, Failure> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let chain = config.credentials_provider().ok_or("there is no default chain")?;
    let config = Builder::from(&config)
        .credentials_provider(Watched { chain, found })
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Ok(Client::from_conf(config.build()))
}

/// What the chain found last.
type Found = Arc<Mutex<Option<Credentials>>>;

/// The chain, watched.
#[derive(Debug)]
struct Watched {
    chain: SharedCredentialsProvider,
    found: Found,
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let credentials = self.chain.provide_credentials().await?;
            *self.found.lock().expect("nobody panics") = Some(credentials.clone());
            Ok(credentials)
        })
    }
}

/// The access key ids so far.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn take(&mut self, found: &Found) -> Result<(), Failure> {
        let found = found.lock().expect("nobody panics");
        let credentials = found.as_ref().ok_or("a request went out without credentials")?;
        if self.0.iter().any(|seen| seen == credentials.access_key_id()) {
            return Ok(());
        }
        let expiration = credentials.expiry().map(|at| DateTime::from(at).fmt(DateTimeFormat::DateTime)).transpose()?;
        println!("{}", json!({"access_key_id": credentials.access_key_id(), "expiration": expiration}));
        self.0.push(credentials.access_key_id().to_owned());
        Ok(())
    }
}

/// The error with all its causes, which its own words leave out.
fn in_full(error: impl error::Error + 'static) -> String {
    DisplayErrorContext(error).to_string()
}
