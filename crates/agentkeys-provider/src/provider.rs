use std::{fmt, sync::Arc, time::Duration};

use agentkeys_types::{Clock, EmailAddress, Identity, ProviderName};
use http::{Request, Response};
use oauth2::{
    AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenIntrospectionResponse, StandardTokenResponse,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenType},
};
use openidconnect::core::CoreIdTokenClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::{
    ProviderError, ProviderSettings, Reach, RoundTrip, SettingsError,
    fetch::{FetchError, Fetcher},
    id_token::{Expected, Flaw, UnverifiedIdToken},
    keys::Keys,
    metadata::Metadata,
    remembered::Remembered,
    settings::secret_text,
};

const LARGEST_REPLY: usize = 64 * 1024;
/// How long a provider is left alone after it could not be discovered.
const PAUSE_OF_METADATA: Duration = Duration::from_secs(5);
/// How far apart fetches of a provider's keys are, whatever tokens come in.
const PAUSE_OF_KEYS: Duration = Duration::from_secs(30);

/// An OpenID Provider, as its relying party sees it.
///
/// Nothing is fetched before it is needed. Prints without its secret.
pub struct Provider {
    name: ProviderName,
    settings: ProviderSettings,
    redirect_uri: Url,
    reach: Reach,
    clock: Arc<dyn Clock>,
    fetcher: Fetcher,
    metadata: Arc<Remembered<Metadata>>,
    keys: Arc<Remembered<Keys>>,
}

/// Who signed in at a provider, proved by an ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSubject {
    /// The provider's name and its subject: what is hashed into the account.
    pub identity: Identity,
    /// The e-mail address that the provider says it has verified.
    ///
    /// To be shown alone: it is not an identity, and links nothing.
    pub email: Option<EmailAddress>,
}

impl Provider {
    /// A provider that sends people back to `redirect_uri`.
    pub fn new(
        name: ProviderName,
        settings: ProviderSettings,
        redirect_uri: Url,
        reach: Reach,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.check(reach)?;
        let fetcher = Fetcher::new(reach)?;
        let metadata = Remembered::new("metadata", name.clone(), clock.clone(), PAUSE_OF_METADATA);
        let keys = Remembered::new("keys", name.clone(), clock.clone(), PAUSE_OF_KEYS);
        let (metadata, keys) = (Arc::new(metadata), Arc::new(keys));
        Ok(Self { name, settings, redirect_uri, reach, clock, fetcher, metadata, keys })
    }

    /// The same with another limit than [`FETCH_TIMEOUT`](crate::FETCH_TIMEOUT) to each exchange.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.fetcher.set_timeout(timeout);
        self
    }

    /// What the operator calls it.
    pub fn name(&self) -> &ProviderName {
        &self.name
    }

    /// Where a browser is sent to sign in: for a code, with PKCE, state and nonce.
    pub async fn authorization_url(&self, round_trip: &RoundTrip) -> Result<Url, ProviderError> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata);
        let verifier = PkceCodeVerifier::new(round_trip.verifier().to_owned());
        let state = CsrfToken::new(round_trip.state().to_owned());
        let mut request = client
            .authorize_url(move || state)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(["openid", "email"].map(|scope| Scope::new(scope.to_owned())))
            .add_scopes(self.settings.scopes.iter().cloned().map(Scope::new))
            .add_extra_param("nonce", round_trip.nonce());
        if let Some(prompt) = &self.settings.prompt {
            request = request.add_extra_param("prompt", prompt);
        }
        Ok(request.url().0)
    }

    /// Whether an answer with this `iss` (RFC 9207) is this provider's.
    ///
    /// None will do only where the provider does not promise one.
    pub async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        let is_ours = match iss {
            Some(iss) => iss == self.settings.issuer.as_str(),
            None => !self.metadata().await?.says_issuer,
        };
        if !is_ours {
            tracing::warn!(provider = self.name.as_str(), "an answer to a sign-in is of another issuer");
            return Err(ProviderError::IssuerMismatch);
        }
        Ok(())
    }

    /// Who signed in, by the `code` and the `iss` of the answer to the round trip.
    ///
    /// The caller has compared the answer's `state`, and makes sure that each round trip is exchanged once.
    pub async fn exchange(
        &self,
        code: &str,
        iss: Option<&str>,
        round_trip: &RoundTrip,
    ) -> Result<VerifiedSubject, ProviderError> {
        self.check_issuer(iss).await?;
        let metadata = self.metadata().await?;
        let reply = self.redeem(&metadata, code, round_trip).await?;
        let Value::String(token) = reply.id_token else {
            return Err(self.invalid(Flaw("there is none")));
        };
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: round_trip.nonce(),
            algorithms: &metadata.algorithms,
            now: self.clock.now(),
        };
        let unverified = UnverifiedIdToken::parse(&token, &expected).map_err(|flaw| self.invalid(flaw))?;
        let keys = self.keys(&metadata, unverified.kid()).await?;
        let claims = unverified.verify(keys.set(), &expected).map_err(|flaw| self.invalid(flaw))?;
        self.subject(claims)
    }

    /// Whether the provider is known, or can be discovered now.
    pub async fn check(&self) -> Result<(), ProviderError> {
        self.metadata().await.map(drop)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let fetch = Metadata::fetch(self.fetcher.clone(), self.settings.issuer.clone(), self.reach);
        self.metadata.obtain(|_| true, fetch).await
    }

    /// The provider's keys, fetched anew when none of them is called `kid`.
    async fn keys(&self, metadata: &Metadata, kid: Option<&str>) -> Result<Arc<Keys>, ProviderError> {
        let fetch = Keys::fetch(self.fetcher.clone(), metadata.keys.clone());
        let kid = kid.map(str::to_owned);
        self.keys.obtain(move |keys| keys.has(kid.as_deref()), fetch).await
    }

    /// Exchanges the code for what the token endpoint replies.
    async fn redeem(&self, metadata: &Metadata, code: &str, round_trip: &RoundTrip) -> Result<Reply, ProviderError> {
        let fetcher = self.fetcher.clone();
        let http = move |request: Request<Vec<u8>>| send(fetcher.clone(), request);
        let verifier = PkceCodeVerifier::new(round_trip.verifier().to_owned());
        let client = self.client(metadata);
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned())).set_pkce_verifier(verifier);
        request
            .request_async(&http)
            .await
            .map(|reply| reply.extra_fields().clone())
            .map_err(|error| self.failed(&error))
    }

    fn client(&self, metadata: &Metadata) -> TokenClient {
        let client = Client::new(ClientId::new(self.settings.client_id.clone()))
            .set_auth_uri(metadata.authorization_endpoint.clone())
            .set_token_uri(metadata.token_endpoint.clone())
            .set_redirect_uri(RedirectUrl::from_url(self.redirect_uri.clone()))
            .set_auth_type(metadata.authentication.clone());
        match self.settings.client_secret.as_ref().and_then(secret_text) {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.to_owned())),
            None => client,
        }
    }

    fn subject(&self, claims: &CoreIdTokenClaims) -> Result<VerifiedSubject, ProviderError> {
        let identity = Identity::oauth2(self.name.clone(), claims.subject().as_str())
            .map_err(|_| self.invalid(Flaw("its subject is not 1 to 255 printable ASCII characters")))?;
        let verified = claims.email().filter(|_| claims.email_verified() == Some(true));
        Ok(VerifiedSubject { identity, email: verified.and_then(|email| email.parse().ok()) })
    }

    fn invalid(&self, flaw: Flaw) -> ProviderError {
        tracing::warn!(provider = self.name.as_str(), %flaw, "an ID token proves nothing");
        ProviderError::IdTokenInvalid
    }

    fn failed(&self, error: &RequestTokenError<FetchError, BasicErrorResponse>) -> ProviderError {
        let provider = self.name.as_str();
        match error {
            RequestTokenError::ServerResponse(response) => {
                let description = response.error_description().map(String::as_str);
                let refusal = ProviderError::refused(response.error().as_ref(), description);
                if let ProviderError::Refused { code, .. } = &refusal {
                    tracing::warn!(provider, code, "an identity provider refused a code");
                }
                refusal
            }
            RequestTokenError::Request(error) => {
                tracing::warn!(provider, ?error, "the token endpoint of an identity provider cannot be used");
                ProviderError::Unavailable
            }
            // What cannot be read is not repeated: it may be a token all the same.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                tracing::warn!(provider, "the token endpoint of an identity provider gave an answer that is none");
                ProviderError::Unavailable
            }
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, issuer) = (self.name.as_str(), self.settings.issuer.as_str());
        formatter.debug_struct("Provider").field("name", &name).field("issuer", &issuer).finish_non_exhaustive()
    }
}

async fn send(fetcher: Fetcher, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
    fetcher.send(request, LARGEST_REPLY).await
}

/// What a token endpoint replies beside OAuth 2.0, as it stands there: it is looked at before anything interprets it.
#[derive(Clone, Deserialize, Serialize)]
struct Reply {
    #[serde(default)]
    id_token: Value,
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reply(…)")
    }
}

impl ExtraTokenFields for Reply {}

type TokenClient = Client<
    BasicErrorResponse,
    StandardTokenResponse<Reply, BasicTokenType>,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_prints_without_its_secret() {
        let settings = ProviderSettings {
            issuer: openidconnect::IssuerUrl::new("https://accounts.example.com".to_owned()).unwrap(),
            client_id: "agentkeys".to_owned(),
            client_secret: Some(b"hunter2".as_slice().into()),
            prompt: None,
            scopes: Vec::new(),
        };
        let redirect_uri = "https://broker.example.com/callback".parse().unwrap();
        let clock = Arc::new(agentkeys_types::SystemClock);

        let provider = Provider::new("acme".parse().unwrap(), settings.clone(), redirect_uri, Reach::Public, clock);

        assert!(!format!("{:?} {settings:?}", provider.unwrap()).contains("hunter2"));
    }
}
