//! Every route of the broker, one file for each resource.

mod agents;
mod assets;
mod browser;
mod callers;
mod device;
mod email;
mod identities;
mod mint_oidc_jwt;
mod oauth;
mod operations;
mod session;
mod session_keys;
mod sessions;
mod wallet_links;
mod wallet_proofs;
mod well_known;

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::{Info, OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Broker;

/// The routes of a broker.
pub fn router(broker: Arc<Broker>) -> Router {
    let (router, description) = described();
    operations::with_description(router, description).with_state(broker)
}

/// The description of the API (OpenAPI 3.1), made from the routes themselves.
pub fn openapi() -> OpenApi {
    described().1
}

fn described() -> (Router<Arc<Broker>>, OpenApi) {
    let router = OpenApiRouter::from(agentkeys_http::router())
        .routes(routes!(agents::delete, agents::update))
        .routes(routes!(agents::list))
        .routes(routes!(assets::style))
        .routes(routes!(device::show, device::create))
        .routes(routes!(email::start))
        .routes(routes!(email::verify))
        .routes(routes!(identities::list))
        .routes(routes!(identities::delete))
        .routes(routes!(identities::start_email))
        .routes(routes!(identities::verify_email))
        .routes(routes!(identities::start_oauth))
        .routes(routes!(identities::verify_oauth))
        .routes(routes!(mint_oidc_jwt::create))
        .routes(routes!(oauth::authorize::show))
        .routes(routes!(oauth::callback::show))
        .routes(routes!(oauth::confirm::create))
        .routes(routes!(oauth::device_authorization::create))
        .routes(routes!(oauth::done::show))
        .routes(routes!(oauth::link::show))
        .routes(routes!(oauth::revoke::create))
        .routes(routes!(oauth::sign_in::code))
        .routes(routes!(oauth::sign_in::email))
        .routes(routes!(oauth::sign_in::provider))
        .routes(routes!(oauth::token::create))
        .routes(routes!(operations::health))
        .routes(routes!(operations::ready))
        .routes(routes!(session::show))
        .routes(routes!(session::renew))
        .routes(routes!(session_keys::show))
        .routes(routes!(sessions::list, sessions::delete_all))
        .routes(routes!(sessions::delete))
        .routes(routes!(sessions::standing))
        .routes(routes!(wallet_links::create))
        .routes(routes!(wallet_links::delete))
        .routes(routes!(wallet_links::list))
        .routes(routes!(wallet_proofs::start))
        .routes(routes!(wallet_proofs::verify))
        .routes(routes!(well_known::authorization_server))
        .routes(routes!(well_known::jwks))
        .routes(routes!(well_known::openid_configuration));
    let (router, mut description) = router.split_for_parts();
    description.info = Info::new("AgentKeys broker", env!("CARGO_PKG_VERSION"));
    (router, description)
}
