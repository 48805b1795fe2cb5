mod parts;
mod restoration;
mod restoring;

use std::{path::Path, sync::Arc, thread};

use agentkeys_backup::ShareError;
use agentkeys_crypto::MasterSecret;
use agentkeys_http::{Running, Server, TlsIdentity};
use agentkeys_memory::Secret;
use agentkeys_signer::{BrokerStanding, Signer, SignerConfig, SignerParts};
use agentkeys_tlog::AuditError;
use agentkeys_types::{Clock, SystemClock};
use anyhow::{Context, anyhow, bail, ensure};
use reqwest::Url;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use self::parts::Parts;
pub(crate) use self::restoration::DescribedRestore;
use crate::{
    Blobs, Config, MasterError, Origin, PlatformAttester, Statement, first_boot,
    log::{LogError, TransparencyLog, log_routes},
    sandbox,
};

/// Runs a worker until it is told to stop.
///
/// To be called in `main`, while there is one thread: what confines the process is inherited by all others.
///
/// # Errors
///
/// When anything is not as it must be: then nothing is signed.
pub fn run(config: Config, config_file: &Path) -> anyhow::Result<()> {
    let parts = Parts::open(&config)?;
    confine(&config, config_file)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().on_thread_park(agentkeys_memory::clear_residue).build()?.block_on(serve(config, parts))
}

/// Before there are other threads, and before there is a secret.
fn confine(config: &Config, config_file: &Path) -> anyhow::Result<()> {
    agentkeys_crypto::private_file::create_folder(&config.state)
        .with_context(|| format!("the state folder {} cannot be made", config.state.display()))?;
    let broker: Url = config.broker_url.parse().context("broker_url")?;
    let confinement = sandbox::enter(&sandbox::Needs {
        state: &config.state,
        read: vec![config_file],
        write: Parts::folders(config),
        listen: config.listen.port(),
        broker: broker.port_or_known_default().unwrap_or(443),
    })?;
    if confinement.holds() {
        tracing::info!(%confinement, "confined");
    } else if config.require_sandbox {
        bail!(
            "{confinement}: a kernel from 5.13 on is needed, with Landlock and seccomp. `require_sandbox = false` in the \
             configuration has the worker start all the same: whoever breaks into it then reaches every file, program \
             and address that its user reaches"
        );
    } else {
        tracing::warn!(%confinement, "not confined, as `require_sandbox = false` allows");
    }
    Ok(())
}

async fn serve(config: Config, parts: Parts) -> anyhow::Result<()> {
    let mut stop = StopSignals::new().context("signals cannot be waited for")?;
    let mut server = listen(&config).await?;

    let (config, parts) = (Arc::new(config), Arc::new(parts));
    let restored = if restoring::is_needed(&config, &parts)? {
        let restored = tokio::select! {
            restored = restoring::wait(&config, &parts, server) => restored?,
            () = stop.come() => return Ok(()),
            lost = parts.lost() => return Err(lost),
        };
        server = listen(&config).await?;
        Some(restored)
    } else {
        None
    };
    let opening = {
        let (config, parts) = (Arc::clone(&config), Arc::clone(&parts));
        tokio::task::spawn_blocking(move || {
            let opened = Opened::new(&config, &parts, restored);
            agentkeys_memory::clear_residue();
            opened
        })
    };
    let opened = opening.await.context("opening did not end")??;
    let worker = Worker::start(&config, &parts, opened, server)?;
    // This thread sleeps from now on, and not as one of the runtime's own.
    agentkeys_memory::clear_residue();

    let ended = tokio::select! {
        () = stop.come() => Ok(()),
        lost = parts.lost() => Err(lost),
    };
    tracing::info!("stopping");
    worker.stop().await;
    if let Err(error) = &ended {
        tracing::error!(%error, "the worker ends");
    }
    ended
}

/// A listener that speaks TLS with a key of its own, which is gone with the process.
///
/// Who connects before it serves waits, and is not refused.
async fn listen(config: &Config) -> anyhow::Result<Server> {
    let mut server = Server::bind("tee-worker", config.listen).await?;
    let mut names = vec!["agentkeys-tee-worker".to_owned()];
    if let Some(url) = &config.public_url {
        server.allow_url(url.as_str().trim_end_matches('/'));
        names.extend(url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    }
    Ok(server.with_tls(TlsIdentity::generate(names)?))
}

/// What a worker needs that takes time.
struct Opened {
    master_secret: MasterSecret,
    log: TransparencyLog,
    boot_counter: u64,
}

impl Opened {
    fn new(config: &Config, parts: &Parts, restored: Option<Secret>) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (master_secret, begun) = unseal(config, parts, restored, &clock)?;
        let log = match begun {
            Some(log) => log,
            None => parts.open_log(config, &master_secret, &clock).map_err(with_next_step)?,
        };
        let boot_counter = parts.counter()?.unwrap_or(0);
        Ok(Self { master_secret, log, boot_counter })
    }
}

/// What went wrong with a log, and what to do where it is older than the machine, or gone.
fn with_next_step(error: MasterError) -> anyhow::Error {
    match error {
        MasterError::Log(LogError::CutOff { .. } | LogError::Audit(AuditError::Missing)) => anyhow!(
            "{error}. Only the log as the last worker here has left it goes on: start the machine with that state disk. \
             Where it is lost, restore from the shares of a backup, on a machine that has sealed nothing"
        ),
        other => other.into(),
    }
}

/// The master secret, unsealed or made or restored, and moved to where no other process reads it; and the log that has
/// begun with it on a first boot.
fn unseal(
    config: &Config,
    parts: &Parts,
    restored: Option<Secret>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(MasterSecret, Option<TransparencyLog>)> {
    let Some(sealer) = &parts.sealer else {
        let secret = restored.context("without a sealer, the secret must be restored")?;
        return Ok((MasterSecret::new(bytes_of(&secret)?), None));
    };
    let source = || {
        if let Some(secret) = restored {
            let bytes = bytes_of(&secret).map_err(|error| MasterError::Source(error.to_string()))?;
            return Ok(Zeroizing::new(*bytes));
        }
        let secret = first_boot::generate(sealer.as_ref())?;
        share(config, &secret)?;
        Ok(secret)
    };
    let begin = |master_secret: &MasterSecret| parts.begin_log(config, master_secret, clock);
    let opened = first_boot::open(sealer.as_ref(), &Blobs::new(&config.state), source, begin);
    let (master_secret, origin) = opened?;
    if let Some(identity) = config.restore_identity() {
        let own = hex::encode(master_secret.identity_public_key());
        ensure!(
            own.eq_ignore_ascii_case(identity),
            "this machine has the identity {own}, and `backup.restore_identity` is another: use an empty state folder on \
             a machine that has sealed nothing, or take the setting away"
        );
    }
    let said = match origin {
        Origin::FirstBoot(_) => "first boot: a master secret was sealed",
        Origin::Unsealed => "the master secret was unsealed",
        Origin::Raised => "the master secret was unsealed, and the minimum release raised",
    };
    tracing::info!("{said}");
    Ok((master_secret, if let Origin::FirstBoot(log) = origin { Some(log) } else { None }))
}

fn bytes_of(restored: &Secret) -> anyhow::Result<&[u8; 32]> {
    restored.expose().first_chunk().context("a master secret is 32 bytes")
}

/// Writes the shares that the configuration asks for: once, before the secret is sealed.
fn share(config: &Config, secret: &[u8; 32]) -> Result<(), MasterError> {
    let Some(backup) = config.backup.as_ref().filter(|backup| !backup.recipients.is_empty()) else { return Ok(()) };
    let failed = |error: ShareError| MasterError::Source(format!("the shares of the backup: {error}"));
    let identity = MasterSecret::new(secret).identity_public_key();
    // In a thread of its own, because the generator that the shares come from is the thread's, and is wiped as it ends.
    let split = || {
        let shares = agentkeys_backup::split(secret, &identity, backup.threshold, &backup.recipient_keys());
        agentkeys_memory::clear_residue();
        shares
    };
    let split = thread::scope(|scope| scope.spawn(split).join());
    let shares = split.map_err(|_| MasterError::Source("the shares of the backup".to_owned()))?.map_err(failed)?;
    agentkeys_backup::write_shares(&config.state.join("backup"), &shares).map_err(failed)
}

/// A worker that signs.
struct Worker {
    running: Running,
    log: Arc<TransparencyLog>,
}

impl Worker {
    fn start(config: &Config, parts: &Parts, opened: Opened, mut server: Server) -> anyhow::Result<Self> {
        let Opened { master_secret, log, boot_counter } = opened;
        let (identity_pub, log) = (master_secret.identity_public_key(), Arc::new(log));
        let statement = Statement {
            identity_pub,
            log_vkey: log.verifier_key().to_string(),
            boot_counter,
            signs_any_message: config.allow_any_message,
            log: log.clone(),
        };
        if config.allow_any_message {
            tracing::warn!("any message is signed: the evidence says so, and clients may refuse it");
        }
        let signer_parts = SignerParts {
            keys: Arc::new(master_secret),
            record: log.clone(),
            attester: Arc::new(PlatformAttester::new(statement, Arc::clone(&parts.platform))),
            standing: Arc::new(BrokerStanding::new(&config.broker_url.parse()?).context("broker_url")?),
            clock: Arc::new(SystemClock),
        };
        let signer = Signer::open(signer_config(config), signer_parts);
        let routes = agentkeys_signer::router(signer, &mut server).merge(log_routes(Arc::clone(&log)));
        let running = server.serve(routes);
        tracing::info!(address = %running.address(), identity = %hex::encode(identity_pub), "the worker signs");
        Ok(Self { running, log })
    }

    async fn stop(self) {
        self.running.stop().await;
        // Its last words are written when nobody holds it any more.
        let _ = tokio::task::spawn_blocking(move || drop(self.log)).await;
    }
}

fn signer_config(config: &Config) -> SignerConfig {
    SignerConfig {
        issuer: config.broker_url.clone(),
        purpose: config.purpose(),
        pins_devices: true,
        signings_per_minute: Some(config.signings_per_minute),
    }
}

/// What tells the worker to stop, from the moment on at which it is made: Ctrl-C and SIGTERM.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_older_than_the_machine_or_gone_comes_with_a_next_step() {
        for error in [LogError::CutOff { counter: 8, logged: 7 }, LogError::Audit(AuditError::Missing)] {
            let said = error.to_string();

            let shown = with_next_step(error.into()).to_string();

            assert!(shown.contains(&said) && shown.contains("restore from the shares"), "{shown}");
        }
        assert_eq!(
            with_next_step(LogError::InUse.into()).to_string(),
            "the signing log: another worker is using the log"
        );
    }
}
