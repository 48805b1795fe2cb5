use std::sync::Arc;

use agentkeys_api::paths;
use agentkeys_http::{Parameters, Source};
use axum::{
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use http::HeaderMap;

use crate::{
    Broker, BrowserError,
    browser::ProviderAnswer,
    routes::browser::{BrowserRefusal, confirm_page, cookie},
};

/// Takes the answer of a provider, and asks the person to decide.
#[utoipa::path(get, path = paths::OAUTH_CALLBACK, params(("provider" = String, Path),
    ("code" = Option<String>, Query), ("error" = Option<String>, Query), ("iss" = Option<String>, Query),
    ("state" = String, Query)), responses(
    (status = 200, description = "The page that asks for a decision", content_type = "text/html"),
    (status = 400, description = "A page: `state_invalid`, `issuer_mismatch`"),
    (status = 403, description = "A page: `browser_mismatch`, `sign_in_not_allowed`, `identity_retired`, `access_denied`"),
    (status = 502, description = "A page: `provider_error`, `id_token_invalid`"),
    (status = 503, description = "A page: `storage_unavailable`"),
))]
pub(in crate::routes) async fn show(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    Path(provider): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, BrowserRefusal> {
    let provider = provider.parse().map_err(|_| BrowserError::State)?;
    let parameters = Parameters::parse(query.as_deref().unwrap_or_default())?;
    let answer = ProviderAnswer {
        code: parameters.find("code"),
        error: parameters.find("error"),
        error_description: parameters.find("error_description"),
        iss: parameters.find("iss"),
        state: parameters.find("state"),
    };
    let browser = cookie(&headers, &broker);
    let question = broker.answer_of_provider(&provider, answer, browser.as_ref(), source).await?;
    let browser = browser.ok_or(BrowserError::OtherBrowser)?;
    Ok(confirm_page(&broker, &browser, &question)?.into_response())
}
