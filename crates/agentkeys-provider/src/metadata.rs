use http::StatusCode;
use oauth2::AuthType;
use openidconnect::{
    AdditionalProviderMetadata, AuthUrl, IssuerUrl, JsonWebKeySetUrl, ProviderMetadata, TokenUrl,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode,
        CoreResponseType, CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    Reach,
    fetch::{FetchError, Fetcher},
    id_token,
};

const DISCOVERY: &str = ".well-known/openid-configuration";
const LARGEST: usize = 256 * 1024;

/// What the metadata say beside OpenID Connect Discovery.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Additional {
    /// RFC 9207
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Additional {}

type Published = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What a provider publishes of itself, as far as it is used: every URL is one that may be asked.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: AuthUrl,
    pub(crate) token_endpoint: TokenUrl,
    pub(crate) keys: JsonWebKeySetUrl,
    /// The algorithms of ID tokens that the provider uses and we take.
    pub(crate) algorithms: Vec<CoreJwsSigningAlgorithm>,
    /// How a client shows its secret.
    pub(crate) authentication: AuthType,
    /// Whether every answer of the authorization endpoint says whose it is (RFC 9207).
    pub(crate) says_issuer: bool,
}

impl Metadata {
    /// Fetches what the provider `issuer` publishes below its own URL.
    pub(crate) async fn fetch(fetcher: Fetcher, issuer: IssuerUrl, reach: Reach) -> Result<Self, FetchError> {
        let url = issuer.join(DISCOVERY).map_err(|_| FetchError::Malformed("its issuer makes no URL"))?;
        let body = show(fetcher, &url).await?;
        Self::parse(&body, &issuer, reach).map_err(FetchError::Malformed)
    }

    fn parse(body: &[u8], issuer: &IssuerUrl, reach: Reach) -> Result<Self, &'static str> {
        let published: Published = serde_json::from_slice(body).map_err(|_| "its metadata cannot be read")?;
        if published.issuer() != issuer {
            return Err("its metadata are of another issuer");
        }
        let token_endpoint = published.token_endpoint().ok_or("it has no token endpoint")?;
        let endpoints = [published.authorization_endpoint().url(), token_endpoint.url(), published.jwks_uri().url()];
        if !endpoints.into_iter().all(|url| reach.allows(url)) {
            return Err("one of its endpoints is not an https URL of a public host");
        }
        let offered = published.id_token_signing_alg_values_supported();
        let algorithms: Vec<_> = offered.iter().filter(|alg| id_token::is_acceptable(alg)).cloned().collect();
        if algorithms.is_empty() {
            return Err("it signs ID tokens by no algorithm that is accepted");
        }
        Ok(Self {
            authorization_endpoint: published.authorization_endpoint().clone(),
            token_endpoint: token_endpoint.clone(),
            keys: published.jwks_uri().clone(),
            algorithms,
            authentication: authentication(published.token_endpoint_auth_methods_supported()),
            says_issuer: published.additional_metadata().authorization_response_iss_parameter_supported,
        })
    }
}

/// HTTP Basic, which every provider has to take, unless it says that it takes the body alone.
fn authentication(offered: Option<&Vec<CoreClientAuthMethod>>) -> AuthType {
    let offers = |method| offered.is_some_and(|offered| offered.contains(&method));
    if offers(CoreClientAuthMethod::ClientSecretPost) && !offers(CoreClientAuthMethod::ClientSecretBasic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// What is published at `url`.
pub(crate) async fn show(fetcher: Fetcher, url: &Url) -> Result<Vec<u8>, FetchError> {
    let request = http::Request::get(url.as_str()).header(http::header::ACCEPT, "application/json");
    let request = request.body(Vec::new()).map_err(|_| FetchError::Malformed("its URL makes no request"))?;
    let answer = fetcher.send(request, LARGEST).await?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Malformed("it answers with another status than 200"));
    }
    Ok(answer.into_body())
}
