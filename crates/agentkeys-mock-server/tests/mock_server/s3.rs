//! S3, as a client sees it.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::{
    bench::{ADA, Answer, Bench, MALLORY},
    sigv4::Keys,
};

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Calls S3 at a path below the bucket, with its query.
async fn call(bench: &Bench, keys: &Keys, method: Method, path: &str, body: &[u8]) -> Answer {
    with_headers(bench, keys, method, path, &[], body).await
}

async fn with_headers(
    bench: &Bench,
    keys: &Keys,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let url = format!("{}/agentkeys-dev{path}", bench.url);
    let response = keys.send(&bench.http, "s3", method, &url, headers, body).await;
    Answer { status: response.status(), xml: response.text().await.unwrap() }
}

#[tokio::test]
async fn a_wallet_writes_reads_lists_and_deletes_below_its_prefix() {
    let bench = Bench::start().await;
    let ada = bench.sign_in(ADA).await;
    let key = format!("/bots/{ADA}/notes/hello.txt");

    let put = call(&bench, &ada, Method::PUT, &key, b"hello").await;
    let got = call(&bench, &ada, Method::GET, &key, b"").await;
    let listed =
        call(&bench, &ada, Method::GET, &format!("?list-type=2&delimiter=%2F&prefix=bots%2F{ADA}%2F"), b"").await;
    let below = call(&bench, &ada, Method::GET, &format!("?list-type=2&prefix=bots%2F{ADA}%2Fnotes%2F"), b"").await;
    let deleted = call(&bench, &ada, Method::DELETE, &key, b"").await;
    let gone = call(&bench, &ada, Method::GET, &key, b"").await;

    assert_eq!(put.status, StatusCode::OK, "{}", put.xml);
    assert_eq!(got.xml, "hello");
    assert!(listed.xml.contains(&format!("<CommonPrefixes><Prefix>bots/{ADA}/notes/</Prefix>")), "{}", listed.xml);
    assert_eq!(below.element("Key"), format!("bots/{ADA}/notes/hello.txt"));
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(gone.error(), refused(404, "NoSuchKey"));
}

#[tokio::test]
async fn another_wallets_prefix_is_denied() {
    let bench = Bench::start().await;
    let (ada, mallory) = (bench.sign_in(ADA).await, bench.sign_in(MALLORY).await);
    let key = format!("/bots/{ADA}/secret.txt");
    call(&bench, &ada, Method::PUT, &key, b"hers").await;

    for (method, path) in [
        (Method::GET, key.clone()),
        (Method::PUT, key.clone()),
        (Method::DELETE, key.clone()),
        (Method::POST, format!("{key}?uploads")),
        (Method::GET, format!("{key}?acl")),
        (Method::PUT, "/hello.txt".to_owned()),
        (Method::GET, format!("/bots/{MALLORY}/..%2F{ADA}/secret.txt")),
        (Method::GET, format!("/bots/{MALLORY}/%2E%2E%2F{ADA}%2Fsecret.txt")),
        (Method::GET, String::new()),
        (Method::GET, "?list-type=2".to_owned()),
        (Method::GET, "?list-type=2&prefix=bots%2F".to_owned()),
        (Method::GET, format!("?list-type=2&prefix=bots%2F{ADA}%2F")),
        (Method::GET, format!("?prefix=bots%2F{ADA}%2F")),
        (Method::GET, "?versions".to_owned()),
        (Method::GET, "?uploads".to_owned()),
        (Method::GET, "?policy".to_owned()),
        (Method::PUT, "?policy".to_owned()),
        (Method::DELETE, String::new()),
    ] {
        let answer = call(&bench, &mallory, method.clone(), &path, b"").await;

        assert_eq!(answer.error(), refused(403, "AccessDenied"), "{method} {path}");
    }
    assert_eq!(call(&bench, &ada, Method::GET, &key, b"").await.xml, "hers");
}

#[tokio::test]
async fn other_buckets_are_denied() {
    let bench = Bench::start().await;
    let ada = bench.sign_in(ADA).await;

    for (method, path) in [
        (Method::GET, "/".to_owned()),
        (Method::PUT, "/another-bucket".to_owned()),
        (Method::PUT, format!("/another-bucket/bots/{ADA}/hello.txt")),
    ] {
        let url = format!("{}{path}", bench.url);
        let response = ada.send(&bench.http, "s3", method, &url, &[], b"").await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_copy_needs_an_own_source() {
    let bench = Bench::start().await;
    let (ada, mallory) = (bench.sign_in(ADA).await, bench.sign_in(MALLORY).await);
    call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/secret.txt"), b"hers").await;
    let copy = async |keys, wallet, source: &str| {
        let target = format!("/bots/{wallet}/copy.txt");
        with_headers(&bench, keys, Method::PUT, &target, &[("x-amz-copy-source", source)], b"").await
    };

    let own = copy(&ada, ADA, &format!("/agentkeys-dev/bots/{ADA}/secret.txt")).await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.xml);
    for source in [
        format!("/agentkeys-dev/bots/{ADA}/secret.txt"),
        format!("/agentkeys-dev/bots/{MALLORY}/../{ADA}/secret.txt"),
        format!("/other-bucket/bots/{MALLORY}/secret.txt"),
    ] {
        assert_eq!(copy(&mallory, MALLORY, &source).await.error(), refused(403, "AccessDenied"), "{source}");
    }
}

#[tokio::test]
async fn many_are_deleted_only_when_all_are_own() {
    let bench = Bench::start().await;
    let (ada, mallory) = (bench.sign_in(ADA).await, bench.sign_in(MALLORY).await);
    let (hers, own) = (format!("bots/{ADA}/a.txt"), format!("bots/{MALLORY}/a.txt"));
    call(&bench, &ada, Method::PUT, &format!("/{hers}"), b"hers").await;
    call(&bench, &mallory, Method::PUT, &format!("/{own}"), b"own").await;
    let delete = async |keys: &[&str]| {
        let objects = keys.join("</Key></Object><Object><Key>");
        let body = format!("<Delete><Object><Key>{objects}</Key></Object></Delete>");
        call(&bench, &mallory, Method::POST, "?delete", body.as_bytes()).await
    };

    assert_eq!(delete(&[&own, &hers]).await.error(), refused(403, "AccessDenied"));
    assert_eq!(delete(&[&own]).await.status, StatusCode::OK);
    assert_eq!(call(&bench, &ada, Method::GET, &format!("/{hers}"), b"").await.xml, "hers");
}

#[tokio::test]
async fn an_upload_in_parts_goes_on_with_fresh_credentials() {
    let bench = Bench::start().await;
    let (first, second) = (bench.sign_in(ADA).await, bench.sign_in(ADA).await);
    let mallory = bench.sign_in(MALLORY).await;
    let key = format!("/bots/{ADA}/large.bin");
    let part = vec![7; 5 * 1024 * 1024];

    let upload = call(&bench, &first, Method::POST, &format!("{key}?uploads"), b"").await.element("UploadId");
    let part_at = |number, wallet| format!("/bots/{wallet}/large.bin?partNumber={number}&uploadId={upload}");
    let stolen = call(&bench, &mallory, Method::PUT, &part_at(1, MALLORY), b"evil").await;
    call(&bench, &first, Method::PUT, &part_at(1, ADA), &part).await;
    call(&bench, &second, Method::PUT, &part_at(2, ADA), b"end").await;
    let body = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>\
                <Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
    let completed = call(&bench, &second, Method::POST, &format!("{key}?uploadId={upload}"), body.as_bytes()).await;
    let head = call(&bench, &second, Method::GET, &key, b"").await;

    assert_eq!(stolen.error(), refused(403, "AccessDenied"));
    assert_eq!(completed.status, StatusCode::OK, "{}", completed.xml);
    assert_eq!(head.xml.len(), part.len() + 3);
}

#[tokio::test]
async fn a_presigned_url_works_until_the_credentials_end() {
    let bench = Bench::start().await;
    let ada = bench.sign_in(ADA).await;
    let path = format!("/bots/{ADA}/hello.txt");
    call(&bench, &ada, Method::PUT, &path, b"hello").await;
    let url = ada.presign(&Method::GET, &format!("{}/agentkeys-dev{path}", bench.url), 7200);

    let before = bench.http.get(url.clone()).send().await.unwrap();
    assert_eq!(before.text().await.unwrap(), "hello");

    bench.clock.advance(Duration::from_hours(1));
    let after = bench.http.get(url).send().await.unwrap();
    let after = Answer { status: after.status(), xml: after.text().await.unwrap() };
    assert_eq!(after.error(), refused(400, "ExpiredToken"));
}

#[tokio::test]
async fn a_url_presigned_as_boto3_does_opens_own_keys_only() {
    let bench = Bench::start().await;
    let (ada, mallory) = (bench.sign_in(ADA).await, bench.sign_in(MALLORY).await);
    let path = format!("/agentkeys-dev/bots/{ADA}/hello.txt");
    call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/hello.txt"), b"hello").await;
    let get = async |keys: &Keys| {
        let response = bench.http.get(keys.presign_in_version_2(&bench.url, &path)).send().await.unwrap();
        Answer { status: response.status(), xml: response.text().await.unwrap() }
    };

    assert_eq!(get(&ada).await.xml, "hello");
    assert_eq!(get(&mallory).await.error(), refused(403, "AccessDenied"));
    let without_token = Keys { session_token: None, ..ada.clone() };
    assert_eq!(get(&without_token).await.error(), refused(403, "InvalidAccessKeyId"));
    bench.clock.advance(Duration::from_hours(1));
    assert_eq!(get(&ada).await.error(), refused(400, "ExpiredToken"));
}

#[tokio::test]
async fn wrong_credentials_are_refused_as_s3_does() {
    let bench = Bench::start().await;
    let (good, other) = (bench.sign_in(ADA).await, bench.sign_in(ADA).await);
    let path = format!("/bots/{ADA}/hello.txt");
    let with = |change: &dyn Fn(&mut Keys)| {
        let mut keys = good.clone();
        change(&mut keys);
        keys
    };

    for (keys, status, code) in [
        (with(&|keys| keys.secret_access_key.push('x')), 403, "SignatureDoesNotMatch"),
        (with(&|keys| keys.access_key_id = "ASIAAAAAAAAAAAAAAAAA".to_owned()), 403, "InvalidAccessKeyId"),
        (with(&|keys| keys.session_token = None), 403, "InvalidAccessKeyId"),
        (with(&|keys| keys.session_token.clone_from(&other.session_token)), 400, "InvalidToken"),
    ] {
        assert_eq!(call(&bench, &keys, Method::PUT, &path, b"x").await.error(), refused(status, code));
    }
    bench.clock.advance(Duration::from_hours(1));
    assert_eq!(call(&bench, &good, Method::PUT, &path, b"x").await.error(), refused(400, "ExpiredToken"));
}

#[tokio::test]
async fn unsigned_requests_and_old_signatures_are_refused() {
    let bench = Bench::start().await;
    let url = format!("{}/agentkeys-dev/bots/{ADA}/hello.txt", bench.url);
    let error = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        Answer { status: response.status(), xml: response.text().await.unwrap() }.error()
    };

    assert_eq!(error(bench.http.get(&url)).await, refused(403, "AccessDenied"));
    let version_2 = bench.http.get(&url).header("authorization", "AWS ASIA:c2ln");
    assert_eq!(error(version_2).await, refused(400, "InvalidRequest"));
    let presigned = bench.http.get(format!("{url}?AWSAccessKeyId=ASIA&Signature=c2ln&Expires=9999999999"));
    assert_eq!(error(presigned).await, refused(403, "InvalidAccessKeyId"));
    let form = bench.http.post(format!("{}/agentkeys-dev", bench.url));
    let form = form.header("content-type", "multipart/form-data; boundary=b").body("--b--");
    assert_eq!(error(form).await, refused(405, "MethodNotAllowed"));
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let bench = Bench::start().await;
    let ada = bench.sign_in(ADA).await;
    call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/a/b.txt"), b"x").await;

    let folder = call(&bench, &ada, Method::GET, &format!("/bots/{ADA}/a"), b"").await;
    let over = call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/a"), b"x").await;
    let below = call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/a/b.txt/c"), b"x").await;

    assert_eq!(folder.error(), refused(404, "NoSuchKey"));
    assert_eq!(over.error(), refused(400, "InvalidArgument"));
    assert_eq!(below.error(), refused(400, "InvalidArgument"));
}

#[tokio::test]
async fn only_the_plain_delimiter_is_taken() {
    let bench = Bench::start().await;
    let ada = bench.sign_in(ADA).await;
    call(&bench, &ada, Method::PUT, &format!("/bots/{ADA}/a.txt"), b"x").await;
    let list = async |delimiter| {
        let path = format!("?list-type=2&delimiter={delimiter}&prefix=bots%2F{ADA}%2F");
        call(&bench, &ada, Method::GET, &path, b"").await
    };

    assert_eq!(list("").await.status, StatusCode::OK);
    assert_eq!(list("%C3%A9").await.error(), refused(501, "NotImplemented"));
}
