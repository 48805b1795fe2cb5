use std::sync::Arc;

use agentkeys_api::{ErrorCode, paths};
use agentkeys_http::Refusal;
use agentkeys_tlog::TileId;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

use super::TransparencyLog;

/// The routes that show the log to everybody: its checkpoint, and its tiles of hashes. Its entries stay here.
pub fn log_routes(log: Arc<TransparencyLog>) -> Router {
    Router::new()
        .route(paths::LOG_CHECKPOINT, get(show_checkpoint))
        .route(paths::LOG_TILE, get(show_tile))
        .with_state(log)
}

/// `GET /log/checkpoint`
async fn show_checkpoint(State(log): State<Arc<TransparencyLog>>) -> impl IntoResponse {
    (headers("text/plain; charset=utf-8", "no-store"), log.checkpoint().to_string())
}

/// `GET /log/tile/{level}/{*index}`
async fn show_tile(
    State(log): State<Arc<TransparencyLog>>,
    Path((level, index)): Path<(String, String)>,
) -> Result<impl IntoResponse, Refusal> {
    let none = || Refusal::new(ErrorCode::NotFound, "the log has no such tile");
    let id = TileId::parse(&level, &index).ok_or_else(none)?;
    let tile = tokio::task::spawn_blocking(move || log.tile(id)).await.map_err(std::io::Error::other).flatten();
    let tile = tile.map_err(|error| {
        tracing::error!(%error, %id, "a tile of the log could not be read");
        Refusal::new(ErrorCode::StorageUnavailable, "the log cannot be read now")
    })?;
    // What a tile holds never changes.
    Ok((headers("application/octet-stream", "public, max-age=31536000, immutable"), tile.ok_or_else(none)?))
}

fn headers(content_type: &'static str, caching: &'static str) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, caching)]
}
