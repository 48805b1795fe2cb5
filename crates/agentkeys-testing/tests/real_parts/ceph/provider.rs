//! An OpenID Connect provider that publishes keys as the broker never does.

use agentkeys_crypto::{Es256Key, JwkSet, OidcClaims, OidcIssuer, Purpose, SessionTags};
use agentkeys_http::{Running, Server};
use agentkeys_types::{Clock, OmniAccount, SessionId, SystemClock};
use axum::{Json, Router, routing::get};
use serde_json::json;

use super::bench::{AUDIENCE, LIFE};

/// The one wallet that it speaks of.
pub(crate) const WALLET: &str = "0xd1220a0cf47c7b9be7a2e6ba89f429762e7b9adb";

/// The provider with its keys, two of them published.
pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) first: OidcIssuer,
    pub(crate) second: OidcIssuer,
    pub(crate) unpublished: OidcIssuer,
    _server: Running,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_without_certificates() -> Self {
        Self::start_with(|keys| keys.keys.iter_mut().for_each(|key| key.x5c = None)).await
    }

    async fn start_with(change: impl FnOnce(&mut JwkSet)) -> Self {
        let key = || OidcIssuer::new(Es256Key::generate(Purpose::Oidc).unwrap()).unwrap();
        let (first, second, unpublished) = (key(), key(), key());
        let mut keys = JwkSet { keys: [first.keys().keys, second.keys().keys].concat() };
        change(&mut keys);
        let server = Server::bind("provider", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", server.address());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(|| async { Json(discovery) }))
            .route("/keys", get(|| async { Json(keys) }));
        Self { url, first, second, unpublished, _server: server.serve(routes) }
    }

    /// A JWT that is good but, perhaps, for its key.
    pub(crate) fn sign(&self, key: &OidcIssuer) -> String {
        let now = SystemClock.now();
        let (account, session) = (OmniAccount::from_bytes([7; 32]), SessionId::from_bytes([7; 16]));
        let claims = OidcClaims {
            iss: self.url.clone(),
            sub: format!("wallet:{WALLET}"),
            aud: AUDIENCE.to_owned(),
            iat: now.as_unix(),
            nbf: now.as_unix(),
            exp: now.after(LIFE).as_unix(),
            jti: "a-token".to_owned(),
            tags: SessionTags::new(WALLET.parse().unwrap(), account, session),
        };
        key.sign(&claims).unwrap().expose().to_owned()
    }
}
