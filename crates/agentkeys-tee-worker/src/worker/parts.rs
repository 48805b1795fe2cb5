//! The platform's parts, as the configuration names them.

use std::{
    fs, future,
    path::{Path, PathBuf},
    sync::Arc,
};

use agentkeys_api::BackupShares;
use agentkeys_backup::fingerprint;
use agentkeys_crypto::MasterSecret;
use agentkeys_tlog::{AuditError, CHECKPOINT_FILE};
use agentkeys_tpm::{Approval, ReleaseKey};
use agentkeys_types::Clock;
use anyhow::{Context, anyhow, bail, ensure};

use crate::{
    AttesterKind, Config, ConfigfsTsm, MasterError, Platform, REPORTS, SealError, Sealer, SealerKind,
    log::{Counter, CounterError, LogError, TransparencyLog},
    tpm2::{SharedTpm, Tpm2Attester, Tpm2Sealer},
};

/// The file in the state folder with Intel's collateral for the machine.
const TDX_COLLATERAL: &str = "tdx-collateral.json";

/// One of the ways in which there comes to be a log.
type Opening = fn(&Path, &str, &[u8; 32], Arc<dyn Counter>, Arc<dyn Clock>) -> Result<TransparencyLog, LogError>;

/// What keeps the master secret, and what vouches for the worker.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) sealer: Option<Arc<dyn Sealer>>,
    pub(super) platform: Arc<dyn Platform>,
    tpm: Option<SharedTpm>,
}

impl Parts {
    /// Opens the devices, which the confined process could not.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let needs_tpm = config.sealer == SealerKind::Tpm2 || config.attester == AttesterKind::Tpm2;
        let tpm = if needs_tpm { Some(open_tpm(config)?) } else { None };
        let sealer = match (config.sealer, &tpm) {
            (SealerKind::Tpm2, Some(tpm)) => Some(open_sealer(config, tpm)?),
            _ => None,
        };
        Ok(Self { sealer, platform: open_platform(config, tpm.as_ref())?, tpm })
    }

    /// Waits until one of the devices is lost: without it, nothing is signed or vouched for any more.
    pub(super) async fn lost(&self) -> anyhow::Error {
        match &self.tpm {
            Some(tpm) => tpm.broken().await,
            None => future::pending().await,
        }
        anyhow!(
            "the connection to the TPM is broken, and without it nothing is signed or vouched for: start the machine \
             again, as the secret is unsealed once for each start of it"
        )
    }

    /// The signing log of a first boot, on a machine that remembers it. After a restoration that is the one of the
    /// machine before.
    pub(super) fn begin_log(
        &self,
        config: &Config,
        master_secret: &MasterSecret,
        clock: &Arc<dyn Clock>,
    ) -> Result<TransparencyLog, MasterError> {
        if let Some(sealer) = &self.sealer
            && sealer.counter()?.is_none()
        {
            sealer.bump()?;
        }
        if config.restore_identity().is_some() {
            return self.adopt_log(config, master_secret, clock);
        }
        let log = self.log(TransparencyLog::create, config, master_secret, clock)?;
        if let Some(backup) = config.backup.as_ref().filter(|backup| !backup.recipients.is_empty()) {
            let recipients = backup.recipient_keys().iter().map(fingerprint).collect();
            log.append_backup(clock.now(), BackupShares { threshold: backup.threshold, recipients })
                .map_err(|error| MasterError::Source(format!("the signing log: {error}")))?;
        }
        Ok(log)
    }

    /// The signing log that must be there.
    pub(super) fn open_log(
        &self,
        config: &Config,
        master_secret: &MasterSecret,
        clock: &Arc<dyn Clock>,
    ) -> Result<TransparencyLog, MasterError> {
        if self.sealer.is_none() {
            // Nothing remembers how far it was.
            return self.adopt_log(config, master_secret, clock);
        }
        Ok(self.log(TransparencyLog::open, config, master_secret, clock)?)
    }

    /// The log where it belongs, under its key and with the platform's counter: created, opened or adopted.
    fn log(
        &self,
        opening: Opening,
        config: &Config,
        master_secret: &MasterSecret,
        clock: &Arc<dyn Clock>,
    ) -> Result<TransparencyLog, LogError> {
        let (folder, seed) = (log_folder(config), master_secret.log_key_seed());
        let counter = Arc::new(PlatformCounter(self.sealer.clone()));
        opening(&folder, &config.log_origin, &seed, counter, Arc::clone(clock))
    }

    /// The log of the machine before; a new one only where the configuration says that it is lost.
    fn adopt_log(
        &self,
        config: &Config,
        master_secret: &MasterSecret,
        clock: &Arc<dyn Clock>,
    ) -> Result<TransparencyLog, MasterError> {
        match self.log(TransparencyLog::adopt, config, master_secret, clock) {
            Err(LogError::Audit(AuditError::Missing)) if may_begin_a_log(config) => {
                tracing::warn!("there is no signing log to go on with: the devices of all accounts are forgotten");
                Ok(self.log(TransparencyLog::create, config, master_secret, clock)?)
            }
            Err(LogError::Audit(AuditError::Missing)) => Err(MasterError::Source(no_log(config).to_string())),
            adopted => Ok(adopted?),
        }
    }

    /// Refuses a restoration that would have no log, before anybody brings shares.
    pub(super) fn require_log(config: &Config) -> anyhow::Result<()> {
        if may_begin_a_log(config) || log_folder(config).join(CHECKPOINT_FILE).try_exists()? {
            return Ok(());
        }
        Err(no_log(config))
    }

    /// How far the platform's counter is.
    pub(super) fn counter(&self) -> anyhow::Result<Option<u64>> {
        Ok(self.sealer.as_ref().map(|sealer| sealer.counter()).transpose()?.flatten())
    }

    /// The folders beside the state that the platform's parts write to.
    pub(super) fn folders(config: &Config) -> Vec<&'static Path> {
        match config.attester {
            AttesterKind::Tpm2 => Vec::new(),
            AttesterKind::SevSnp | AttesterKind::Tdx => vec![Path::new(REPORTS)],
        }
    }
}

/// The counter of the sealer's platform, for the log.
#[derive(Debug)]
struct PlatformCounter(Option<Arc<dyn Sealer>>);

impl PlatformCounter {
    fn ask(
        &self,
        question: impl FnOnce(&dyn Sealer) -> Result<Option<u64>, SealError>,
    ) -> Result<Option<u64>, CounterError> {
        let Some(sealer) = &self.0 else { return Ok(None) };
        question(sealer.as_ref()).map_err(|error| CounterError(error.to_string()))
    }
}

impl Counter for PlatformCounter {
    fn read(&self) -> Result<Option<u64>, CounterError> {
        self.ask(|sealer| sealer.counter())
    }

    fn bump(&self) -> Result<Option<u64>, CounterError> {
        self.ask(|sealer| sealer.bump())
    }
}

fn log_folder(config: &Config) -> PathBuf {
    config.state.join("log")
}

fn may_begin_a_log(config: &Config) -> bool {
    config.backup.as_ref().is_some_and(|backup| backup.restore_without_log)
}

fn no_log(config: &Config) -> anyhow::Error {
    anyhow!(
        "there is no signing log in {}, and a restored worker goes on with that of the machine before, which has the \
         devices of all accounts: copy its folder `log` there, whole. Where it is lost, `restore_without_log = true` under \
         `[backup]` begins a new one: all devices are forgotten then, and clients that remember the old log refuse the \
         worker",
        log_folder(config).display()
    )
}

fn open_platform(config: &Config, tpm: Option<&SharedTpm>) -> anyhow::Result<Arc<dyn Platform>> {
    let endorsements = config.endorsements.read()?;
    Ok(match (config.attester, tpm) {
        (AttesterKind::Tpm2, Some(tpm)) => {
            Arc::new(Tpm2Attester::open(tpm.clone(), endorsements).context("the TPM cannot vouch")?)
        }
        (AttesterKind::SevSnp, _) => Arc::new(ConfigfsTsm::sev_snp(Path::new(REPORTS)).endorsed(endorsements)),
        (AttesterKind::Tdx, _) => {
            let collateral = config.state.join(TDX_COLLATERAL);
            Arc::new(ConfigfsTsm::tdx(Path::new(REPORTS), &collateral).endorsed(endorsements))
        }
        (AttesterKind::Tpm2, None) => bail!("there is no TPM"),
    })
}

fn open_tpm(config: &Config) -> anyhow::Result<SharedTpm> {
    SharedTpm::open(&config.tpm).with_context(|| {
        format!("the TPM at `{}` cannot be opened: is it there, and may this user read and write it?", config.tpm)
    })
}

fn open_sealer(config: &Config, tpm: &SharedTpm) -> anyhow::Result<Arc<dyn Sealer>> {
    let release_key = config.release_key.as_deref().and_then(|text| hex::decode(text).ok());
    let release_key = release_key.and_then(|sec1| ReleaseKey::from_sec1(&sec1).ok());
    let release_key = release_key.context("release_key: it is a P-256 point, uncompressed: 130 hex digits")?;
    let mut approvals = Vec::new();
    for file in &config.approvals {
        let text = fs::read(file).with_context(|| {
            format!(
                "approvals: {} cannot be read: the release key's approval of this image belongs there",
                file.display()
            )
        })?;
        let approval: Approval = serde_json::from_slice(&text)
            .with_context(|| format!("approvals: {} is not an approval", file.display()))?;
        approval.verify(&release_key).with_context(|| format!("approvals: {}", file.display()))?;
        ensure!(
            approval.epoch() == config.epoch,
            "approvals: {} is for epoch {}, and this image is of epoch {} (`epoch` in its settings): put the approval \
             there that came with the image",
            file.display(),
            approval.epoch(),
            config.epoch
        );
        approvals.push(approval);
    }
    Ok(Arc::new(Tpm2Sealer::new(tpm.clone(), release_key, approvals)))
}
