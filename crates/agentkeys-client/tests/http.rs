//! The typed clients, against servers that misbehave.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]

use std::sync::{Arc, Mutex};

use agentkeys_api::{EmailStarted, ErrorCode, Problem};
use agentkeys_client::{
    Attestation, Binding, BrokerClient, ChallengeFault, ClientError, CodePrompt, EmailSignIn, Flow, Http, Role,
    ServerUrl, Session, SignerClient, SignerTrust, StsClient, request_session_token,
};
use agentkeys_crypto::{Confirmation, DeviceKey, HolderCheck, HolderError, Presentation};
use agentkeys_types::{Clock, OidcJwt, OmniAccount, SessionId, SessionToken, SystemClock};
use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::any,
};
use serde_json::json;

const ACCOUNT: &str = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6";
const WALLET: &str = "0x74144a5f826537a8610B136552c6fFEc9D37A6dE";
const TOKEN: &str = "aks_very-secret";

/// A server that remembers what it was asked: method, target and `Authorization` of each request.
#[derive(Clone)]
struct Fake {
    url: ServerUrl,
    asked: Arc<Mutex<Vec<String>>>,
    proofs: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, proofs) = (Arc::clone(&asked), Arc::new(Mutex::new(Vec::new())));
        let proven = Arc::clone(&proofs);
        let handler = any(move |request: Request| {
            let (log, proven, answer) = (Arc::clone(&log), Arc::clone(&proven), answer.clone());
            async move {
                let bearer = request.headers().get(header::AUTHORIZATION).map_or("-", |value| value.to_str().unwrap());
                log.lock().unwrap().push(format!("{} {} {bearer}", request.method(), request.uri()));
                if let Some(proof) = request.headers().get("dpop") {
                    proven.lock().unwrap().push(proof.to_str().unwrap().to_owned());
                }
                answer(request.uri().path())
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked, proofs }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The proofs in `DPoP` of the requests so far.
    fn proofs(&self) -> Vec<String> {
        self.proofs.lock().unwrap().clone()
    }

    fn broker(&self) -> BrokerClient {
        BrokerClient::new(&Http::default(), self.url.clone())
    }

    fn signer(&self) -> SignerClient {
        SignerClient::new(&Http::default(), self.url.clone(), SignerTrust::default()).unwrap()
    }

    fn session(&self) -> Session {
        Session {
            token: SessionToken::new(TOKEN.to_owned()),
            device_key: None,
            unused_key: None,
            session_id: SessionId::from_bytes([1; 16]),
            expires_at: "2026-12-22T10:00:00Z".parse().unwrap(),
            renew_at: None,
            omni_account: ACCOUNT.parse().unwrap(),
            identity: serde_json::from_value(json!({"type": "email", "value": "ada@example.com"})).unwrap(),
            broker_url: self.url.clone(),
        }
    }
}

fn problem(error: ErrorCode) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap();
    let body = serde_json::to_vec(&Problem::new(error, "no")).unwrap();
    (status, [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "7")], body).into_response()
}

#[tokio::test]
async fn the_token_goes_into_the_authorization_header_and_nowhere_else() {
    let fake = Fake::start(|_| axum::Json(json!({"sessions": []})).into_response()).await;

    fake.broker().sessions(&fake.session()).await.unwrap();

    assert_eq!(fake.asked(), ["GET /v1/sessions Bearer aks_very-secret"]);
}

#[tokio::test]
async fn a_bound_token_comes_with_a_proof_by_the_nonce_that_the_server_gave() {
    let check = HolderCheck::default();
    let now = SystemClock.now();
    let nonce = check.nonce(now);
    let fake = Fake::start(move |_| {
        let refusal = problem(ErrorCode::UseDpopNonce);
        ([("dpop-nonce", nonce.as_str())], refusal).into_response()
    })
    .await;
    let key = DeviceKey::generate().unwrap();
    let session = Session { device_key: Some(key.clone()), ..fake.session() };

    let error = fake.broker().sessions(&session).await.unwrap_err();

    // It gives up in the end.
    assert!(matches!(error, ClientError::Problem { problem, .. } if problem.error == ErrorCode::UseDpopNonce));
    let (asked, proofs) = (fake.asked(), fake.proofs());
    assert_eq!(asked, vec!["GET /v1/sessions DPoP aks_very-secret"; 4]);
    let url = format!("{}/v1/sessions", fake.url);
    let cnf = Confirmation { jkt: key.thumbprint() };
    let outcome = |proof: &String| {
        let presented = Presentation {
            unverified_token: TOKEN,
            is_bound: true,
            unverified_proof: Some(proof),
            method: "GET",
            url: &url,
        };
        check.check(&presented, Some(&cnf), now)
    };
    let outcomes: Vec<_> = proofs.iter().map(outcome).collect();
    assert_eq!(outcomes, [Err(HolderError::UseNonce), Ok(()), Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_session_that_was_not_bound_as_asked_is_refused() {
    let fake = Fake::start(|path| match path {
        "/v1/auth/email/start" => {
            let started = json!({"request_id": "00".repeat(32), "expires_in": 600, "resend_after": 30});
            (StatusCode::ACCEPTED, axum::Json(started)).into_response()
        }
        _ => axum::Json(json!({
            "session_token": TOKEN, "token_type": "Bearer", "session_id": "0".repeat(32),
            "expires_at": "2026-12-22T10:00:00Z", "omni_account": ACCOUNT,
            "identity": {"type": "email", "value": "ada@example.com"},
        }))
        .into_response(),
    })
    .await;
    let ada = EmailSignIn { email: "ada@example.com".parse().unwrap(), client_name: None, binding: Binding::DeviceKey };

    let error = request_session_token(&fake.broker(), &ada, &mut Typist(vec!["AAAA"])).await.unwrap_err();

    assert!(matches!(error, ClientError::UnexpectedAnswer { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_gets_no_token() {
    let elsewhere = Fake::start(|_| StatusCode::OK.into_response()).await;
    let target = elsewhere.url.to_string();
    let fake = Fake::start(move |_| Redirect::temporary(&target).into_response()).await;

    let error = fake.broker().sessions(&fake.session()).await.unwrap_err();

    assert!(matches!(error, ClientError::UnexpectedAnswer { .. }), "{error}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let fake = Fake::start(|_| {
        let chunk = vec![b' '; 64 * 1024];
        let without_end = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        Body::from_stream(without_end).into_response()
    })
    .await;

    let error = fake.broker().sessions(&fake.session()).await.unwrap_err();

    assert!(error.to_string().contains("1 MiB"), "{error}");
}

#[tokio::test]
async fn a_problem_keeps_its_code_and_its_advice() {
    let fake = Fake::start(|_| problem(ErrorCode::RateLimited)).await;

    let error = fake.broker().sessions(&fake.session()).await.unwrap_err();

    let ClientError::Problem { problem, retry_after } = &error else { panic!("{error}") };
    assert_eq!((problem.error, retry_after.unwrap().as_secs()), (ErrorCode::RateLimited, 7));
    assert!(error.retryable());
}

#[tokio::test]
async fn an_error_of_something_else_is_not_taken_for_the_servers() {
    let away = Fake::start(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    let other = Fake::start(|_| (StatusCode::UNAUTHORIZED, "<html>").into_response()).await;

    let away = away.broker().sessions(&away.session()).await.unwrap_err();
    let other = other.broker().sessions(&other.session()).await.unwrap_err();

    assert!(matches!(away, ClientError::Unreachable { .. }), "{away}");
    assert!(matches!(other, ClientError::UnexpectedAnswer { .. }), "{other}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ServerUrl = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);

    let error = BrokerClient::new(&Http::default(), url).health().await.unwrap_err();

    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.retryable());
}

#[tokio::test]
async fn a_signer_without_evidence_is_the_development_signer() {
    let fake = Fake::start(|_| problem(ErrorCode::NotAttested)).await;

    let attestation = fake.signer().attestation(&[7; 32]).await.unwrap();

    assert!(matches!(attestation, Attestation::Development));
    assert_eq!(fake.asked(), [format!("GET /attestation?nonce={} -", "07".repeat(32))]);
}

#[tokio::test]
async fn sts_is_asked_without_a_signature_and_its_refusal_keeps_its_code() {
    let fake = Fake::start(|_| {
        let body =
            "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>";
        (StatusCode::BAD_REQUEST, body).into_response()
    })
    .await;

    let error = assume_role(&fake).await;

    assert_eq!(error.code(), "InvalidIdentityToken");
    assert_eq!(fake.asked(), ["POST / -"]);
}

#[tokio::test]
async fn an_answer_that_is_not_of_sts_is_unexpected() {
    for body in ["", "{}", "<AssumeRoleWithWebIdentityResponse/>", "<a><b></a>"] {
        let fake = Fake::start(move |_| body.into_response()).await;

        let error = assume_role(&fake).await;

        assert!(matches!(error, ClientError::UnexpectedAnswer { .. }), "{body}: {error}");
    }
}

async fn assume_role(fake: &Fake) -> ClientError {
    let role = Role::with_arn("arn:aws:iam::123456789012:role/agents".parse().unwrap());
    let role = Role { endpoint_url: Some(fake.url.clone()), ..role };
    let jwt = OidcJwt::new("a.b.c".to_owned());
    StsClient::new(&Http::default()).assume_role_with_web_identity(&role, "ada", &jwt).await.unwrap_err()
}

#[tokio::test]
async fn a_signer_that_pins_no_devices_says_so() {
    let fake = Fake::start(|_| problem(ErrorCode::NotFound)).await;
    let (signer, session, key) = (fake.signer(), fake.session(), DeviceKey::generate().unwrap().thumbprint());

    for refused in [
        signer.devices(&session).await.map(drop),
        signer.approve_device(&session, key).await.map(drop),
        signer.remove_device(&session, key).await,
        signer.set_recovery_wait(&session, 60).await.map(drop),
    ] {
        assert!(matches!(refused, Err(ClientError::PinsNoDevices { .. })));
    }
    let requests = [
        "GET /v1/devices".to_owned(),
        format!("PUT /v1/devices/{key}"),
        format!("DELETE /v1/devices/{key}"),
        "PUT /v1/devices/recovery".to_owned(),
    ];
    assert_eq!(fake.asked(), requests.map(|request| format!("{request} Bearer {TOKEN}")));
}

#[tokio::test]
async fn the_revision_of_the_devices_is_the_one_of_the_last_answer_that_had_it() {
    let fake = Fake::start(|path| {
        let address = axum::Json(json!({"address": WALLET}));
        match path {
            "/dev/derive-address" => ([("agentkeys-device-revision", "7")], address).into_response(),
            _ => axum::Json(json!({"status": "ok"})).into_response(),
        }
    })
    .await;
    let signer = fake.signer();

    let before = signer.device_revision();
    signer.derive_address(&fake.session(), ACCOUNT.parse().unwrap()).await.unwrap();
    signer.health().await.unwrap();

    assert_eq!((before, signer.device_revision()), (None, Some(7)));
}

#[tokio::test]
async fn a_challenge_for_another_account_never_reaches_the_signer() {
    let signer = Fake::start(|_| StatusCode::OK.into_response()).await;
    let broker = Fake::start(|_| {
        axum::Json(json!({
            "request_id": "00".repeat(32),
            "siwe_message": challenge("broker.example.com", &OmniAccount::from_bytes([9; 32]).to_string()),
            "expires_at": "2026-12-22T10:05:00Z",
        }))
        .into_response()
    })
    .await;
    let flow = Flow { broker: broker.broker(), signer: signer.signer(), sts: StsClient::new(&Http::default()) };

    let error = flow.prove_wallet(&broker.session(), WALLET.parse().unwrap(), &mut ()).await.unwrap_err();

    assert!(matches!(error, ClientError::ChallengeRefused(ChallengeFault::Domain)), "{error}");
    assert!(signer.asked().is_empty());
}

fn challenge(domain: &str, account: &str) -> String {
    format!(
        "{domain} wants you to sign in with your Ethereum account:\n{WALLET}\n\n\
         Prove this wallet for your AgentKeys account.\n\n\
         URI: https://{domain}\nVersion: 1\nChain ID: 1\nNonce: 9ZxkQ2mT7vB4nR6sW8yA\n\
         Issued At: 2026-12-22T10:00:00Z\nExpiration Time: 2026-12-22T10:05:00Z\n\
         Resources:\n- urn:agentkeys:account:{account}"
    )
}

#[tokio::test]
async fn a_session_of_another_broker_sends_its_token_nowhere() {
    let fake = Fake::start(|_| StatusCode::OK.into_response()).await;
    let flow = Flow { broker: fake.broker(), signer: fake.signer(), sts: StsClient::new(&Http::default()) };
    let session = Session { broker_url: "https://broker.example.com".parse().unwrap(), ..fake.session() };

    let error = flow.connect_wallet(&session, &mut ()).await.unwrap_err();

    assert!(matches!(error, ClientError::OtherBroker { .. }), "{error}");
    assert!(fake.asked().is_empty());
}

struct Typist(Vec<&'static str>);

#[async_trait]
impl CodePrompt for Typist {
    async fn code(&mut self, _: &EmailStarted, attempt: u32) -> Result<String, ClientError> {
        let code = self.0.get(attempt as usize - 1).ok_or(ClientError::NoCode)?;
        Ok((*code).to_owned())
    }
}

#[tokio::test]
async fn a_wrong_code_is_asked_for_again_until_nobody_answers() {
    let fake = Fake::start(|path| match path {
        "/v1/auth/email/start" => {
            let started = json!({"request_id": "00".repeat(32), "expires_in": 600, "resend_after": 30});
            (StatusCode::ACCEPTED, axum::Json(started)).into_response()
        }
        _ => problem(ErrorCode::InvalidCode),
    })
    .await;
    let ada = EmailSignIn { email: "ada@example.com".parse().unwrap(), client_name: None, binding: Binding::None };

    let error = request_session_token(&fake.broker(), &ada, &mut Typist(vec!["AAAA", "BBBB"])).await.unwrap_err();

    assert!(matches!(error, ClientError::NoCode), "{error}");
    assert_eq!(fake.asked().len(), 3);
}
