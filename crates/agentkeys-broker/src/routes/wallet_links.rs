use std::sync::Arc;

use agentkeys_api::{
    ErrorCode, LinkStatus, Problem, WalletLink as LinkWallet, WalletLinkView, WalletLinked, WalletLinks, paths,
};
use agentkeys_http::{Json, Source};
use agentkeys_store::WalletLink;
use agentkeys_types::EvmAddress;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};

use crate::{Broker, SessionCaller, error::ApiError};

/// Links a wallet to the caller's account, pending until it proves itself.
#[utoipa::path(post, path = paths::WALLET_LINK, request_body = LinkWallet, security(("session" = [])), responses(
    (status = 200, body = WalletLinked, description = "It was linked already"),
    (status = 201, body = WalletLinked),
    (status = 400, body = Problem, description = "`invalid_address`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<LinkWallet>,
) -> Result<(StatusCode, Json<WalletLinked>), ApiError> {
    let (link, is_new) = broker.link_wallet(&caller, request.address, source).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(WalletLinked { address: link.address, status: link_status(&link) })))
}

/// The wallets of the caller's account.
#[utoipa::path(get, path = paths::WALLET_LINKS, security(("session" = [])), responses(
    (status = 200, body = WalletLinks),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    caller: SessionCaller,
) -> Result<Json<WalletLinks>, ApiError> {
    let links = broker.wallets(&caller).await?;
    let view = |link: &WalletLink| WalletLinkView {
        address: link.address,
        status: link_status(link),
        linked_at: link.linked_at,
    };
    Ok(Json(WalletLinks { links: links.iter().map(view).collect() }))
}

/// Unlinks a wallet: its wallet sessions fall with it.
#[utoipa::path(delete, path = paths::WALLET_LINK_BY_ADDRESS, security(("session" = [])), params(("address" = String, Path)), responses(
    (status = 204, description = "Unlinked"),
    (status = 400, body = Problem, description = "`invalid_address`"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
    (status = 404, body = Problem, description = "`wallet_not_linked`"),
))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Path(address): Path<String>,
) -> Result<StatusCode, ApiError> {
    let address: EvmAddress = address.parse().map_err(|_| {
        Problem::new(
            ErrorCode::InvalidAddress,
            "the address must be 0x and 40 hex digits, with a right checksum if any",
        )
    })?;
    broker.unlink_wallet(&caller, address, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn link_status(link: &WalletLink) -> LinkStatus {
    if link.proved_at.is_some() { LinkStatus::Proved } else { LinkStatus::Pending }
}
