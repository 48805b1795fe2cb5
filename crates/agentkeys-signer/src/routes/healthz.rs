use agentkeys_api::{Health, paths};
use agentkeys_http::Json;

/// Whether the process is up.
#[utoipa::path(get, path = paths::HEALTHZ, responses((status = 200, body = Health)))]
pub(super) async fn show() -> Json<Health> {
    Json(Health::ok())
}
