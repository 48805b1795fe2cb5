use std::{net::SocketAddr, sync::Arc, time::Duration};

use agentkeys_api::paths;
use agentkeys_crypto::{HashKey, KeyError, private_file, random};
use agentkeys_http::{Server, ServerError, TrustedProxies};
use agentkeys_store::{PinError, SqliteStore, Store, StoreError};
use agentkeys_types::{Clock, IdentityType, IdentityTypes, PrefixClash};
use axum::{Router, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::{
    Broker, Config, ConfigError, Issuer, Mailer, SmtpMailer,
    broker::Keys,
    key_watch::{KeyFolder, KeyWatch, Seen},
    providers::{Providers, pin_of},
    routes,
    witness::{Witness, WitnessError},
};

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings cannot be worked with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key that hashes codes could not be read or made.
    #[error("the key of the sign-in codes could not be used: {0}")]
    CodeKey(#[source] std::io::Error),
    /// Two identity types would make accounts ambiguous.
    #[error(transparent)]
    IdentityTypes(#[from] PrefixClash),
    /// A signing key could not be read or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The deployment was begun with other settings.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The address is taken, or not ours.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whether the store is an older copy cannot be told.
    #[error("whether the store is an older copy cannot be told: {0}")]
    Witness(#[from] WitnessError),
}

/// How often the store forgets what has long been over.
const PURGE_EVERY: Duration = Duration::from_mins(10);

/// A broker that answers. Stops when dropped.
#[derive(Debug)]
pub struct Running {
    broker: Arc<Broker>,
    keys: Arc<KeyWatch>,
    /// Ends with the broker.
    background: JoinSet<()>,
    outbox: JoinSet<()>,
    server: agentkeys_http::Running,
    metrics: agentkeys_http::Running,
}

impl Running {
    /// What decides.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where its metrics are.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics.address()
    }

    /// Takes new signing keys now, if there are any, without waiting for the next look at their folder.
    pub async fn look_for_keys(&self) {
        self.keys.look().await;
    }

    /// Takes new signing keys whenever the process gets a SIGHUP; returns only if it cannot wait for one.
    pub async fn look_for_keys_at_every_hangup(&self) -> std::io::Result<()> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut hangups = signal(SignalKind::hangup())?;
            while hangups.recv().await.is_some() {
                self.look_for_keys().await;
            }
        }
        std::future::pending().await
    }

    /// Stops listening, and returns when the answers and mails under way have left.
    pub async fn stop(mut self) {
        self.server.stop().await;
        self.metrics.stop().await;
        self.broker.outbox.stop();
        while self.outbox.join_next().await.is_some() {}
        self.background.shutdown().await;
        if let Err(error) = self.broker.witness().await {
            tracing::warn!(%error, "what was recorded last is not witnessed");
        }
    }
}

/// Starts a broker with these settings.
pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    config.check()?;
    let mailer = Arc::new(SmtpMailer::new(&config.mail)?);
    start_with_mailer(config, clock, mailer).await
}

/// As [`start`], with `mailer` in the place of the settings' mail server.
pub async fn start_with_mailer(
    config: Config,
    clock: Arc<dyn Clock>,
    mailer: Arc<dyn Mailer>,
) -> Result<Running, StartError> {
    config.check()?;
    let metrics_handle = install_metrics();
    let mut server = Server::bind("broker", config.listen).await?;
    let metrics = Server::bind("metrics", config.metrics_listen).await?;
    let issuer = config.issuer.clone().unwrap_or_else(|| Issuer::of_listener(server.address()));
    server.allow_url(issuer.as_str());
    server.trust_proxies(TrustedProxies(config.trusted_proxies.clone()));

    // First, because what is refused here must not be pinned.
    let providers = Providers::open(&config, &issuer, &clock)?;
    let store = Arc::new(SqliteStore::open(&config.state.join("agentkeys.db"))?);
    pin_deployment(&*store, &config).await?;
    let folder = KeyFolder::new(&config, Arc::clone(&clock));
    let (keys, seen) = open_keys(&config, &folder)?;
    // This thread may only wait from here on, and would keep what reading the keys has left on its stack.
    agentkeys_memory::clear_residue();
    let witness = Witness::open(&config.keys_folder(), &*store, clock.now()).await?;
    let broker = Arc::new(Broker::new(&config, issuer, keys, (store, witness), mailer, clock, providers));
    tracing::info!(issuer = broker.issuer().as_str(), address = %server.address(), "the broker answers");

    let nonces = Arc::clone(&broker);
    server.give_nonces(Arc::new(move || nonces.dpop_nonce()));
    let mut background = JoinSet::new();
    background.spawn(purge_now_and_then(Arc::clone(&broker)));
    let mut outbox = JoinSet::new();
    outbox.spawn(Arc::clone(&broker.outbox).run());
    let witness = Arc::clone(&broker);
    background.spawn(async move { witness.witness_every_second().await });
    let keys = Arc::new(KeyWatch::new(Arc::clone(&broker), folder, seen));
    background.spawn(Arc::clone(&keys).look_every_second());
    let server = server.serve(routes::router(Arc::clone(&broker)));
    let metrics = metrics.serve(metrics_router(metrics_handle));
    Ok(Running { broker, keys, background, outbox, server, metrics })
}

/// Lets the store forget what has long been over, at once and then every ten minutes.
async fn purge_now_and_then(broker: Arc<Broker>) {
    let mut interval = tokio::time::interval(PURGE_EVERY);
    loop {
        interval.tick().await;
        match broker.store.purge(broker.clock.now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "forgot what has long been over"),
            Err(error) => tracing::warn!(%error, "what is long over could not be forgotten"),
        }
    }
}

/// Refuses to start where accounts would come out differently from what they are.
async fn pin_deployment(store: &dyn Store, config: &Config) -> Result<(), StartError> {
    store.pin("client_id", config.client_id.as_str()).await?;
    let types = IdentityTypes::new(config.providers.keys().cloned())?;
    // Those of providers that are gone too: their accounts are still there.
    let used = store.pinned("identity_type:").await?.into_iter();
    let used = used.filter_map(|(name, _)| name.strip_prefix("identity_type:")?.parse().ok());
    let types = IdentityTypes::of(types.iter().cloned().chain(used).collect())?;
    for identity_type in types.iter().filter(|identity_type| !matches!(identity_type, IdentityType::Oauth2(_))) {
        store.pin(&pin_of(identity_type), "built in").await?;
    }
    // Those of providers are pinned when somebody signs in there: until then a mistake can be mended.
    for (provider, settings) in &config.providers {
        let name = pin_of(&IdentityType::Oauth2(provider.clone()));
        let pinned = store.pinned(&name).await?.into_iter().find(|(known, _)| *known == name);
        if let Some((name, pinned)) = pinned.filter(|(_, issuer)| *issuer != settings.issuer) {
            return Err(PinError::Changed { name, pinned }.into());
        }
    }
    Ok(())
}

fn open_keys(config: &Config, folder: &KeyFolder) -> Result<(Keys, Seen), StartError> {
    let (signing, seen) = folder.open()?;
    let bytes = private_file::read_or_create(&config.keys_folder().join("codes.key"), || {
        Zeroizing::new(random::<32>().to_vec())
    });
    let bytes = bytes.map_err(StartError::CodeKey)?;
    let wrong_length = |_| StartError::CodeKey(std::io::Error::other("codes.key must be 32 bytes"));
    let codes = HashKey::new(bytes.as_slice().try_into().map_err(wrong_length)?);
    Ok((Keys { session: signing.session.into(), oidc: signing.oidc.into(), codes }, seen))
}

/// The process-wide recorder: the first broker of a process installs it, and all of them show it.
fn install_metrics() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Where another recorder was installed first, that one counts, and ours shows nothing.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

fn metrics_router(handle: PrometheusHandle) -> Router {
    agentkeys_http::router().route(
        paths::METRICS,
        get(move || async move {
            handle.run_upkeep();
            handle.render()
        }),
    )
}
