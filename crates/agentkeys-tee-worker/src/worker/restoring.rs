//! A worker that waits for the shares of a backup, and signs nothing.

use std::sync::Arc;

use agentkeys_crypto::EvmSignature;
use agentkeys_http::Server;
use agentkeys_memory::Secret;
use agentkeys_signer::{
    BrokerStanding, Entry, KeysUnavailable, LogUnavailable, Receipt, Signer, SignerParts, SigningRecord, WalletKeys,
};
use agentkeys_types::{EvmAddress, OmniAccount, SystemClock};
use anyhow::Context;
use async_trait::async_trait;

use super::{parts::Parts, restoration::Restoration};
use crate::{Blobs, Config, LatestCheckpoint, PlatformAttester, Statement};

/// Whether this start has nothing to unseal, and the configuration names what to restore.
pub(super) fn is_needed(config: &Config, parts: &Parts) -> anyhow::Result<bool> {
    if config.restore_identity().is_none() {
        return Ok(false);
    }
    if let Some(sealer) = &parts.sealer
        && (sealer.has_record()? || Blobs::new(&config.state).are_there()?)
    {
        return Ok(false);
    }
    Parts::require_log(config)?;
    Ok(true)
}

/// Serves the routes of a restoration until there is the secret.
pub(super) async fn wait(config: &Config, parts: &Parts, mut server: Server) -> anyhow::Result<Secret> {
    let identity = config.restore_identity().context("backup.restore_identity")?;
    let restoration = Restoration::of(identity)?;
    let statement = Statement {
        identity_pub: restoration.identity_pub(),
        log_vkey: String::new(),
        boot_counter: 0,
        signs_any_message: config.allow_any_message,
        log: Arc::new(NoLog),
    };
    let signer_parts = SignerParts {
        keys: Arc::new(NoKeys),
        record: Arc::new(NoLog),
        attester: Arc::new(PlatformAttester::new(statement, Arc::clone(&parts.platform))),
        standing: Arc::new(BrokerStanding::new(&config.broker_url.parse()?).context("broker_url")?),
        clock: Arc::new(SystemClock),
    };
    let signer = Signer::open(super::signer_config(config), signer_parts);
    let routes = agentkeys_signer::router(signer, &mut server).merge(restoration.router());
    let running = server.serve(routes);
    tracing::info!(address = %running.address(), %identity, "restoring: waiting for shares");
    let secret = restoration.secret().await;
    running.stop().await;
    tracing::info!(%identity, "restored");
    Ok(secret)
}

/// Derives nothing.
#[derive(Debug)]
struct NoKeys;

impl WalletKeys for NoKeys {
    fn ready(&self) -> Result<(), KeysUnavailable> {
        Err(KeysUnavailable)
    }

    fn address(&self, _: &OmniAccount) -> Result<EvmAddress, KeysUnavailable> {
        Err(KeysUnavailable)
    }

    fn sign_eip191(&self, _: &OmniAccount, _: &[u8]) -> Result<EvmSignature, KeysUnavailable> {
        Err(KeysUnavailable)
    }
}

/// Records nothing.
#[derive(Debug)]
struct NoLog;

#[async_trait]
impl SigningRecord for NoLog {
    async fn append(&self, _: Entry) -> Result<Receipt, LogUnavailable> {
        Err(LogUnavailable)
    }
}

impl LatestCheckpoint for NoLog {
    fn latest(&self) -> Arc<str> {
        "".into()
    }
}
