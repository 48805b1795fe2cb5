use std::sync::Arc;

use agentkeys_testing::{Answer, Device};
use agentkeys_types::SystemClock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::canary::Canary;
use crate::client::{Challenge, Client, SignedIn};

const EMAIL: &str = "ada@example.com";
const ROLE: &str = "arn:aws:iam::000000000000:role/agentkeys-dev";

/// Walks from a sign-in to AWS credentials; gives every secret that it met.
pub(super) async fn walk(client: &Client) -> Vec<Canary> {
    let (request_id, code) = client.request_code(EMAIL).await.unwrap();
    let signed_in = client.verify_code(&request_id, &code).await.unwrap().expect(200);
    let ada = SignedIn::read(&signed_in);
    let address = client.derive_address(&ada).await.unwrap().expect(200).text("address").to_owned();
    client.link(&ada, &address).await.unwrap().expect(201);
    let challenge = client.challenge(&ada, &address).await.unwrap();
    let proved = client.answer(&challenge).await.unwrap().expect(200);
    let minted = client.mint(proved.text("session_token")).await.unwrap().expect(200);
    let aws = AwsKeys::assume(client, minted.text("jwt"), &address).await;
    // One of each that is never used.
    let (waiting_id, waiting_code) = client.request_code("grace@example.org").await.unwrap();

    let bound = bound(client).await;
    mistaken_codes(client).await;
    mistaken_proofs(client, &ada, &address, &challenge).await;
    aws.mistakes(client, minted.text("jwt"), &address).await;
    client.get("/v1/sessions", &ada.token).await.unwrap().expect(200);

    let of_a_bearer = vec![
        Canary::text("code", &code.replace('-', "")),
        Canary::text("code as mailed", &code),
        Canary::text("code in lower case", &code.to_lowercase()),
        Canary::text("waiting code", &waiting_code),
        Canary::hex("request id", &request_id),
        Canary::hex("waiting request id", &waiting_id),
        Canary::hex("challenge's request id", &challenge.request_id),
        Canary::token("session token", &ada.token),
        Canary::token("wallet session token", proved.text("session_token")),
        Canary::token("OIDC JWT", minted.text("jwt")),
        Canary::base64("AWS secret access key", &aws.secret_access_key),
        Canary::base64("AWS session token", &aws.session_token),
    ];
    of_a_bearer.into_iter().chain(bound).collect()
}

/// A session that is bound to a device key, used, renewed and misused; its secrets.
async fn bound(client: &Client) -> Vec<Canary> {
    let device = Device::new(Arc::new(SystemClock));
    let start = client.broker(Method::POST, "/v1/auth/email/start").json(&json!({"email": EMAIL}));
    let started = device.send(start, None).await.expect(202);
    let answer = json!({"request_id": started.text("request_id"), "code": client.mailed_code(EMAIL).await.unwrap()});
    let verify = client.broker(Method::POST, "/v1/auth/email/verify").json(&answer);
    let signed_in = device.send(verify, None).await.expect(200);
    let token = signed_in.text("session_token");
    let derive = client.signer(Method::POST, "/dev/derive-address");
    let derive = derive.json(&json!({"omni_account": signed_in.text("omni_account")}));
    device.send(derive, Some(token)).await.expect(200);
    let renewed = device.send(client.broker(Method::POST, "/v1/session/renew"), Some(token)).await.expect(200);

    let session = || client.broker(Method::GET, "/v1/session");
    let url = session().build().unwrap().url().to_string();
    let proof = device.proof("GET", &url, Some(token));
    let replayed = || session().header("authorization", format!("DPoP {token}")).header("dpop", &proof);
    for request in [replayed(), replayed(), session().bearer_auth(token), replayed().header("dpop", &proof)] {
        assert!(client.send(request).await.unwrap().status >= 400);
    }
    vec![
        Canary::token("bound session token", token),
        Canary::token("renewed session token", renewed.text("session_token")),
        Canary::token("proof", &proof),
        Canary::hex("device key", &hex::encode(device.key().expose_secret())),
    ]
}

/// Puts every secret where none belongs, in every request that there is.
pub(super) async fn mistakes(client: &Client, canaries: &[Canary]) {
    for canary in canaries {
        for request in misplaced(client, canary.whole()) {
            let answer = client.send(request).await.unwrap();
            assert_ne!(answer.status, 500, "{answer:?}");
        }
    }
}

fn misplaced(client: &Client, secret: &str) -> Vec<RequestBuilder> {
    const BODIES: [(&str, &[&str]); 7] = [
        ("/v1/auth/email/start", &["email", "client_name"]),
        ("/v1/auth/email/verify", &["request_id", "code"]),
        ("/v1/wallet/link", &["address"]),
        ("/v1/auth/wallet/start", &["address", "chain_id"]),
        ("/v1/auth/wallet/verify", &["request_id", "signature"]),
        ("/v1/mint-oidc-jwt", &["audience", "agent"]),
        ("/v1/sessions/standing", &["session_id"]),
    ];
    let mut requests = Vec::new();
    let post = |path: &str, body: String| {
        client.broker(Method::POST, path).bearer_auth(secret).header("content-type", "application/json").body(body)
    };
    for (path, fields) in BODIES {
        let sound: Value = fields.iter().map(|field| ((*field).to_owned(), json!(secret))).collect();
        let named = json!({secret: secret});
        let wrong: Value = fields.iter().map(|field| ((*field).to_owned(), json!([secret]))).collect();
        requests.extend([
            // The right shape with a secret for every value, and for the bearer.
            post(path, sound.to_string()),
            post(path, wrong.to_string()),
            post(path, named.to_string()),
            post(path, format!("{{{0}:1,{0}:2}}", json!(secret))),
            post(path, format!("{{\"code\":{}", json!(secret))),
            post(path, format!("{} trailing", json!({"code": secret}))),
            post(path, secret.repeat(65 * 1024 / secret.len() + 1)),
            client.broker(Method::POST, path).header("content-type", "text/plain").body(secret.to_owned()),
        ]);
    }
    for path in ["/v1/session", "/v1/sessions", "/v1/wallet/links", "/v1/identities"] {
        requests.push(client.broker(Method::GET, path).bearer_auth(secret));
        requests.push(client.broker(Method::GET, path).header("authorization", secret));
        requests.push(client.broker(Method::GET, path).bearer_auth(secret).bearer_auth(secret));
        let bound = client.broker(Method::GET, path).header("authorization", format!("DPoP {secret}"));
        requests.push(bound.header("dpop", secret));
        requests.push(client.broker(Method::GET, path).basic_auth("ada", Some(secret)));
        requests.push(client.broker(Method::GET, path).query(&[("token", secret)]));
        requests.push(client.broker(Method::PUT, path).bearer_auth(secret));
    }
    for path in ["/v1/sessions/", "/v1/wallet/link/", "/", "/mail/"] {
        let path = format!("{path}{}", secret.replace(['/', ' '], "_"));
        requests.push(client.broker(Method::DELETE, &path).bearer_auth(secret));
        requests.push(client.signer(Method::GET, &path).bearer_auth(secret));
    }
    requests.extend(misplaced_in_browsers(client, secret));
    for (path, field) in [("/dev/derive-address", "address"), ("/dev/sign-message", "message_hex")] {
        let post = client.signer(Method::POST, path).bearer_auth(secret);
        requests.push(post.json(&json!({"omni_account": secret, field: secret})));
    }
    requests.push(client.signer(Method::GET, "/mail").query(&[("to", secret)]));
    requests.push(client.broker(Method::GET, "/v1/session").header("host", secret.replace(['/', ' ', '+', '='], ".")));
    requests
}

/// The same for what browsers and OAuth clients send.
fn misplaced_in_browsers(client: &Client, secret: &str) -> Vec<RequestBuilder> {
    const FORMS: [(&str, &[&str]); 8] = [
        ("/oauth/token", &["grant_type", "client_id", "code", "device_code", "redirect_uri", "code_verifier"]),
        ("/oauth/device_authorization", &["client_id", "client_name"]),
        ("/oauth/revoke", &["client_id", "token_type_hint"]),
        ("/device", &["user_code", "form_proof"]),
        ("/oauth/sign-in/provider", &["errand", "link", "provider", "form_proof"]),
        ("/oauth/sign-in/email", &["errand", "email", "form_proof"]),
        ("/oauth/sign-in/code", &["request", "code", "form_proof"]),
        ("/oauth/confirm", &["request", "decision", "form_proof"]),
    ];
    const QUERIES: [(&str, &[&str]); 4] = [
        ("/oauth/authorize", &["response_type", "client_id", "redirect_uri", "code_challenge", "state", "provider"]),
        ("/oauth/callback/acme", &["code", "state", "iss", "error", "error_description"]),
        ("/oauth/link", &["request"]),
        ("/oauth/done", &["outcome"]),
    ];
    let with = |fields: &[&'static str]| fields.iter().map(|field| (*field, secret.to_owned())).collect::<Vec<_>>();
    let mut requests = Vec::new();
    for (path, fields) in FORMS {
        let cookie = format!("agentkeys-browser={secret}");
        let post = || client.broker(Method::POST, path);
        requests.push(post().form(&with(fields)));
        requests.push(post().form(&[(secret, secret), (secret, secret)]));
        requests.push(post().header("cookie", cookie).header("origin", secret).form(&with(fields)));
        requests.push(post().json(&json!({"code": secret})));
    }
    for (path, fields) in QUERIES {
        requests.push(client.broker(Method::GET, path).query(&with(fields)));
        requests.push(client.broker(Method::GET, path).query(&[(secret, secret), (secret, secret)]));
    }
    for path in ["/v1/identities/oauth/start", "/v1/identities/oauth/verify", "/v1/identities/email/verify"] {
        let body = json!({"provider": secret, "request_id": secret, "code": secret});
        requests.push(client.broker(Method::POST, path).bearer_auth(secret).json(&body));
    }
    requests
}

/// The refusals of a sign-in.
async fn mistaken_codes(client: &Client) {
    let (request_id, code) = client.request_code(EMAIL).await.unwrap();
    for _ in 0..5 {
        refused(&client.verify_code(&request_id, "0000-0000").await.unwrap(), "invalid_code");
    }
    refused(&client.verify_code(&request_id, &code).await.unwrap(), "code_expired");
}

/// The refusals of a proof, a mint and a signing.
async fn mistaken_proofs(client: &Client, ada: &SignedIn, address: &str, used: &Challenge) {
    refused(&client.answer(used).await.unwrap(), "challenge_invalid");
    let open = client.challenge(ada, address).await.unwrap();
    let wrong = Challenge { signature: used.signature.clone(), ..open };
    refused(&client.answer(&wrong).await.unwrap(), "invalid_signature");
    refused(&client.mint(&ada.token).await.unwrap(), "wallet_session_required");
    let stranger = SignedIn { account: "ab".repeat(32), ..ada.clone() };
    refused(&client.sign(&stranger, b"hello").await.unwrap(), "account_mismatch");
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.refusal().1, code, "{answer:?}");
}

/// What STS gave.
struct AwsKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
}

impl AwsKeys {
    async fn assume(client: &Client, jwt: &str, address: &str) -> Self {
        let (answer, xml) = client.send_for_text(assume_role(client, jwt, address)).await.unwrap();
        assert_eq!(answer.status, 200, "{xml}");
        let element = |name: &str| {
            let after = xml.split(&format!("<{name}>")).nth(1).unwrap();
            after.split('<').next().unwrap().to_owned()
        };
        Self {
            access_key_id: element("AccessKeyId"),
            secret_access_key: element("SecretAccessKey"),
            session_token: element("SessionToken"),
        }
    }

    /// The refusals of STS and S3, in which the secrets are read but not right.
    async fn mistakes(&self, client: &Client, jwt: &str, address: &str) {
        let object = format!("/agentkeys-dev/bots/{}/hello.txt", address.to_lowercase());
        let scope = format!("Credential={}/20261222/us-east-1/s3/aws4_request", self.access_key_id);
        let signed = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        let authorization = format!("AWS4-HMAC-SHA256 {scope},{signed},Signature={}", "ab".repeat(32));
        let presigned = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", scope.trim_start_matches("Credential=")),
            ("X-Amz-Date", "20261222T100000Z"),
            ("X-Amz-Expires", "604800"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Security-Token", &self.session_token),
            ("X-Amz-Signature", "abababababababababababababababababababababababababababababababab"),
        ];
        let with_headers = |request: RequestBuilder| {
            request
                .header("authorization", &authorization)
                .header("x-amz-date", "20261222T100000Z")
                .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
                .header("x-amz-security-token", &self.session_token)
        };
        let (tampered, identity) = (format!("{jwt}x"), [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]);
        for request in [
            assume_role(client, &tampered, address),
            assume_role(client, jwt, "not a session name"),
            with_headers(client.aws(Method::GET, &object)),
            with_headers(client.aws(Method::PUT, &object).body("hello")),
            with_headers(client.aws(Method::POST, "/").form(&identity)),
            client.aws(Method::GET, &object).query(&presigned),
            client.aws(Method::GET, &object).bearer_auth(jwt),
        ] {
            let answer = client.send(request).await.unwrap();
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
}

fn assume_role(client: &Client, jwt: &str, address: &str) -> RequestBuilder {
    client.aws(Method::POST, "/").form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", &address.to_lowercase()),
        ("DurationSeconds", "900"),
        ("WebIdentityToken", jwt),
    ])
}
