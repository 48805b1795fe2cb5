use std::sync::Arc;

use agentkeys_api::paths;
use axum::{extract::State, response::Response};

use super::well_known::cacheable;
use crate::Broker;

/// The keys that verify session tokens; not those of the web-identity JWTs.
#[utoipa::path(get, path = paths::SESSION_KEYS, responses((status = 200, description = "A JWK Set (RFC 7517)")))]
pub(super) async fn show(State(broker): State<Arc<Broker>>) -> Response {
    cacheable(&broker.session_keys())
}
