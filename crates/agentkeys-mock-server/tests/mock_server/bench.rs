//! An issuer, a clock and a stand-in, for the tests of this crate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use agentkeys_crypto::{Es256Key, OidcClaims, OidcIssuer, Purpose, SessionTags};
use agentkeys_http::{Running, Server};
use agentkeys_mock_server::{AwsConfig, AwsStandIn, Trust};
use agentkeys_types::{Clock, EvmAddress, OidcJwt, OmniAccount, SessionId, SystemClock, Timestamp};
use axum::{Json, Router, routing::get};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::sigv4::Keys;

pub(crate) const ADA: &str = "0xd1220a0cf47c7b9be7a2e6ba89f429762e7b9adb";
pub(crate) const MALLORY: &str = "0xdbf03b407c01e7cd3cbea99509d93f8dddc8c6fb";
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
pub(crate) const ROLE: &str = AwsConfig::DEFAULT_ROLE_ARN;

/// The machine's time, moved: s3s compares signatures with the machine's clock.
#[derive(Debug, Default)]
pub(crate) struct MovedClock(AtomicI64);

impl MovedClock {
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_secs()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(SystemClock.now().as_unix() + self.0.load(Ordering::SeqCst))
    }
}

/// An OpenID Connect provider on loopback.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) signer: OidcIssuer,
    server: Option<Running>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let signer = OidcIssuer::new(Es256Key::generate(Purpose::Oidc).unwrap()).unwrap();
        Self::start_with(signer, |url| json!({"issuer": url, "jwks_uri": format!("{url}/keys")})).await
    }

    pub(crate) async fn start_with(signer: OidcIssuer, discovery: impl Fn(&str) -> serde_json::Value) -> Self {
        let server = Server::bind("issuer", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", server.address());
        let (discovery, keys) = (discovery(&url), serde_json::to_value(signer.keys()).unwrap());
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(|| async { Json(discovery) }))
            .route("/keys", get(|| async { Json(keys) }));
        Self { url, signer, server: Some(server.serve(routes)) }
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await;
    }

    pub(crate) fn claims(&self, wallet: &str, now: Timestamp) -> OidcClaims {
        let wallet: EvmAddress = wallet.parse().unwrap();
        let account = "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6".parse::<OmniAccount>();
        OidcClaims {
            iss: self.url.clone(),
            sub: format!("wallet:{}", wallet.to_lowercase()),
            aud: AUDIENCE.to_owned(),
            iat: now.as_unix(),
            nbf: now.as_unix(),
            exp: now.after(Duration::from_mins(5)).as_unix(),
            jti: "a-token".to_owned(),
            tags: SessionTags::new(wallet, account.unwrap(), SessionId::from_bytes([7; 16])),
        }
    }
}

/// The stand-in, an issuer that it trusts and a client.
pub(crate) struct Bench {
    pub(crate) clock: Arc<MovedClock>,
    pub(crate) issuer: Issuer,
    pub(crate) http: Client,
    pub(crate) url: String,
    _aws: Running,
    _data: TempDir,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(Issuer::start().await).await
    }

    pub(crate) async fn start_with(issuer: Issuer) -> Self {
        Self::start_with_sessions_from(AwsConfig::SHORTEST_SESSION, issuer).await
    }

    /// With an STS that can be asked for sessions shorter than AWS gives.
    pub(crate) async fn start_with_sessions_from(shortest_session: Duration, issuer: Issuer) -> Self {
        let clock = Arc::new(MovedClock::default());
        let data = TempDir::new().unwrap();
        let config = AwsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.path().join("s3"),
            role_arn: ROLE.to_owned(),
            bucket: AwsConfig::DEFAULT_BUCKET.to_owned(),
            trusted: vec![Trust { issuer: issuer.url.clone(), audiences: vec![AUDIENCE.to_owned()] }],
            shortest_session,
            default_session: AwsConfig::DEFAULT_SESSION,
        };
        let aws = AwsStandIn::start(config, clock.clone()).await.unwrap();
        let url = format!("http://{}", aws.address());
        let http = Client::builder().no_proxy().build().unwrap();
        Self { clock, issuer, http, url, _aws: aws, _data: data }
    }

    pub(crate) fn claims(&self, wallet: &str) -> OidcClaims {
        self.issuer.claims(wallet, self.clock.now())
    }

    pub(crate) fn token(&self, wallet: &str) -> OidcJwt {
        self.issuer.signer.sign(&self.claims(wallet)).unwrap()
    }

    /// Calls `AssumeRoleWithWebIdentity` with good parameters, of which `changed` replaces some.
    pub(crate) async fn assume_role(&self, token: &str, changed: &[(&str, &str)]) -> Answer {
        let mut form = vec![
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", ROLE),
            ("RoleSessionName", ADA),
            ("WebIdentityToken", token),
        ];
        form.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        form.extend(changed);
        let response = self.http.post(&self.url).form(&form).send().await.unwrap();
        Answer { status: response.status(), xml: response.text().await.unwrap() }
    }

    /// Temporary credentials for a wallet.
    pub(crate) async fn sign_in(&self, wallet: &str) -> Keys {
        let answer = self.assume_role(self.token(wallet).expose(), &[("RoleSessionName", wallet)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.xml);
        Keys {
            access_key_id: answer.element("AccessKeyId"),
            secret_access_key: answer.element("SecretAccessKey"),
            session_token: Some(answer.element("SessionToken")),
        }
    }
}

/// What a service said, in XML.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) xml: String,
}

impl Answer {
    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> String {
        let behind = self.xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name} in {}", self.xml)).1;
        behind.split_once(&format!("</{name}>")).unwrap().0.replace("&quot;", "\"")
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.element("Code"))
    }
}
