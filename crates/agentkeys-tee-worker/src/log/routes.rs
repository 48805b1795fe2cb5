use std::sync::Arc;

use agentkeys_api::{ErrorCode, Problem, paths};
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

/// What describes them.
#[derive(utoipa::OpenApi)]
#[openapi(paths(show_checkpoint, show_tile))]
pub(crate) struct DescribedLog;

/// The latest checkpoint of the signing log, signed (C2SP tlog-checkpoint): at the worker alone.
///
/// An extension line has the last value of the counter that cannot go back, as `counter 7`.
#[utoipa::path(get, path = paths::LOG_CHECKPOINT, responses((status = 200, body = String, description = "The signed note")))]
async fn show_checkpoint(State(log): State<Arc<TransparencyLog>>) -> impl IntoResponse {
    (headers("text/plain; charset=utf-8", "no-store"), log.checkpoint().to_string())
}

/// A tile of hashes of the signing log (C2SP tlog-tiles), never one of its entries: at the worker alone.
#[utoipa::path(get, path = "/log/tile/{level}/{index}", params(
    ("level" = u8, Path),
    ("index" = String, Path, description = "In groups of three digits, all but the last after an `x`, as `x001/067`; then \
        `.p/` and the number of its hashes, where it is not whole"),
), responses(
    (status = 200, content_type = "application/octet-stream", description = "SHA-256 hashes, which never change"),
    (status = 404, body = Problem, description = "`not_found`: the log has not grown that far"),
    (status = 503, body = Problem, description = "`storage_unavailable`"),
))]
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
