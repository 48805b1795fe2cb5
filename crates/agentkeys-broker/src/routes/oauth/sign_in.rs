use std::sync::Arc;

use agentkeys_api::paths;
use agentkeys_types::{EmailAddress, RequestId};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    Broker, BrowserError,
    browser::Errand,
    pages::{CodeFault, EmailCode, EmailFault, EmailField, Shown},
    routes::browser::{BrowserRefusal, PostedForm, confirm_page, form_of, redirect, sign_in_page},
};

/// Sends the browser to a provider, to prove an identity there.
#[utoipa::path(post, path = paths::OAUTH_SIGN_IN_PROVIDER, responses(
    (status = 303, description = "To the provider"),
    (status = 400, description = "A page"),
    (status = 403, description = "A page: the form is that of another browser"),
    (status = 410, description = "A page: the code of the machine is over"),
    (status = 429, description = "A page: `rate_limited`"),
    (status = 502, description = "A page: `provider_error`"),
    (status = 503, description = "A page: `storage_unavailable`"),
))]
pub(in crate::routes) async fn provider(
    State(broker): State<Arc<Broker>>,
    form: PostedForm,
) -> Result<Response, BrowserRefusal> {
    let errand = form.errand(&broker)?;
    let provider = form.find("provider").and_then(|name| name.parse().ok()).ok_or(BrowserError::Way)?;
    let url = broker.begin_at_provider(&errand, &provider, &form.browser, form.source).await?;
    Ok(redirect(&url))
}

/// Sends a code to an address, and asks for it.
#[utoipa::path(post, path = paths::OAUTH_SIGN_IN_EMAIL, responses(
    (status = 200, description = "The page that asks for the code", content_type = "text/html"),
    (status = 400, description = "The form again, or a page"),
    (status = 403, description = "A page: the form is that of another browser"),
    (status = 429, description = "The form again"),
    (status = 503, description = "The form again"),
))]
pub(in crate::routes) async fn email(
    State(broker): State<Arc<Broker>>,
    form: PostedForm,
) -> Result<Response, BrowserRefusal> {
    let errand = form.errand(&broker)?;
    let typed = form.find("email").unwrap_or_default();
    let Ok(email) = typed.parse::<EmailAddress>() else {
        return again(&broker, &form, &errand, typed, EmailFault::Invalid).await;
    };
    match broker.begin_by_email(&errand, email, &form.browser, form.source).await {
        Ok(request) => Ok(code_page(&broker, &form, &request, None).await?.into_response()),
        Err(BrowserError::Mail) => again(&broker, &form, &errand, typed, EmailFault::NotSent).await,
        Err(BrowserError::RateLimited { .. }) => again(&broker, &form, &errand, typed, EmailFault::TooOften).await,
        Err(error) => Err(error.into()),
    }
}

/// Takes the code from the mail, and asks the person to decide.
#[utoipa::path(post, path = paths::OAUTH_SIGN_IN_CODE, responses(
    (status = 200, description = "The page that asks for a decision", content_type = "text/html"),
    (status = 400, description = "The form again, or a page"),
    (status = 403, description = "A page: the form is that of another browser, or the identity may not sign in"),
    (status = 410, description = "A page: the code is over"),
    (status = 429, description = "A page: `rate_limited`"),
    (status = 503, description = "A page: `storage_unavailable`"),
))]
pub(in crate::routes) async fn code(
    State(broker): State<Arc<Broker>>,
    form: PostedForm,
) -> Result<Response, BrowserRefusal> {
    let request = form.request()?;
    let code = form.find("code").unwrap_or_default();
    match broker.answer_of_person(request.clone(), code, &form.browser, form.source).await {
        Ok(question) => Ok(confirm_page(&broker, &form.browser, &question)?.into_response()),
        Err(BrowserError::InvalidCode) => {
            Ok(code_page(&broker, &form, &request, Some(CodeFault::Wrong)).await?.into_response())
        }
        Err(error) => Err(error.into()),
    }
}

async fn again(
    broker: &Broker,
    form: &PostedForm,
    errand: &Errand,
    typed: &str,
    fault: EmailFault,
) -> Result<Response, BrowserRefusal> {
    let asking = broker.asking(errand, form.source).await?;
    let field = EmailField { typed: Shown::value(typed), fault: Some(fault) };
    Ok(sign_in_page(broker, &form.browser, errand, &asking, field).into_response())
}

async fn code_page(
    broker: &Broker,
    form: &PostedForm,
    request: &RequestId,
    fault: Option<CodeFault>,
) -> Result<crate::pages::Page, BrowserRefusal> {
    let (address, left) = broker.mailed_code(request, &form.browser).await?;
    let hidden = form_of(broker, &form.browser).with("request", request.expose());
    Ok(EmailCode { address: Shown::masked(&address), minutes: left.as_secs() / 60, fault, hidden }.page())
}
