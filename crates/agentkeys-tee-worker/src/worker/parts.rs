//! The platform's parts, as the configuration names them.

use std::{fs, path::Path, sync::Arc};

use agentkeys_tpm::{Approval, ReleaseKey};
use anyhow::{Context, bail};

use crate::{
    AttesterKind, Config, ConfigfsTsm, Platform, REPORTS, Sealer, SealerKind,
    tpm2::{SharedTpm, Tpm2Attester, Tpm2Sealer},
};

/// What keeps the master secret, and what vouches for the worker.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) sealer: Option<Arc<dyn Sealer>>,
    pub(super) platform: Arc<dyn Platform>,
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
        let platform: Arc<dyn Platform> = match (config.attester, tpm) {
            (AttesterKind::Tpm2, Some(tpm)) => Arc::new(Tpm2Attester::open(tpm).context("the TPM cannot vouch")?),
            (AttesterKind::SevSnp, _) => Arc::new(ConfigfsTsm::sev_snp(Path::new(REPORTS))),
            (AttesterKind::Tdx, _) => Arc::new(ConfigfsTsm::tdx(Path::new(REPORTS))),
            (AttesterKind::Tpm2, None) => bail!("there is no TPM"),
        };
        Ok(Self { sealer, platform })
    }

    /// The folders beside the state that the platform's parts write to.
    pub(super) fn folders(config: &Config) -> Vec<&'static Path> {
        match config.attester {
            AttesterKind::Tpm2 => Vec::new(),
            AttesterKind::SevSnp | AttesterKind::Tdx => vec![Path::new(REPORTS)],
        }
    }
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
        let text = fs::read(file).with_context(|| format!("approvals: {} cannot be read", file.display()))?;
        let approval: Approval = serde_json::from_slice(&text)
            .with_context(|| format!("approvals: {} is not an approval", file.display()))?;
        approval.verify(&release_key).with_context(|| format!("approvals: {}", file.display()))?;
        approvals.push(approval);
    }
    Ok(Arc::new(Tpm2Sealer::new(tpm.clone(), release_key, approvals)))
}
