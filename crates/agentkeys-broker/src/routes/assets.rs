use agentkeys_api::paths;
use axum::response::Response;
use http::HeaderMap;

use crate::pages;

/// How the pages look.
#[utoipa::path(get, path = paths::STYLE, responses((status = 200, description = "The stylesheet", content_type = "text/css")))]
pub(super) async fn style(headers: HeaderMap) -> Response {
    pages::style(&headers)
}
