use std::sync::Arc;

use agentkeys_api::{Identities, IdentityView, LinkedIdentity, Problem, paths};
use agentkeys_http::Json;
use axum::extract::State;

use crate::{Broker, SessionCaller, error::ApiError};

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
    let view = |link: &agentkeys_store::IdentityLink| LinkedIdentity {
        identity: IdentityView::from(&link.identity),
        linked_at: link.linked_at,
    };
    Ok(Json(Identities { identities: links.iter().map(view).collect() }))
}
