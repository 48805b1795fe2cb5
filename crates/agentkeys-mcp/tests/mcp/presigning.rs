//! `presign_s3_url`

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use crate::bench::{ACCESS_KEY_ID, Bench, FakeDaemon, SESSION_TOKEN, code, done, text};

#[tokio::test]
async fn a_url_at_amazon_has_the_bucket_in_its_host() {
    let bench = Bench::start().await;

    let result =
        bench.call("presign_s3_url", json!({ "bucket": "reports", "key": "a b/c+d.txt", "method": "GET" })).await;

    let (url, query) = parts(done(&result));
    assert_eq!(url.host_str(), Some("reports.s3.eu-west-1.amazonaws.com"));
    assert_eq!((url.scheme(), url.path()), ("https", "/a%20b/c%2Bd.txt"));
    assert_eq!(query["X-Amz-Expires"], "300");
    assert_eq!(query["X-Amz-Date"], "20261126T120000Z");
    assert_eq!(query["X-Amz-Security-Token"], SESSION_TOKEN);
    assert_eq!(query["X-Amz-Credential"], format!("{ACCESS_KEY_ID}/20261126/eu-west-1/s3/aws4_request"));
    assert_eq!(query["X-Amz-SignedHeaders"], "host");
    assert_eq!(done(&result)["expires_at"], "2026-11-26T12:05:00Z");
    assert!(text(&result).contains(url.as_str()));
}

#[tokio::test]
async fn a_url_has_the_signature_that_botocore_gives_it() {
    let bench = Bench::start().await;

    let get = bench.call("presign_s3_url", json!({ "bucket": "reports", "key": "a b/c+d.txt", "method": "GET" })).await;
    let put = json!({ "bucket": "reports", "key": "x", "method": "PUT", "content_type": "text/plain" });
    let put = bench.call("presign_s3_url", put).await;

    // By S3SigV4QueryAuth of botocore 1.43.11.
    assert_eq!(
        parts(done(&get)).1["X-Amz-Signature"],
        "ed2d7422f2a96d8cef7e5998c5ef8f85cbfcd751de015220a8fbb422c0e0a9f4"
    );
    assert_eq!(
        parts(done(&put)).1["X-Amz-Signature"],
        "3f4e20b97c74b4eb350ea96e157160afe9b43dc1f483b777b6b54eec7009f32a"
    );
}

#[tokio::test]
async fn another_endpoint_and_a_bucket_with_dots_have_it_in_their_path() {
    let at = |url: &str| FakeDaemon::with(|credentials| credentials.endpoint_url = Some(url.to_owned()));
    let china = FakeDaemon::with(|credentials| credentials.region = "cn-north-1".to_owned());
    for (daemon, bucket, start) in [
        (at("http://127.0.0.1:8474"), "reports", "http://127.0.0.1:8474/reports/x?"),
        (at("https://ceph.example.com/s3"), "reports", "https://ceph.example.com/s3/reports/x?"),
        (FakeDaemon::default(), "www.example.com", "https://s3.eu-west-1.amazonaws.com/www.example.com/x?"),
        (china, "reports", "https://reports.s3.cn-north-1.amazonaws.com.cn/x?"),
    ] {
        let bench = Bench::over(daemon).await;

        let result = bench.call("presign_s3_url", json!({ "bucket": bucket, "key": "x", "method": "GET" })).await;

        let (url, _) = parts(done(&result));
        assert!(url.as_str().starts_with(start), "{url}");
    }
}

#[tokio::test]
async fn what_is_written_has_the_type_that_was_signed() {
    let bench = Bench::start().await;

    let put = json!({ "bucket": "reports", "key": "x", "method": "PUT", "content_type": "text/plain" });
    let result = bench.call("presign_s3_url", put).await;

    assert_eq!(parts(done(&result)).1["X-Amz-SignedHeaders"], "content-type;host");
    assert_eq!(done(&result)["headers"], json!({ "Content-Type": "text/plain" }));
    assert_eq!(done(&result)["method"], "PUT");
}

#[tokio::test]
async fn no_url_outlives_the_credentials_that_signed_it() {
    let ending = |end: &str| FakeDaemon::with(|credentials| credentials.expires_at = end.parse().unwrap());
    for (end, asked, lives) in [
        ("2026-11-26T12:15:00Z", 3600, Some("900")),
        ("2026-11-26T12:15:00Z", 60, Some("60")),
        ("2026-11-26T12:00:01Z", 60, Some("1")),
        ("2026-11-26T12:00:00Z", 60, None),
        ("2026-11-26T11:00:00Z", 60, None),
    ] {
        let bench = Bench::over(ending(end)).await;

        let asked = json!({ "bucket": "reports", "key": "x", "method": "GET", "expires_in_seconds": asked });
        let result = bench.call("presign_s3_url", asked).await;

        match lives {
            Some(lives) => assert_eq!(parts(done(&result)).1["X-Amz-Expires"], lives, "{end}"),
            None => assert_eq!(code(&result), "credentials_expired", "{end}"),
        }
    }
}

#[tokio::test]
async fn an_endpoint_or_region_that_is_none_signs_nothing() {
    let at = |url: &str| FakeDaemon::with(|credentials| credentials.endpoint_url = Some(url.to_owned()));
    let region = FakeDaemon::with(|credentials| credentials.region = "eu-west-1.mallory.example#".to_owned());
    for (daemon, expected) in [
        (at("http://mallory.example"), "insecure_url"),
        (at("ftp://127.0.0.1"), "invalid_url"),
        (at("https://ada:secret@s3.example.com"), "invalid_url"),
        (region, "unexpected_answer"),
    ] {
        let bench = Bench::over(daemon).await;

        let result = bench.call("presign_s3_url", json!({ "bucket": "reports", "key": "x", "method": "GET" })).await;

        assert_eq!(code(&result), expected);
        assert!(!text(&result).contains("ada:secret"));
    }
}

fn parts(answer: &Value) -> (Url, BTreeMap<String, String>) {
    let url: Url = answer["url"].as_str().unwrap().parse().unwrap();
    let query = url.query_pairs().into_owned().collect();
    (url, query)
}
