use std::{future::pending, time::Duration};

use agentkeys_api::{OAUTH_CLIENT, paths};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::RequestId;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{OauthSignIn, check_provider, loopback::Loopback};
use crate::{BrokerClient, ClientError, Session, broker::CodeExchange};

/// As long as a code in a mail works, which a person may be waiting for.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Has a person open a page.
#[async_trait]
pub trait BrowserScreen: Send {
    /// Opens `url` in a browser, or shows it. The URL is no secret.
    ///
    /// What the person does there is awaited at the same time: this may take as long as it likes, and is dropped when
    /// the answer is there.
    async fn show(&mut self, url: &str);
}

/// Signs in by a browser on this machine, which comes back to a port of 127.0.0.1 (RFC 8252 section 7.3).
pub async fn sign_in_by_browser(
    broker: &BrokerClient,
    sign_in: &OauthSignIn,
    screen: &mut dyn BrowserScreen,
) -> Result<Session, ClientError> {
    check_provider(&broker.authorization_server().await?, sign_in.provider.as_ref())?;
    let key = sign_in.binding.key()?;
    let verifier = CodeVerifier::generate()?;
    let state = RequestId::from_bytes(random()?);
    let loopback = Loopback::bind(broker.url(), &state).await?;

    let url = authorize_url(broker, sign_in, key.as_ref(), &verifier, &state, loopback.redirect_uri());
    let answer = while_shown(screen, &url, loopback.answer());
    let code = tokio::time::timeout(LONGEST_WAIT, answer).await.map_err(|_| ClientError::NotApproved)??;
    let request =
        CodeExchange { code: &code, redirect_uri: loopback.redirect_uri(), code_verifier: verifier.0.as_str() };
    let reply = broker.exchange_code(&request, key.as_ref()).await?;
    Session::opened(reply.signed_in, key, broker.url().clone(), broker.now())
}

/// What comes of `answer`, while `screen` shows the page at `url`.
pub(crate) async fn while_shown<A>(screen: &mut dyn BrowserScreen, url: &str, answer: impl Future<Output = A>) -> A {
    let shown = async {
        screen.show(url).await;
        pending().await
    };
    // The page first: otherwise an answer that is there at once would leave it unshown.
    tokio::select! {
        biased;
        never = shown => never,
        answer = answer => answer,
    }
}

fn authorize_url(
    broker: &BrokerClient,
    sign_in: &OauthSignIn,
    key: Option<&DeviceKey>,
    verifier: &CodeVerifier,
    state: &RequestId,
    redirect_uri: &str,
) -> String {
    let mut url = broker.url().join(paths::OAUTH_AUTHORIZE);
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", OAUTH_CLIENT);
        query.append_pair("redirect_uri", redirect_uri);
        query.append_pair("code_challenge", &verifier.challenge());
        query.append_pair("code_challenge_method", "S256");
        query.append_pair("state", &state.expose());
        if let Some(key) = key {
            query.append_pair("dpop_jkt", &key.thumbprint().to_string());
        }
        if let Some(name) = &sign_in.client_name {
            query.append_pair("client_name", name);
        }
        if let Some(provider) = &sign_in.provider {
            query.append_pair("provider", provider.as_str());
        }
    }
    url.into()
}

/// Without it, a code that somebody else has seen is worth nothing (RFC 7636).
struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    fn generate() -> Result<Self, ClientError> {
        let bytes = Zeroizing::new(random()?);
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// What may be known of it: its SHA-256.
    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

fn random() -> Result<[u8; 32], ClientError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| ClientError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier(Zeroizing::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()));

        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn each_sign_in_has_a_verifier_of_its_own_with_256_bits() {
        let (one, two) = (CodeVerifier::generate().unwrap(), CodeVerifier::generate().unwrap());

        assert_ne!(*one.0, *two.0);
        assert_eq!(one.0.len(), 43);
    }
}
