use std::collections::HashMap;

use agentkeys_client::{Binding, BrowserScreen, ClientError, Exit, OauthSignIn, sign_in_by_browser};
use agentkeys_crypto::DeviceKey;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::{Url, form_urlencoded};

use crate::stand_in::{Nobody, StandIn, ada, signed_in};

/// A browser in which a person signs in at once.
#[derive(Default)]
struct Person {
    query: HashMap<String, String>,
    heard: String,
}

#[async_trait]
impl BrowserScreen for Person {
    async fn show(&mut self, url: &str) {
        let url: Url = url.parse().unwrap();
        assert_eq!(url.path(), "/oauth/authorize");
        self.query = url.query_pairs().into_owned().collect();
        let redirect: Url = self.query["redirect_uri"].parse().unwrap();
        let host = format!("127.0.0.1:{}", redirect.port().unwrap());
        let issuer = url.origin().ascii_serialization();
        let parameters = [("code", "the-code"), ("state", &self.query["state"]), ("iss", &issuer)];
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();

        let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let request = format!("GET {}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n", redirect.path());
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = stream.read_to_string(&mut self.heard).await;
    }
}

#[tokio::test]
async fn a_browser_on_this_machine_brings_a_code_that_only_this_process_can_use() {
    let stand_in = StandIn::start(vec![signed_in("DPoP")]).await;
    let mut person = Person::default();

    let session = sign_in_by_browser(&stand_in.broker(), &ada(Binding::DeviceKey), &mut person).await.unwrap();

    let query = person.query;
    let of = |name: &str| query.get(name).map(String::as_str);
    assert_eq!((of("response_type"), of("client_id")), (Some("code"), Some("agentkeys-cli")));
    assert_eq!((of("code_challenge_method"), of("provider")), (Some("S256"), Some("acme")));
    assert_eq!((of("client_name"), of("state").unwrap().len()), (Some("ada's laptop"), 64));
    assert_eq!(of("dpop_jkt").unwrap(), session.device_key.unwrap().thumbprint().to_string());
    let form = stand_in.forms().remove(0);
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "the-code"));
    assert_eq!(
        (form["client_id"].as_str(), Some(form["redirect_uri"].as_str())),
        ("agentkeys-cli", of("redirect_uri"))
    );
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(of("code_challenge"), Some(challenge.as_str()));
}

#[tokio::test]
async fn a_key_that_the_device_has_is_the_one_that_is_named_and_kept() {
    let stand_in = StandIn::start(vec![signed_in("DPoP")]).await;
    let (mut person, key) = (Person::default(), DeviceKey::generate().unwrap());

    let sign_in = ada(Binding::KeptKey(key.clone()));
    let session = sign_in_by_browser(&stand_in.broker(), &sign_in, &mut person).await.unwrap();

    assert_eq!(person.query["dpop_jkt"], key.thumbprint().to_string());
    let broker_url = stand_in.url().parse().unwrap();
    assert_eq!(session.kept_key(&broker_url).unwrap().thumbprint(), key.thumbprint());
    assert!(session.kept_key(&"https://elsewhere.example.com".parse().unwrap()).is_none());
}

/// A person who does not come back, before whom the hours fly by.
struct Absent;

#[async_trait]
impl BrowserScreen for Absent {
    async fn show(&mut self, _: &str) {
        tokio::time::pause();
    }
}

#[tokio::test]
async fn a_browser_that_does_not_come_back_is_waited_for_as_long_as_a_code_works() {
    let stand_in = StandIn::start(vec![]).await;
    let start = tokio::time::Instant::now();

    let error = sign_in_by_browser(&stand_in.broker(), &ada(Binding::DeviceKey), &mut Absent).await.unwrap_err();

    assert!(matches!(error, ClientError::NotApproved), "{error}");
    assert_eq!((error.exit(), start.elapsed().as_secs() / 60), (Exit::TimedOut, 10));
}

#[tokio::test]
async fn without_a_key_no_key_is_announced() {
    let stand_in = StandIn::start(vec![signed_in("Bearer")]).await;
    let mut person = Person::default();

    sign_in_by_browser(&stand_in.broker(), &ada(Binding::None), &mut person).await.unwrap();

    assert!(!person.query.contains_key("dpop_jkt"));
}

#[tokio::test]
async fn a_provider_that_the_broker_does_not_have_is_refused_by_name() {
    let stand_in = StandIn::start(vec![]).await;
    let elsewhere = OauthSignIn { provider: Some("google".parse().unwrap()), ..ada(Binding::DeviceKey) };

    let error = sign_in_by_browser(&stand_in.broker(), &elsewhere, &mut Nobody).await.unwrap_err();

    assert_eq!(error.to_string(), "the broker has no identity provider `google`, only: email, acme");
}
