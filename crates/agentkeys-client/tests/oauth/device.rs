use agentkeys_api::{ErrorCode, OauthError};
use agentkeys_client::{
    Binding, ClientError, DevicePage, DeviceScreen, Session, sign_in_by_browser, sign_in_by_device,
};
use agentkeys_crypto::{DeviceKey, HolderError};
use agentkeys_types::{Clock, SystemClock};
use axum::{http::StatusCode, response::IntoResponse};

use crate::stand_in::{DEVICE_CODE, Nobody, StandIn, Submitted, ada, cut, problem, refusal, signed_in};

/// Remembers what was shown.
#[derive(Default)]
struct Seen(Vec<DevicePage>);

impl DeviceScreen for Seen {
    fn show(&mut self, page: &DevicePage) {
        self.0.push(page.clone());
    }
}

async fn by_device(stand_in: &StandIn, binding: Binding) -> (Result<Session, ClientError>, Vec<DevicePage>) {
    let mut seen = Seen::default();
    let session = sign_in_by_device(&stand_in.broker(), &ada(binding), &mut seen).await;
    (session, seen.0)
}

#[tokio::test]
async fn a_device_waits_through_every_delay_until_a_person_has_approved() {
    let away = (StatusCode::BAD_GATEWAY, "<html>").into_response();
    let answers = vec![
        refusal("authorization_pending"),
        cut(),
        away,
        problem(ErrorCode::RateLimited),
        refusal("authorization_pending"),
        signed_in("DPoP"),
    ];
    let stand_in = StandIn::start(answers).await;

    let (session, seen) = by_device(&stand_in, Binding::DeviceKey).await;

    let session = session.unwrap();
    assert_eq!((session.token.expose(), &*session.identity.value), ("aks_very-secret", "g-1001"));
    let url = format!("{}/device", stand_in.url());
    assert_eq!(seen, [DevicePage { url, user_code: "K7Q4-MF2X".to_owned(), expires_in: 600 }]);
    let forms = stand_in.forms();
    assert_eq!(forms.len(), 6);
    for form in forms {
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
        assert_eq!((form["device_code"].as_str(), form["client_id"].as_str()), (DEVICE_CODE, "agentkeys-cli"));
        assert_eq!(form.len(), 3);
    }
}

#[tokio::test]
async fn every_question_has_a_proof_by_the_key_that_the_session_is_bound_to() {
    let stand_in = StandIn::start(vec![]).await;
    let now = SystemClock.now();
    let nonce = stand_in.0.check.nonce(now);
    let mut use_nonce = refusal("use_dpop_nonce");
    use_nonce.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
    let answers = [use_nonce, refusal("authorization_pending"), signed_in("DPoP")];
    stand_in.0.answers.lock().unwrap().extend(answers);

    let key = DeviceKey::generate().unwrap();
    let (session, _) = by_device(&stand_in, Binding::KeptKey(key.clone())).await;

    let jkt = session.unwrap().device_key.unwrap().thumbprint();
    assert_eq!(jkt, key.thumbprint());
    let url = format!("{}/oauth/token", stand_in.url());
    let proofs = stand_in.0.forms.lock().unwrap();
    let holder = |(_, proof): &Submitted| stand_in.0.check.holder(proof.as_deref().unwrap(), "POST", &url, now);
    let holders: Vec<_> = proofs.iter().map(holder).collect();
    assert_eq!(holders, [Err(HolderError::UseNonce), Ok(jkt), Ok(jkt)]);
}

#[tokio::test]
async fn a_session_without_a_key_is_asked_for_without_a_proof() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;

    let (session, _) = by_device(&stand_in, Binding::None).await;

    assert!(session.unwrap().device_key.is_none());
    assert!(stand_in.0.forms.lock().unwrap().iter().all(|(_, proof)| proof.is_none()));
}

#[tokio::test]
async fn a_device_gives_up_when_the_broker_does() {
    for (answer, error) in [
        ("access_denied", OauthError::AccessDenied),
        ("expired_token", OauthError::ExpiredToken),
        ("invalid_grant", OauthError::InvalidGrant),
        ("invalid_dpop_proof", OauthError::InvalidDpopProof),
    ] {
        let stand_in = StandIn::start(vec![refusal("authorization_pending"), refusal(answer), signed_in("DPoP")]).await;

        let (outcome, _) = by_device(&stand_in, Binding::DeviceKey).await;

        assert!(matches!(outcome, Err(ClientError::Oauth { problem, .. }) if problem.error == error), "{answer}");
    }
}

#[tokio::test]
async fn a_session_that_was_not_bound_as_asked_is_refused() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;

    let (outcome, _) = by_device(&stand_in, Binding::DeviceKey).await;

    assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })));
}

#[tokio::test]
async fn a_broker_that_calls_itself_otherwise_signs_nobody_in() {
    let other = |issuer: &'static str| StandIn::with(vec![], move |url| (issuer.to_owned(), format!("{url}/device")));
    let named = other("https://broker.example.com").await;
    let nameless = other("\u{1b}[2J").await;
    let with_a_slash = StandIn::with(vec![], |url| (format!("{url}/"), format!("{url}/device"))).await;

    for stand_in in [named, with_a_slash] {
        let (outcome, seen) = by_device(&stand_in, Binding::DeviceKey).await;
        let by_browser = sign_in_by_browser(&stand_in.broker(), &ada(Binding::DeviceKey), &mut Nobody).await;

        assert!(matches!(outcome, Err(ClientError::OtherIssuer { .. })));
        assert!(matches!(by_browser, Err(ClientError::OtherIssuer { .. })));
        assert!(seen.is_empty());
    }
    let (outcome, _) = by_device(&nameless, Binding::DeviceKey).await;
    assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })));
}

#[tokio::test]
async fn a_person_is_sent_to_no_page_of_somebody_else() {
    for page in ["https://evil.example/device", "javascript:alert(1)", "http://127.0.0.1/device", ""] {
        let stand_in = StandIn::with(vec![], |url| (url.to_owned(), page.to_owned())).await;

        let (outcome, seen) = by_device(&stand_in, Binding::DeviceKey).await;

        assert!(matches!(outcome, Err(ClientError::UnexpectedAnswer { .. })), "{page}");
        assert!(seen.is_empty());
    }
}
