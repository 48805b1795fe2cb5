use std::sync::Arc;

use agentkeys_api::{IdentityView, Problem, SessionKind, SessionView, SignedIn, paths};
use agentkeys_http::{Json, Refusal, Source, Target, presentation};
use agentkeys_store::SessionRecord;
use agentkeys_types::{Identity, Timestamp};
use axum::extract::{Request, State};

use super::email::signed_in;
use crate::{Broker, Caller, SessionCaller, WalletCaller, error::ApiError};

/// The session behind the token, while it stands.
#[utoipa::path(get, path = paths::SESSION, security(("session" = []), ("wallet_session" = [])), responses(
    (status = 200, body = SessionView),
    (status = 401, body = Problem, description = "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"),
))]
pub(super) async fn show(caller: Caller) -> Json<SessionView> {
    Json(match caller {
        Caller::Session(SessionCaller { session, .. }) => view(&session),
        Caller::Wallet(WalletCaller { claims, parent }) => SessionView {
            session_id: claims.sid,
            kind: SessionKind::WalletSession,
            omni_account: claims.sub,
            account: claims.acc,
            identity: IdentityView::from(&Identity::evm(claims.wal)),
            created_at: Timestamp::from_unix(claims.iat),
            expires_at: Timestamp::from_unix(claims.exp),
            bound: claims.cnf.is_some(),
            ..view(&parent)
        },
    })
}

/// Gives the session behind a bound token a fresh one, and lets the one that was presented fall.
#[utoipa::path(post, path = paths::SESSION_RENEW, security(("session" = [])), responses(
    (status = 200, body = SignedIn),
    (status = 401, body = Problem, description = "`dpop_required` for a session without a device key, and the codes of tokens"),
    (status = 403, body = Problem, description = "`session_required`"),
))]
pub(super) async fn renew(
    State(broker): State<Arc<Broker>>,
    Source(source): Source,
    request: Request,
) -> Result<Json<SignedIn>, Refusal> {
    // Not a `SessionCaller`: a token whose replacement got lost may ask for it again.
    let (parts, _) = request.into_parts();
    let url = Target::of(&parts)?.url(parts.uri.path());
    let renewed = broker.renew_session(&presentation(&parts, &url)?, source).await;
    renewed.map(|opened| Json(signed_in(opened))).map_err(|error| ApiError::from(error).into())
}

/// A 30-day session as its account sees it.
pub(super) fn view(session: &SessionRecord) -> SessionView {
    SessionView {
        session_id: session.id,
        kind: SessionKind::Session,
        omni_account: session.account,
        account: session.account,
        identity: IdentityView::from(&session.identity),
        client_name: session.client_name.clone(),
        created_at: session.created_at,
        auth_time: session.auth_time,
        expires_at: session.expires_at,
        bound: session.key.is_some(),
        key_thumbprint: session.key,
        address: session.source,
        last_used_at: session.last_used_at,
    }
}
