use std::sync::Arc;

use agentkeys_api::{Health, paths};
use agentkeys_http::Json;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde::Serialize;
use utoipa::{ToSchema, openapi::OpenApi};

use crate::Broker;

/// Whether the broker can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// What keeps it from that.
    reasons: Vec<&'static str>,
}

/// Whether the process is up.
#[utoipa::path(get, path = paths::HEALTHZ, responses((status = 200, body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health::ok())
}

/// Whether it can do its work: the store can be written, and mail can leave.
#[utoipa::path(get, path = paths::READYZ, responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(super) async fn ready(State(broker): State<Arc<Broker>>) -> (StatusCode, Json<Ready>) {
    let reasons = broker.hindrances().await;
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: reasons.is_empty(), reasons }))
}

/// Adds the route of the description itself.
pub(super) fn with_description(routes: Router<Arc<Broker>>, description: OpenApi) -> Router<Arc<Broker>> {
    let description: Arc<OpenApi> = Arc::new(description);
    routes.route(paths::OPENAPI, get(move || async move { axum::Json(&*description).into_response() }))
}
