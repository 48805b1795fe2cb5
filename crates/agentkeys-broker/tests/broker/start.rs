//! What a broker refuses to start with, because accounts would come out differently from what they are.

use std::sync::Arc;

use agentkeys_broker::{AllowList, Config, ProviderConfig, StartError};
use agentkeys_testing::{ManualClock, TestBroker};

fn provider(issuer: &str) -> ProviderConfig {
    toml::from_str(&format!("issuer = {issuer:?}\nclient_id = \"agentkeys\"")).unwrap()
}

fn add(config: &mut Config, name: &str, issuer: &str) {
    config.providers.insert(name.parse().unwrap(), provider(issuer));
}

/// Why a second broker on the same state does not start with other settings.
async fn refused(broker: &TestBroker, change: impl FnOnce(&mut Config)) -> StartError {
    let mut config = broker.config().clone();
    change(&mut config);
    agentkeys_broker::start(config, Arc::<ManualClock>::default()).await.unwrap_err()
}

#[tokio::test]
async fn the_issuer_of_a_provider_is_pinned_at_its_first_use() {
    let (broker, _acme) = TestBroker::start_with_acme(|_| {}).await;
    broker.sign_in_at("acme").await;

    let error = refused(&broker, |config| add(config, "acme", "http://127.0.0.1:2")).await;

    assert!(matches!(error, StartError::Pin(_)), "{error}");
}

#[tokio::test]
async fn a_mistyped_issuer_can_be_corrected_until_somebody_signs_in_there() {
    let broker = TestBroker::start_with(|config| add(config, "acme", "http://127.0.0.1:1")).await;

    let broker = broker.restart_with(|config| add(config, "acme", "http://127.0.0.1:2")).await;

    broker.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_name_that_begins_like_one_that_was_ever_used_is_refused() {
    let (broker, _acme) = TestBroker::start_with_acme(|_| {}).await;
    broker.sign_in_at("acme").await;

    for name in ["acm", "acmex"] {
        let beside = refused(&broker, |config| add(config, name, "http://127.0.0.1:2")).await;
        assert!(matches!(beside, StartError::IdentityTypes(_)), "{name}: {beside}");
        let instead = refused(&broker, |config| {
            config.providers.clear();
            add(config, name, "http://127.0.0.1:2");
        });
        let instead = instead.await;
        assert!(matches!(instead, StartError::IdentityTypes(_)), "{name}: {instead}");
    }
}

#[tokio::test]
async fn an_allow_list_that_names_an_unknown_provider_is_refused() {
    let broker = TestBroker::start().await;

    for entry in ["oauth2_acme", "oauth2_acme:@example.com", "oauth2_acme:7"] {
        let error = refused(&broker, |config| config.sign_in = AllowList::of([entry]).unwrap()).await;
        assert!(matches!(error, StartError::Config(_)), "{entry}: {error}");
    }
}

#[tokio::test]
async fn off_loopback_a_provider_must_speak_https() {
    let broker = TestBroker::start().await;

    for issuer in ["http://acme.example", "http://127.0.0.1:1"] {
        let error = refused(&broker, |config| {
            add(config, "acme", issuer);
            config.issuer = Some("https://keys.example.com".parse().unwrap());
            config.sign_in = AllowList::of(["oauth2_acme"]).unwrap();
            config.mail.smtp = "smtps://mail.example.com".parse().unwrap();
        });
        let error = error.await;
        assert!(matches!(error, StartError::Config(_)), "{issuer}: {error}");
    }
}

#[tokio::test]
async fn the_namespace_of_a_deployment_does_not_change() {
    let broker = TestBroker::start().await;

    let error = refused(&broker, |config| config.client_id = "other".parse().unwrap()).await;

    assert!(matches!(error, StartError::Pin(_)), "{error}");
}
