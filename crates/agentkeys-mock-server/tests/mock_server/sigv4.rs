//! AWS Signature Version 4, as a client makes it.

use std::collections::BTreeMap;

use agentkeys_types::{Clock, SystemClock};
use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Method, Response, Url};

const REGION: &str = "us-east-1";

/// What a client signs with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

impl Keys {
    /// Sends a request, signed in its headers.
    pub(crate) async fn send(
        &self,
        http: &Client,
        service: &str,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let url = Url::parse(url).unwrap();
        let time = time();
        let payload = sha256(body);
        let mut signed: BTreeMap<String, String> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        signed.insert("host".to_owned(), authority(&url));
        signed.insert("x-amz-date".to_owned(), time.clone());
        if service == "s3" {
            signed.insert("x-amz-content-sha256".to_owned(), payload.clone());
        }
        if let Some(token) = &self.session_token {
            signed.insert("x-amz-security-token".to_owned(), token.clone());
        }
        let names = signed.keys().cloned().collect::<Vec<_>>().join(";");
        let lines = signed.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join("\n");
        let query = canonical_query(&url);
        let canonical = format!("{method}\n{}\n{query}\n{lines}\n\n{names}\n{payload}", canonical_path(&url));
        let (scope, signature) = self.sign(service, &time, &canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        );
        let mut request = http.request(method, url).body(body.to_vec()).header("authorization", authorization);
        for (name, value) in signed.iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    /// A URL that anybody may use for `seconds`.
    pub(crate) fn presign(&self, method: &Method, url: &str, seconds: u32) -> Url {
        let mut url = Url::parse(url).unwrap();
        let time = time();
        let scope = scope(&time, "s3");
        url.query_pairs_mut()
            .append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
            .append_pair("X-Amz-Credential", &format!("{}/{scope}", self.access_key_id))
            .append_pair("X-Amz-Date", &time)
            .append_pair("X-Amz-Expires", &seconds.to_string())
            .append_pair("X-Amz-SignedHeaders", "host");
        if let Some(token) = &self.session_token {
            url.query_pairs_mut().append_pair("X-Amz-Security-Token", token);
        }
        let (query, host) = (canonical_query(&url), authority(&url));
        let canonical = format!("{method}\n{}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", url.path());
        let (_, signature) = self.sign("s3", &time, &canonical);
        url.query_pairs_mut().append_pair("X-Amz-Signature", &signature);
        url
    }

    /// A URL to read from until 2100, in the signature version that boto3 uses for `us-east-1`.
    pub(crate) fn presign_in_version_2(&self, endpoint: &str, path: &str) -> Url {
        const EXPIRES: &str = "4102444800";
        let token = self.session_token.as_deref();
        let line = token.map(|token| format!("x-amz-security-token:{token}\n")).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret_access_key.as_bytes());
        let signature = hmac::sign(&key, format!("GET\n\n\n{EXPIRES}\n{line}{path}").as_bytes());
        let mut url = Url::parse(&format!("{endpoint}{path}")).unwrap();
        url.query_pairs_mut()
            .append_pair("AWSAccessKeyId", &self.access_key_id)
            .append_pair("Signature", &STANDARD.encode(signature))
            .append_pair("Expires", EXPIRES)
            .extend_pairs(token.map(|token| ("x-amz-security-token", token)));
        url
    }

    fn sign(&self, service: &str, time: &str, canonical: &str) -> (String, String) {
        let scope = scope(time, service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in scope.split('/') {
            key = hmac_sha256(&key, part.as_bytes());
        }
        (scope, hex::encode(hmac_sha256(&key, text.as_bytes())))
    }
}

/// `20261222T100000Z`
fn time() -> String {
    SystemClock.now().to_string().replace(['-', ':'], "")
}

fn scope(time: &str, service: &str) -> String {
    format!("{}/{REGION}/{service}/aws4_request", &time[..8])
}

fn authority(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

/// S3 signs the decoded key, in which slashes stand for themselves.
fn canonical_path(url: &Url) -> String {
    url.path().replace("%2F", "/").replace("%2E", ".")
}

fn canonical_query(url: &Url) -> String {
    let mut pairs: Vec<_> = url.query_pairs().map(|(name, value)| (encode(&name), encode(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}
