use std::borrow::Cow;

use agentkeys_types::SessionToken;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{SignedIn, sign_in::expose};

/// The name of `agentkeys` at the authorization server: a public client, without a secret.
pub const OAUTH_CLIENT: &str = "agentkeys-cli";
/// RFC 6749 section 4.1.3.
pub const AUTHORIZATION_CODE_GRANT: &str = "authorization_code";
/// RFC 8628 section 3.4.
pub const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the authorization server says of itself (RFC 8414 section 2).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorizationServer {
    /// Its name: the broker's URL.
    pub issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where codes are exchanged.
    pub token_endpoint: String,
    /// Where devices start (RFC 8628 section 4).
    pub device_authorization_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: String,
    /// `code`
    pub response_types_supported: Vec<String>,
    /// The two grants.
    pub grant_types_supported: Vec<String>,
    /// `S256` (RFC 7636)
    pub code_challenge_methods_supported: Vec<String>,
    /// `none`: there are public clients only.
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// `none`
    pub revocation_endpoint_auth_methods_supported: Vec<String>,
    /// Whether `iss` comes with each authorization response (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// How proofs by device keys are signed (RFC 9449 section 5.1).
    pub dpop_signing_alg_values_supported: Vec<String>,
    /// The identity providers that people can choose, as the operator named them, and `email`.
    #[serde(default)]
    pub agentkeys_identity_providers: Vec<String>,
}

/// What a device shows to its person, and what it asks with (RFC 8628 section 3.2).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceAuthorization {
    /// The secret of the device.
    pub device_code: String,
    /// What the person types: `K7Q4-MF2X`.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// For how many seconds.
    pub expires_in: u64,
    /// How many seconds to wait between two questions.
    pub interval: u64,
}

/// A person is signed in (RFC 6749 section 5.1), with all that a sign-in by e-mail says too.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenReply {
    /// The session token.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    pub access_token: SessionToken,
    /// For how many seconds it counts.
    pub expires_in: u64,
    /// The session.
    #[serde(flatten)]
    pub signed_in: SignedIn,
}

/// Why the authorization server gives nothing (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OauthProblem {
    /// For programs.
    pub error: OauthError,
    /// For people: one sentence, no secrets.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub error_description: Cow<'static, str>,
}

macro_rules! oauth_errors {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What went wrong at the authorization server: RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5,
        /// RFC 9449 sections 5 and 8.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum OauthError {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
            /// A code of a newer server than this client.
            #[serde(other)]
            Unknown,
        }

        impl OauthError {
            /// The code as it stands in `error`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

oauth_errors! {
    /// The person refused, or may not sign in.
    AccessDenied = "access_denied",
    /// Nobody has approved yet.
    AuthorizationPending = "authorization_pending",
    /// The time for approving is over.
    ExpiredToken = "expired_token",
    /// The client is unknown.
    InvalidClient = "invalid_client",
    /// The proof by the device key is none, or by another key.
    InvalidDpopProof = "invalid_dpop_proof",
    /// What is to be exchanged is unknown, over or used, or asked for by somebody else.
    InvalidGrant = "invalid_grant",
    /// A parameter is missing, repeated or malformed.
    InvalidRequest = "invalid_request",
    /// The server failed.
    ServerError = "server_error",
    /// Asked again too soon: wait five seconds longer from now on.
    SlowDown = "slow_down",
    /// The server cannot answer now.
    TemporarilyUnavailable = "temporarily_unavailable",
    /// The client may not do this.
    UnauthorizedClient = "unauthorized_client",
    /// There is no such grant.
    UnsupportedGrantType = "unsupported_grant_type",
    /// There is no such response.
    UnsupportedResponseType = "unsupported_response_type",
    /// Tokens of this kind are not revoked.
    UnsupportedTokenType = "unsupported_token_type",
    /// The proof needs the nonce in the header `DPoP-Nonce`.
    UseDpopNonce = "use_dpop_nonce",
}
