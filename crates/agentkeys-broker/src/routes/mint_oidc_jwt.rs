use std::sync::Arc;

use agentkeys_api::{MintOidcJwt, MintedOidcJwt, Problem, paths};
use agentkeys_http::{Json, Source};
use axum::extract::State;

use crate::{Broker, WalletCaller, error::ApiError};

/// Mints a web-identity JWT for the caller's wallet, or for an agent that acts for it.
#[utoipa::path(post, path = paths::MINT_OIDC_JWT, request_body = MintOidcJwt, security(("wallet_session" = [])), responses(
    (status = 200, body = MintedOidcJwt),
    (status = 400, body = Problem, description = "`audience_not_allowed`, `agent_unknown`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`wallet_session_required`, `agent_not_allowed`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
    (status = 503, body = Problem, description = "`audit_unavailable`"),
))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: WalletCaller,
    Json(request): Json<MintOidcJwt>,
) -> Result<Json<MintedOidcJwt>, ApiError> {
    let minted = broker.mint_oidc_jwt(&caller, request.audience, request.agent, source).await?;
    Ok(Json(MintedOidcJwt { jwt: minted.jwt, expires_at: minted.expires_at, address: caller.claims.wal }))
}
