use std::sync::Arc;

use agentkeys_api::{
    IdentityView, Problem, TokenType, WalletChallenge, WalletProved, WalletStart, WalletVerify, paths,
};
use agentkeys_http::{Json, Source};
use agentkeys_types::Identity;
use axum::extract::State;

use crate::{Broker, SessionCaller, error::ApiError};

/// Gives out the EIP-4361 message that proves a linked wallet.
#[utoipa::path(post, path = paths::WALLET_START, request_body = WalletStart, security(("session" = [])), responses(
    (status = 200, body = WalletChallenge),
    (status = 400, body = Problem, description = "`invalid_address`, `invalid_chain_id`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 404, body = Problem, description = "`wallet_not_linked`"),
))]
pub(super) async fn start(
    State(broker): State<Arc<Broker>>,
    caller: SessionCaller,
    Json(request): Json<WalletStart>,
) -> Result<Json<WalletChallenge>, ApiError> {
    let chain_id = request.chain_id.map(|chain| chain.0);
    let challenge = broker.challenge_wallet(&caller, request.address, chain_id).await?;
    Ok(Json(WalletChallenge {
        request_id: challenge.request,
        siwe_message: challenge.message,
        expires_at: challenge.expires_at,
    }))
}

/// Proves the wallet by its signature over that message, and opens a wallet session.
#[utoipa::path(post, path = paths::WALLET_VERIFY, request_body = WalletVerify, security(("session" = [])), responses(
    (status = 200, body = WalletProved),
    (status = 400, body = Problem, description = "`invalid_signature_format`, `unsupported_signature_type`"),
    (status = 401, body = Problem, description = "`invalid_signature`, `challenge_invalid` and the codes of tokens"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 404, body = Problem, description = "`wallet_not_linked`"),
    (status = 409, body = Problem, description = "`wallet_taken`"),
    (status = 410, body = Problem, description = "`challenge_expired`"),
))]
pub(super) async fn verify(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<WalletVerify>,
) -> Result<Json<WalletProved>, ApiError> {
    let opened = broker.prove_wallet(&caller, &request.request_id, &request.signature, source).await?;
    Ok(Json(WalletProved {
        session_token: opened.token,
        token_type: TokenType::of(caller.claims.cnf.is_some()),
        session_id: opened.id,
        expires_at: opened.expires_at,
        omni_account: opened.anchor,
        identity: IdentityView::from(&Identity::evm(opened.address)),
        account: opened.account,
        address: opened.address,
    }))
}
