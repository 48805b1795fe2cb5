//! The routes, used by the routers and the clients alike.

/// Starts a sign-in by e-mail.
pub const EMAIL_START: &str = "/v1/auth/email/start";
/// Ends it with the code from the mail.
pub const EMAIL_VERIFY: &str = "/v1/auth/email/verify";
/// The session behind the token.
pub const SESSION: &str = "/v1/session";
/// Gives a fresh token for the session behind the token.
pub const SESSION_RENEW: &str = "/v1/session/renew";
/// The account's sessions.
pub const SESSIONS: &str = "/v1/sessions";
/// One of them.
pub const SESSION_BY_ID: &str = "/v1/sessions/{session_id}";
/// Whether a session still stands.
pub const SESSIONS_STANDING: &str = "/v1/sessions/standing";
/// The keys that verify session tokens.
pub const SESSION_KEYS: &str = "/v1/session-keys";
/// The account's identities.
pub const IDENTITIES: &str = "/v1/identities";
/// One of them.
pub const IDENTITY: &str = "/v1/identities/{identity_type}/{identity_value}";
/// Asks for a code to link an address.
pub const IDENTITIES_EMAIL_START: &str = "/v1/identities/email/start";
/// Links it.
pub const IDENTITIES_EMAIL_VERIFY: &str = "/v1/identities/email/verify";
/// Asks for a page on which an identity at a provider is proved.
pub const IDENTITIES_OAUTH_START: &str = "/v1/identities/oauth/start";
/// Links it.
pub const IDENTITIES_OAUTH_VERIFY: &str = "/v1/identities/oauth/verify";
/// Links a wallet to the account.
pub const WALLET_LINK: &str = "/v1/wallet/link";
/// One linked wallet.
pub const WALLET_LINK_BY_ADDRESS: &str = "/v1/wallet/link/{address}";
/// The account's wallets.
pub const WALLET_LINKS: &str = "/v1/wallet/links";
/// Asks for a challenge to prove a wallet.
pub const WALLET_START: &str = "/v1/auth/wallet/start";
/// Answers it.
pub const WALLET_VERIFY: &str = "/v1/auth/wallet/verify";
/// The account's agents.
pub const AGENTS: &str = "/v1/agents";
/// One of them.
pub const AGENT: &str = "/v1/agents/{name}";
/// Mints the web-identity JWT.
pub const MINT_OIDC_JWT: &str = "/v1/mint-oidc-jwt";
/// OpenID Connect Discovery 1.0.
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
/// The keys that verify web-identity JWTs.
pub const JWKS: &str = "/.well-known/jwks.json";
/// The description of the authorization server (RFC 8414).
pub const OAUTH_METADATA: &str = "/.well-known/oauth-authorization-server";
/// The page on which a person signs in for the command on the same machine (RFC 6749 section 3.1).
pub const OAUTH_AUTHORIZE: &str = "/oauth/authorize";
/// Exchanges what a person has approved for a session token (RFC 6749 section 3.2).
pub const OAUTH_TOKEN: &str = "/oauth/token";
/// Starts a sign-in that is approved on another machine (RFC 8628 section 3.1).
pub const OAUTH_DEVICE_AUTHORIZATION: &str = "/oauth/device_authorization";
/// Ends the session of a token (RFC 7009).
pub const OAUTH_REVOKE: &str = "/oauth/revoke";
/// Where a provider sends a person back to.
pub const OAUTH_CALLBACK: &str = "/oauth/callback/{provider}";
/// The page on which a person agrees to link an identity.
pub const OAUTH_LINK: &str = "/oauth/link";
/// The form that goes on to a provider.
pub const OAUTH_SIGN_IN_PROVIDER: &str = "/oauth/sign-in/provider";
/// The form that asks for a code by mail.
pub const OAUTH_SIGN_IN_EMAIL: &str = "/oauth/sign-in/email";
/// The form that answers with it.
pub const OAUTH_SIGN_IN_CODE: &str = "/oauth/sign-in/code";
/// The form that approves or refuses.
pub const OAUTH_CONFIRM: &str = "/oauth/confirm";
/// The page to which the command sends the browser in the end.
pub const OAUTH_DONE: &str = "/oauth/done";
/// The page on which a person types the code that another machine shows (RFC 8628 section 3.3).
pub const DEVICE: &str = "/device";
/// How the pages look.
pub const STYLE: &str = "/assets/style.css";
/// Whether the process is up.
pub const HEALTHZ: &str = "/healthz";
/// Whether it can do its work.
pub const READYZ: &str = "/readyz";
/// Prometheus metrics.
pub const METRICS: &str = "/metrics";
/// The description of this API.
pub const OPENAPI: &str = "/openapi.json";
/// The signer: an account's wallet address.
pub const DERIVE_ADDRESS: &str = "/dev/derive-address";
/// The signer: an EIP-191 signature.
pub const SIGN_MESSAGE: &str = "/dev/sign-message";
/// The signer: evidence of where it runs.
pub const ATTESTATION: &str = "/attestation";
/// The worker: proves that its attestation key is in the certified TPM.
pub const ATTESTATION_ACTIVATE: &str = "/attestation/activate";
/// The worker: the account's device keys.
pub const DEVICES: &str = "/v1/devices";
/// The worker: one of them; `PUT` approves it, `DELETE` takes it away or stops it.
pub const DEVICE_BY_KEY: &str = "/v1/devices/{key}";
/// The worker: how long a device waits that nobody approves.
pub const DEVICES_RECOVERY: &str = "/v1/devices/recovery";
/// The worker: the signing log's latest checkpoint (C2SP tlog-tiles).
pub const LOG_CHECKPOINT: &str = "/log/checkpoint";
/// The worker: a tile of hashes of the signing log (C2SP tlog-tiles), such as `/log/tile/0/x001/067.p/8`.
pub const LOG_TILE: &str = "/log/tile/{level}/{*index}";
/// The worker, while it restores: `GET` shows the key that shares are sealed to, `POST` takes one.
pub const RESTORE: &str = "/restore";
