use std::sync::Arc;

use agentkeys_api::{
    EmailStarted, EmailVerify, ErrorCode, Identities, IdentityView, LinkEmail, LinkOauth, LinkOauthStarted,
    LinkOauthVerify, LinkPending, LinkedIdentity, Pending, Problem, paths,
};
use agentkeys_http::{Json, Source};
use agentkeys_store::{IdentityLink, POLL_INTERVAL};
use agentkeys_types::Identity;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::email::RESEND_AFTER;
use crate::{
    Broker, SessionCaller,
    error::ApiError,
    grants::FLOW_LIFE,
    linking::{Linked, PageLink},
    sign_in::CODE_LIFE,
};

/// The identities that open the caller's account.
#[utoipa::path(get, path = paths::IDENTITIES, security(("session" = [])), responses(
    (status = 200, body = Identities),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    caller: SessionCaller,
) -> Result<Json<Identities>, ApiError> {
    let links = broker.identities(&caller).await?;
    Ok(Json(Identities { identities: links.iter().map(view).collect() }))
}

/// Takes an identity away from the caller's account, and with it the sessions that it opened.
#[utoipa::path(delete, path = paths::IDENTITY, security(("session" = [])),
    params(("identity_type" = String, Path), ("identity_value" = String, Path)), responses(
    (status = 204, description = "It no longer opens the account"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`, `reauth_required`"),
    (status = 404, body = Problem, description = "`not_found`"),
    (status = 409, body = Problem, description = "`last_identity`"),
))]
pub(super) async fn delete(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Path((identity_type, value)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let unknown = |_| Problem::new(ErrorCode::NotFound, "the account has no such identity");
    let identity = Identity::parse(identity_type.parse().map_err(unknown)?, &value).map_err(unknown)?;
    broker.unlink_identity(&caller, identity, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a code to an address that is to open the caller's account too.
#[utoipa::path(post, path = paths::IDENTITIES_EMAIL_START, security(("session" = [])), request_body = LinkEmail, responses(
    (status = 202, body = EmailStarted),
    (status = 400, body = Problem, description = "`invalid_email` and the other refusals of a body"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`, `reauth_required`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
    (status = 503, body = Problem, description = "`mail_unavailable`, `storage_unavailable`"),
))]
pub(super) async fn start_email(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<LinkEmail>,
) -> Result<(StatusCode, Json<EmailStarted>), ApiError> {
    let request_id = broker.start_email_link(&caller, request.email, source).await?;
    let started = EmailStarted { request_id, expires_in: CODE_LIFE.as_secs(), resend_after: RESEND_AFTER };
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// Links the address, by the code from the mail and the session that asked for it.
#[utoipa::path(post, path = paths::IDENTITIES_EMAIL_VERIFY, security(("session" = [])), request_body = EmailVerify, responses(
    (status = 200, body = LinkedIdentity, description = "It opened the account before"),
    (status = 201, body = LinkedIdentity),
    (status = 401, body = Problem, description = "`invalid_code`, and the codes of tokens"),
    (status = 403, body = Problem, description = "`session_required`, `reauth_required`, `sign_in_not_allowed`"),
    (status = 409, body = Problem, description = "`identity_taken`"),
    (status = 410, body = Problem, description = "`code_expired`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
))]
pub(super) async fn verify_email(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<EmailVerify>,
) -> Result<(StatusCode, Json<LinkedIdentity>), ApiError> {
    let linked = broker.verify_email_link(&caller, &request.request_id, &request.code, source).await?;
    Ok(reply(&linked))
}

/// Makes a page on which an identity at a provider is proved, to open the caller's account too.
#[utoipa::path(post, path = paths::IDENTITIES_OAUTH_START, security(("session" = [])), request_body = LinkOauth, responses(
    (status = 201, body = LinkOauthStarted),
    (status = 400, body = Problem, description = "`invalid_field`: there is no such provider"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`, `reauth_required`"),
    (status = 429, body = Problem, description = "`rate_limited`"),
))]
pub(super) async fn start_oauth(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<LinkOauth>,
) -> Result<(StatusCode, Json<LinkOauthStarted>), ApiError> {
    let (request_id, page) = broker.start_page_link(&caller, request.provider, source).await?;
    let started = LinkOauthStarted {
        authorize_url: format!("{}?request={}", broker.issuer().join(paths::OAUTH_LINK), page.expose()),
        request_id,
        expires_in: FLOW_LIFE.as_secs(),
        interval: POLL_INTERVAL.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(started)))
}

/// Links the identity that was proved on the page, by the session that asked for it.
#[utoipa::path(post, path = paths::IDENTITIES_OAUTH_VERIFY, security(("session" = [])), request_body = LinkOauthVerify, responses(
    (status = 200, body = LinkedIdentity, description = "It opened the account before"),
    (status = 201, body = LinkedIdentity),
    (status = 202, body = LinkPending, description = "Nobody has approved yet"),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
    (status = 403, body = Problem, description = "`session_required`, `reauth_required`, `sign_in_not_allowed`, `access_denied`"),
    (status = 409, body = Problem, description = "`identity_taken`"),
    (status = 410, body = Problem, description = "`link_expired`"),
))]
pub(super) async fn verify_oauth(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    caller: SessionCaller,
    Json(request): Json<LinkOauthVerify>,
) -> Result<Response, ApiError> {
    Ok(match broker.verify_page_link(&caller, &request.request_id, source).await? {
        PageLink::Linked(linked) => reply(&linked).into_response(),
        PageLink::Pending => {
            let pending = LinkPending { status: Pending::Pending, interval: POLL_INTERVAL.as_secs() };
            (StatusCode::ACCEPTED, Json(pending)).into_response()
        }
    })
}

fn reply(linked: &Linked) -> (StatusCode, Json<LinkedIdentity>) {
    let status = if linked.is_new { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(view(&linked.link)))
}

fn view(link: &IdentityLink) -> LinkedIdentity {
    LinkedIdentity {
        identity: IdentityView::from(&link.identity),
        email: link.email.as_ref().map(ToString::to_string),
        linked_at: link.linked_at,
    }
}
