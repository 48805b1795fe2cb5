mod attestation;
mod derive_address;
mod healthz;
mod sign_message;

use std::sync::Arc;

use agentkeys_api::paths;
use agentkeys_http::Server;
use axum::{
    Router,
    routing::{get, post},
};

use crate::Signer;

/// The signer's routes, for `server` to serve, which from now on gives the nonces of this signer.
pub fn router(signer: Arc<Signer>, server: &mut Server) -> Router {
    let nonces = Arc::clone(&signer);
    server.give_nonces(Arc::new(move || nonces.dpop_nonce()));
    Router::new()
        .route(paths::DERIVE_ADDRESS, post(derive_address::create))
        .route(paths::SIGN_MESSAGE, post(sign_message::create))
        .route(paths::ATTESTATION, get(attestation::show))
        .route(paths::HEALTHZ, get(healthz::show))
        .with_state(signer)
}
