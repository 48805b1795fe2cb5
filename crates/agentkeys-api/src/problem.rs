use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

// `tt`: a `rename` counts for the description of the API only where it is a bare literal.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $text:tt,)*) => {
        /// What went wrong, for programs: stable, and never reused for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
            /// A code of a newer server than this client.
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl ErrorCode {
            /// Every code that a server of this version answers with.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown => 500,
                }
            }

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

error_codes! {
    /// The person refused.
    AccessDenied = 403 "access_denied",
    /// The token belongs to another account.
    AccountMismatch = 403 "account_mismatch",
    /// The agent may have neither this role nor this audience, until a person gives it.
    AgentNotAllowed = 403 "agent_not_allowed",
    /// No agent of that name exists for the account.
    AgentUnknown = 400 "agent_unknown",
    /// More than one way of authenticating at once.
    AmbiguousAuth = 400 "ambiguous_auth",
    /// The signer is not one that the person's attestation policy accepts.
    AttestationInvalid = 403 "attestation_invalid",
    /// The operator does not let tokens be minted for this audience.
    AudienceNotAllowed = 400 "audience_not_allowed",
    /// The record that must come first could not be written.
    AuditUnavailable = 503 "audit_unavailable",
    /// The body is larger than 64 KiB.
    BodyTooLarge = 413 "body_too_large",
    /// The signer cannot ask the broker whether the session stands.
    BrokerUnreachable = 503 "broker_unreachable",
    /// The page was asked for in another browser.
    BrowserMismatch = 403 "browser_mismatch",
    /// The challenge is over.
    ChallengeExpired = 410 "challenge_expired",
    /// There is no such challenge, or it has been used.
    ChallengeInvalid = 401 "challenge_invalid",
    /// The code is over, used up or was tried too often.
    CodeExpired = 410 "code_expired",
    /// The attestation key is another, or what it should read was made for another TPM.
    CredentialInvalid = 400 "credential_invalid",
    /// Only a session that is bound to a device key has anything signed here.
    DeviceKeyRequired = 403 "device_key_required",
    /// The device key is not one of those that may sign for the account: approve it at another device, or sign in anew.
    DeviceNotPinned = 403 "device_not_pinned",
    /// The account has as many device keys as one may have.
    DeviceLimitReached = 409 "device_limit_reached",
    /// No device of that key is known for the account.
    DeviceUnknown = 404 "device_unknown",
    /// The device key waits: for approval by another device, or for the time in `Retry-After`.
    DeviceWaiting = 403 "device_waiting",
    /// The proof by the device key is malformed, for another request or token, or by another key.
    DpopInvalid = 401 "dpop_invalid",
    /// The proof was used before.
    DpopReplayed = 401 "dpop_replayed",
    /// The token is bound to a device key, and there is no proof by it.
    DpopRequired = 401 "dpop_required",
    /// A field stands twice.
    DuplicateField = 400 "duplicate_field",
    /// The `Host` is not one of this server's.
    HostNotAllowed = 421 "host_not_allowed",
    /// The identity was taken away from the account that it had made: nobody signs in with it.
    IdentityRetired = 403 "identity_retired",
    /// The identity opens another account.
    IdentityTaken = 409 "identity_taken",
    /// What the identity provider says of the person cannot be believed.
    IdTokenInvalid = 502 "id_token_invalid",
    /// A fault of the server, logged there under the request id.
    Internal = 500 "internal",
    /// The address is malformed, or its EIP-55 checksum wrong.
    InvalidAddress = 400 "invalid_address",
    /// The chain id is malformed or not allowed.
    InvalidChainId = 400 "invalid_chain_id",
    /// The code is wrong.
    InvalidCode = 401 "invalid_code",
    /// The e-mail address is not one plain address.
    InvalidEmail = 400 "invalid_email",
    /// A field is missing, or of the wrong type or value.
    InvalidField = 400 "invalid_field",
    /// The body is not JSON.
    InvalidJson = 400 "invalid_json",
    /// The message is not 1 byte to 16 KiB of hex.
    InvalidMessageHex = 400 "invalid_message_hex",
    /// The account is not 64 hex digits.
    InvalidOmniAccount = 400 "invalid_omni_account",
    /// The signature is not by the address that was asked.
    InvalidSignature = 401 "invalid_signature",
    /// The signature is not 65 bytes of hex with a known v.
    InvalidSignatureFormat = 400 "invalid_signature_format",
    /// The answer came from another provider than the one that was asked.
    IssuerMismatch = 400 "issuer_mismatch",
    /// The body is deeper, longer or larger in its numbers than any request of this API.
    JsonTooComplex = 400 "json_too_complex",
    /// The last device key of an account cannot go.
    LastDevice = 409 "last_device",
    /// The last identity of an account cannot go.
    LastIdentity = 409 "last_identity",
    /// The request to link an identity is over, used or unknown.
    LinkExpired = 410 "link_expired",
    /// The mail can neither leave nor be queued.
    MailUnavailable = 503 "mail_unavailable",
    /// The signer signs only the challenge of its own broker that proves the caller's own wallet, while it is good.
    MessageRefused = 403 "message_refused",
    /// The route exists, for other methods.
    MethodNotAllowed = 405 "method_not_allowed",
    /// The development signer has no evidence to show.
    NotAttested = 404 "not_attested",
    /// There is no such thing here.
    NotFound = 404 "not_found",
    /// The request comes from a page of another origin.
    OriginNotAllowed = 403 "origin_not_allowed",
    /// The peer of the socket is another user, or another program, than the daemon answers.
    PeerNotAllowed = 403 "peer_not_allowed",
    /// The identity provider is away, or not what it should be.
    ProviderError = 502 "provider_error",
    /// Too often: see `Retry-After`.
    RateLimited = 429 "rate_limited",
    /// The person must have signed in less than ten minutes ago.
    ReauthRequired = 403 "reauth_required",
    /// AWS does not let the wallet assume the role.
    RoleRefused = 403 "role_refused",
    /// Nothing that lives longer than minutes leaves the daemon, whoever asks.
    SecretNotExportable = 403 "secret_not_exportable",
    /// A 30-day session token is needed here, and this is a wallet session token.
    SessionRequired = 403 "session_required",
    /// The signer has no master secret.
    SignerDisabled = 503 "signer_disabled",
    /// The operator does not let this identity sign in.
    SignInNotAllowed = 403 "sign_in_not_allowed",
    /// The sign-in that the page belongs to is unknown, over or used.
    StateInvalid = 400 "state_invalid",
    /// The store cannot write or read.
    StorageUnavailable = 503 "storage_unavailable",
    /// AWS's STS is away, or cannot fetch the broker's keys.
    StsUnavailable = 503 "sts_unavailable",
    /// The token's time is over.
    TokenExpired = 401 "token_expired",
    /// A token stands in the URL, where logs would keep it.
    TokenInUrl = 400 "token_in_url",
    /// The token is not one of this broker's.
    TokenInvalid = 401 "token_invalid",
    /// There is no token.
    TokenMissing = 401 "token_missing",
    /// The token's session was revoked.
    TokenRevoked = 401 "token_revoked",
    /// The account has as many agents as one may have.
    TooManyAgents = 409 "too_many_agents",
    /// A field that this request does not have.
    UnknownField = 400 "unknown_field",
    /// The body is not declared as JSON.
    UnsupportedMediaType = 415 "unsupported_media_type",
    /// The signature is that of a contract wallet.
    UnsupportedSignatureType = 400 "unsupported_signature_type",
    /// The proof needs the nonce in the header `DPoP-Nonce`.
    UseDpopNonce = 401 "use_dpop_nonce",
    /// The address is not linked to the session's account.
    WalletNotLinked = 404 "wallet_not_linked",
    /// A wallet session token is needed here, and this is a 30-day session token.
    WalletSessionRequired = 403 "wallet_session_required",
    /// The wallet is proved for another account.
    WalletTaken = 409 "wallet_taken",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// RFC 9457 problem details, with our stable code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    pub type_: Cow<'static, str>,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// For programs: stable, and listed in the API reference.
    pub error: ErrorCode,
    /// For people: one sentence, no secrets, no internals.
    pub detail: Cow<'static, str>,
}

impl Problem {
    /// The problem `error`, explained by `detail`.
    pub fn new(error: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = error.status();
        Self { type_: "about:blank".into(), title: title(status).into(), status, error, detail: detail.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.detail, self.error)
    }
}

impl std::error::Error for Problem {}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
