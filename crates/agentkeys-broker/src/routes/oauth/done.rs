use agentkeys_api::paths;
use axum::extract::RawQuery;

use crate::pages::{Done, Page};

/// The page to which the command sends the browser in the end, so that no code stays in its address bar.
#[utoipa::path(get, path = paths::OAUTH_DONE, params(("outcome" = Option<String>, Query, description = "`refused`")),
    responses((status = 200, description = "The page", content_type = "text/html")))]
pub(in crate::routes) async fn show(RawQuery(query): RawQuery) -> Page {
    match query.as_deref() {
        Some("outcome=refused") => Done::Refused.page(),
        _ => Done::Command { machine: None }.page(),
    }
}
