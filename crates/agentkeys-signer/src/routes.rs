mod attestation;
mod derive_address;
mod healthz;
mod sign_message;

use std::sync::Arc;

use agentkeys_api::paths;
use axum::{
    Router,
    routing::{get, post},
};

use crate::Signer;

/// The signer's routes, to be served by [`agentkeys_http::Server`].
pub fn router(signer: Arc<Signer>) -> Router {
    Router::new()
        .route(paths::DERIVE_ADDRESS, post(derive_address::create))
        .route(paths::SIGN_MESSAGE, post(sign_message::create))
        .route(paths::ATTESTATION, get(attestation::show))
        .route(paths::HEALTHZ, get(healthz::show))
        .with_state(signer)
}
