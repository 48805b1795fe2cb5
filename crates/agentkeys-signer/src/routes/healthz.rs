use agentkeys_api::Health;
use agentkeys_http::Json;

/// `GET /healthz`
pub(super) async fn show() -> Json<Health> {
    Json(Health::ok())
}
