use std::collections::BTreeSet;

use agentkeys_api::{DeviceView, Devices, ErrorCode, paths};

use super::SignerClient;
use crate::{ClientError, KeptDevices, Session};

/// What has changed among the devices that may have something signed for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNews {
    /// Devices that were not there before, or wait to be let in.
    pub added: Vec<DeviceView>,
    /// The thumbprints of those that are gone.
    pub removed: Vec<String>,
}

impl SignerClient {
    /// What has changed among the account's devices since this was last asked on this machine.
    ///
    /// Asks the signer only when an answer of it has said that something did. Where nothing is remembered yet, and
    /// where no policy judges the signer, there is no news.
    pub async fn device_news(&self, session: &Session) -> Result<Option<DeviceNews>, ClientError> {
        let (Some(way), Some(revision)) = (self.0.way(), self.0.device_revision()) else { return Ok(None) };
        let account = session.omni_account;
        let known = way.kept()?.and_then(|kept| kept.devices).filter(|known| known.account == account);
        if known.as_ref().is_some_and(|known| known.revision == revision) {
            return Ok(None);
        }
        let devices: Devices = match self.0.show(paths::DEVICES, session.credential()).await {
            Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::NotFound => return Ok(None),
            answer => answer?,
        };
        let keys: BTreeSet<String> = devices.devices.iter().map(|device| device.key.to_string()).collect();
        let now = KeptDevices { account, revision: devices.revision, keys: keys.clone() };
        way.remember(|kept| kept.devices = Some(now))?;
        let Some(known) = known else { return Ok(None) };
        let is_new = |device: &DeviceView| !device.is_this && !known.keys.contains(&device.key.to_string());
        let added: Vec<DeviceView> = devices.devices.into_iter().filter(is_new).collect();
        let removed: Vec<String> = known.keys.difference(&keys).cloned().collect();
        Ok((!added.is_empty() || !removed.is_empty()).then_some(DeviceNews { added, removed }))
    }
}
