//! AWS Signature Version 4, as a client makes it.

use std::collections::BTreeMap;

use agentkeys_types::{AwsCredentials, Clock, SystemClock};
use aws_lc_rs::{digest, hmac};
use reqwest::{Client, Method, Response, Url, header::CONTENT_TYPE};
use secrecy::ExposeSecret;

const REGION: &str = "us-east-1";

/// What a client signs with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

impl From<&AwsCredentials> for Keys {
    fn from(credentials: &AwsCredentials) -> Self {
        Self {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.expose_secret().to_owned(),
            session_token: Some(credentials.session_token.expose_secret().to_owned()),
        }
    }
}

impl Keys {
    /// Sends a signed request. Its path and query need no encoding but that which a URL has.
    pub(crate) async fn send(&self, http: &Client, service: &str, method: Method, url: &Url, body: &str) -> Response {
        let time = SystemClock.now().to_string().replace(['-', ':'], "");
        let payload = sha256(body);
        let authority = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut signed = BTreeMap::from([
            ("host", authority.as_str()),
            ("x-amz-content-sha256", payload.as_str()),
            ("x-amz-date", time.as_str()),
        ]);
        if let Some(token) = &self.session_token {
            signed.insert("x-amz-security-token", token);
        }
        let names = signed.keys().copied().collect::<Vec<_>>().join(";");
        let lines = signed.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join("\n");
        let query = url.query().unwrap_or_default();
        let canonical = format!("{method}\n{}\n{query}\n{lines}\n\n{names}\n{payload}", url.path());
        let scope = format!("{}/{REGION}/{service}/aws4_request", &time[..8]);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
        let key = scope
            .split('/')
            .fold(format!("AWS4{}", self.secret_access_key).into_bytes(), |key, part| hmac_sha256(&key, part));
        let signature = hex::encode(hmac_sha256(&key, &text));
        let credential = format!("{}/{scope}", self.access_key_id);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");

        let mut request = http.request(method, url.clone()).header("authorization", authorization);
        for (name, value) in signed.into_iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, value);
        }
        if service != "s3" {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        request.body(body.to_owned()).send().await.unwrap()
    }
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn hmac_sha256(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}
