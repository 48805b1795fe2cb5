use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agentkeys_client::BrokerClient;

use crate::{Desk, WalletSource};

/// For how long the broker holds its answer back while the session stands.
const WAIT: Duration = Duration::from_secs(30);
/// Between one question and the next.
const PAUSE: Duration = Duration::from_secs(1);
/// Between questions to a broker that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Asks the source again as soon as the broker says that the session in use no longer stands.
///
/// What the broker then says of the token itself decides: a revoked one empties the shelf, and a mere outage leaves
/// it as it is. While nothing is at hand there is nothing to lose, and nobody is asked.
pub(crate) async fn watch(broker: BrokerClient, source: Arc<WalletSource>, desk: Arc<Desk>) {
    let mut pause = PAUSE;
    loop {
        let Some(session) = source.session().filter(|_| desk.shelf.has_anything()) else {
            desk.shelf.filled.notified().await;
            continue;
        };
        let asked = Instant::now();
        let answer = broker.standing(session.session_id, WAIT).await;
        pause = if answer.is_ok() { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        if answer.is_ok_and(|answer| !answer.standing) {
            desk.shelf.renew().await;
        }
        // A broker that holds nothing back, or is away, is not asked in every moment.
        let left = pause.saturating_sub(asked.elapsed());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }
}
