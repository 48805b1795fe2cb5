use std::{sync::Arc, time::Duration};

use agentkeys_client::BrokerClient;

use crate::{Cached, CredentialSource, WalletSource};

/// For how long the broker holds its answer back while the session stands.
const WAIT: Duration = Duration::from_secs(10);
/// Between one question and the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks the source again as soon as the broker says that the session in use no longer stands.
///
/// What the broker then says of the token itself decides: a revoked one empties the cache, and a mere outage
/// leaves it as it is.
pub(crate) async fn watch(
    broker: BrokerClient,
    source: Arc<WalletSource>,
    cached: Arc<Cached<Arc<dyn CredentialSource>>>,
) {
    loop {
        let session = source.session().session_id;
        if broker.standing(session, WAIT).await.is_ok_and(|answer| !answer.standing) {
            if let Err(error) = cached.renew().await {
                tracing::warn!(%error, code = error.code(), "the session no longer stands");
            }
            while source.session().session_id == session {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
