mod attestation;
mod derive_address;
mod devices;
mod healthz;
mod reference;
mod sign_message;

use std::sync::Arc;

use agentkeys_api::{headers, paths};
use agentkeys_http::Server;
use axum::{
    Router,
    routing::{get, post, put},
};
use http::{HeaderMap, HeaderName};

pub use self::reference::openapi;

use crate::{SessionCaller, Signer};

/// The signer's routes, for `server` to serve, which from now on gives the nonces of this signer.
pub fn router(signer: Arc<Signer>, server: &mut Server) -> Router {
    let nonces = Arc::clone(&signer);
    server.give_nonces(Arc::new(move || nonces.dpop_nonce()));
    let devices = if signer.pins_devices() { devices() } else { Router::new() };
    devices
        .route(paths::DERIVE_ADDRESS, post(derive_address::create))
        .route(paths::SIGN_MESSAGE, post(sign_message::create))
        .route(paths::ATTESTATION, get(attestation::show))
        .route(paths::ATTESTATION_ACTIVATE, post(attestation::activate))
        .route(paths::HEALTHZ, get(healthz::show))
        .with_state(signer)
}

/// The routes of a signer that pins devices.
fn devices() -> Router<Arc<Signer>> {
    Router::new()
        .route(paths::DEVICES, get(devices::list))
        .route(paths::DEVICES_RECOVERY, put(devices::update_recovery))
        .route(paths::DEVICE_BY_KEY, put(devices::update).delete(devices::delete))
}

/// What an answer says beside its body: the revision of the caller's devices, where they are pinned.
fn device_revision(signer: &Signer, caller: &SessionCaller) -> HeaderMap {
    let revision = signer.device_revision(caller);
    revision.map(|revision| (HeaderName::from_static(headers::DEVICE_REVISION), revision.into())).into_iter().collect()
}
