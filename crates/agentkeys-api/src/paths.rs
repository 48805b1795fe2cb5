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
/// Mints the web-identity JWT.
pub const MINT_OIDC_JWT: &str = "/v1/mint-oidc-jwt";
/// OpenID Connect Discovery 1.0.
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
/// The keys that verify web-identity JWTs.
pub const JWKS: &str = "/.well-known/jwks.json";
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
