use std::sync::Arc;

use agentkeys_api::paths;
use agentkeys_store::Decision;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    Broker,
    browser::Ending,
    pages::{Done, Shown},
    routes::browser::{BrowserRefusal, PostedForm, account, identity, redirect},
};

/// Takes a person's decision, by one of the two buttons.
#[utoipa::path(post, path = paths::OAUTH_CONFIRM, responses(
    (status = 200, description = "A page: it is done, or was refused", content_type = "text/html"),
    (status = 303, description = "Back to the command, with `code` or `error`, `state` and `iss`"),
    (status = 400, description = "A page: the sign-in is unknown, over or decided"),
    (status = 403, description = "A page: the form is that of another browser"),
))]
pub(in crate::routes) async fn create(
    State(broker): State<Arc<Broker>>,
    form: PostedForm,
) -> Result<Response, BrowserRefusal> {
    let decision = match form.find("decision") {
        Some("approve") => Decision::Approve,
        Some("refuse") => Decision::Refuse,
        _ => return Err(BrowserRefusal::malformed("the form has no decision")),
    };
    let ending = broker.decide(&form.request()?, decision, &form.browser, form.source).await?;
    Ok(match ending {
        Ending::Command(url) => redirect(&url),
        Ending::Device(grant) => {
            let machine = grant.client_name.as_deref().and_then(Shown::name);
            Done::Device { machine }.page().into_response()
        }
        Ending::Link { proved, owner } => {
            let identity = identity(&broker, &proved.identity, proved.email.as_ref());
            Done::Linked { identity, account: account(&broker, owner.as_ref()) }.page().into_response()
        }
        Ending::Refused => Done::Refused.page().into_response(),
    })
}
