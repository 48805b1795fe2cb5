use std::sync::Arc;

use agentkeys_api::paths;
use agentkeys_http::{Parameters, Source};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use crate::{
    Broker, BrowserError,
    browser::Errand,
    routes::browser::{Browser, BrowserRefusal},
};

/// The page on which a person agrees to link an identity: it names the account that the identity will open.
#[utoipa::path(get, path = paths::OAUTH_LINK, params(("request" = String, Query)), responses(
    (status = 200, description = "The page", content_type = "text/html"),
    (status = 400, description = "A page: the request is unknown, over or used"),
))]
pub(in crate::routes) async fn show(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, BrowserRefusal> {
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let request = parameters.find("request").and_then(|request| request.parse().ok()).ok_or(BrowserError::State)?;
    let errand = Errand::Link(request);
    browser.asked(&broker, &errand, source).await
}
