use agentkeys_api::{IdentityView, Problem, SessionKind, SessionView, paths};
use agentkeys_http::Json;
use agentkeys_store::SessionRecord;
use agentkeys_types::{Identity, Timestamp};

use crate::{Caller, SessionCaller, WalletCaller};

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
        bound: false,
    }
}
