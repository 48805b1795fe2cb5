use std::net::SocketAddr;

use agentkeys_api::{Body, Fields, Health, Problem};
use agentkeys_http::{Json, Server};
use axum::routing::post;

/// The path of the empty POST.
pub(crate) const PATH: &str = "/empty";

struct Nothing;

impl Body for Nothing {
    fn read(_: &mut Fields) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Answers an empty JSON POST until the process is ended.
pub(crate) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let server = Server::bind("empty", listen).await?;
    let router = agentkeys_http::router().route(PATH, post(async |_: Json<Nothing>| Json(Health::ok())));
    let _running = server.serve(router);
    std::future::pending().await
}
