use std::{path::Path, sync::Arc};

use agentkeys_mock_server::dev_key_service::{DevKeyService, MASTER_SECRET_VARIABLE};
use agentkeys_signer::{BrokerStanding, NotAttested, Signer, SignerConfig, SignerParts, SigningLog};
use agentkeys_types::Clock;
use anyhow::Context;

/// DEV ONLY: the secret of the environment; to be called before there are threads.
pub(crate) fn keys() -> anyhow::Result<DevKeyService> {
    Ok(DevKeyService::from_env()?.unwrap_or_else(|| {
        tracing::warn!("DEV ONLY: the signer is disabled: {MASTER_SECRET_VARIABLE} is not set");
        DevKeyService::disabled()
    }))
}

/// DEV ONLY: the signer of the broker at `broker_url`.
pub(crate) async fn open(
    keys: DevKeyService,
    broker_url: &str,
    state: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<Signer>> {
    let broker = BrokerStanding::new(&broker_url.parse().context("--broker-url")?).context("--broker-url")?;
    let record = SigningLog::open_apart(state.join("signing.log")).await?;
    let parts = SignerParts {
        keys: Arc::new(keys),
        record: Arc::new(record),
        attester: Arc::new(NotAttested),
        standing: Arc::new(broker),
        clock,
    };
    Ok(Signer::open(SignerConfig::for_development(broker_url.to_owned()), parts))
}
