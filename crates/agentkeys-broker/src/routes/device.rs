use std::sync::Arc;

use agentkeys_api::paths;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use super::browser::{Browser, BrowserRefusal, PostedForm, form_of, sign_in_page};
use crate::{
    Broker, BrowserError,
    browser::Errand,
    pages::{Device, DeviceFault, EmailField, Shown},
};

/// The page on which a person types the code that another machine shows (RFC 8628 section 3.3).
///
/// Opening it approves nothing, and no link fills it in.
#[utoipa::path(get, path = paths::DEVICE, responses((status = 200, description = "The page", content_type = "text/html")))]
pub(super) async fn show(State(broker): State<Arc<Broker>>, browser: Browser) -> Response {
    let page = Device { hidden: form_of(&broker, &browser.id), ..Device::default() }.page();
    browser.remember(&broker, page)
}

/// Takes that code, and asks who approves the machine.
#[utoipa::path(post, path = paths::DEVICE, responses(
    (status = 200, description = "The page that names the machine", content_type = "text/html"),
    (status = 400, description = "The form again: no machine shows this code"),
    (status = 403, description = "A page: the form is that of another browser"),
    (status = 429, description = "The form again"),
))]
pub(super) async fn create(State(broker): State<Arc<Broker>>, form: PostedForm) -> Result<Response, BrowserRefusal> {
    let typed = form.find("user_code").unwrap_or_default();
    let errand = Errand::Device(typed.to_owned());
    let fault = match broker.asking(&errand, form.source).await {
        Ok(asking) => {
            let page = sign_in_page(&broker, &form.browser, &errand, &asking, EmailField::default());
            return Ok(page.into_response());
        }
        Err(BrowserError::RateLimited { .. }) => DeviceFault::TooOften,
        Err(BrowserError::UnknownDevice) => DeviceFault::Unknown,
        Err(error) => return Err(error.into()),
    };
    let hidden = form_of(&broker, &form.browser);
    Ok(Device { typed: Shown::value(typed), fault: Some(fault), hidden }.page().into_response())
}
