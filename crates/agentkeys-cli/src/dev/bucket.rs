use std::time::Duration;

use agentkeys_client::Region;
use agentkeys_mock_server::AwsConfig;
use agentkeys_types::AwsCredentials;
use reqwest::{Client, StatusCode, Url};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use secrecy::ExposeSecret;

use super::DevError;

/// How long a signed request is good for.
const LIFE: Duration = Duration::from_mins(1);
const GREETING: &str = "Hello from an agent.\n";

/// The bucket of the AWS stand-in, with an agent's credentials.
pub(super) struct Bucket {
    client: Client,
    place: rusty_s3::Bucket,
    credentials: Credentials,
}

impl Bucket {
    pub(super) fn new(endpoint: &str, region: &Region, credentials: &AwsCredentials) -> Result<Self, DevError> {
        let endpoint: Url = endpoint.parse().map_err(|error| DevError::part("S3 client")(Box::new(error)))?;
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, AwsConfig::DEFAULT_BUCKET, region.to_string());
        let client = Client::builder().no_proxy().tls_certs_only([]).timeout(LIFE).build();
        Ok(Self {
            client: client.map_err(|error| DevError::part("S3 client")(error.into()))?,
            place: bucket.map_err(|error| DevError::part("S3 client")(error.into()))?,
            credentials: Credentials::new_with_token(
                &credentials.access_key_id,
                credentials.secret_access_key.expose_secret(),
                credentials.session_token.expose_secret(),
            ),
        })
    }

    /// Writes an object below the wallet's prefix and reads it again. Gives its place.
    pub(super) async fn write_and_read(&self, wallet: &str) -> Result<String, DevError> {
        let (key, place) = Self::key_and_place(wallet);
        self.put(&key).await?.expect(StatusCode::OK, &place)?;
        let read = self.get(&key).await?.expect(StatusCode::OK, &place)?;
        if read != GREETING {
            return Err(DevError::Bucket(format!("{place} does not hold what was written")));
        }
        Ok(place)
    }

    /// Tries to do the same below another wallet's prefix, where neither may work. Gives its place.
    pub(super) async fn is_refused(&self, wallet: &str) -> Result<String, DevError> {
        let (key, place) = Self::key_and_place(wallet);
        for answer in [self.put(&key).await?, self.get(&key).await?] {
            let body = answer.expect(StatusCode::FORBIDDEN, &place)?;
            if !body.contains("<Code>AccessDenied</Code>") {
                return Err(DevError::Bucket(format!("{place} was refused, but not with AccessDenied")));
            }
        }
        Ok(format!("{place}  (AccessDenied, as it must be)"))
    }

    fn key_and_place(wallet: &str) -> (String, String) {
        let key = format!("bots/{wallet}/hello.txt");
        let place = format!("s3://{}/{key}", AwsConfig::DEFAULT_BUCKET);
        (key, place)
    }

    async fn put(&self, key: &str) -> Result<Answer, DevError> {
        let url = self.place.put_object(Some(&self.credentials), key).sign(LIFE);
        Answer::of(self.client.put(url).body(GREETING)).await
    }

    async fn get(&self, key: &str) -> Result<Answer, DevError> {
        let url = self.place.get_object(Some(&self.credentials), key).sign(LIFE);
        Answer::of(self.client.get(url)).await
    }
}

/// What S3 answered.
struct Answer {
    status: StatusCode,
    body: String,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Result<Self, DevError> {
        // The URL carries the signature, and is not repeated.
        let failed = |error: reqwest::Error| DevError::Bucket(format!("S3 did not answer: {}", error.without_url()));
        let response = request.send().await.map_err(failed)?;
        Ok(Self { status: response.status(), body: response.text().await.map_err(failed)? })
    }

    fn expect(self, status: StatusCode, place: &str) -> Result<String, DevError> {
        if self.status == status {
            return Ok(self.body);
        }
        Err(DevError::Bucket(format!("{place}: S3 answered {} instead of {status}", self.status)))
    }
}
