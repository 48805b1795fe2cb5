use std::collections::BTreeSet;

use agentkeys_api::{DeviceView, Devices, PinnedBy};

use super::SignerClient;
use crate::{ClientError, KeptDevices, Session};

/// What has changed among the devices that may have something signed for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNews {
    /// Whether nothing was remembered yet: then all other devices are told, since nobody here knows of any.
    pub is_first_look: bool,
    /// Devices that were not known before, or wait to be let in.
    pub added: Vec<DeviceView>,
    /// The thumbprints of those that are gone.
    pub removed: Vec<String>,
    /// This device, where it is looked at for the first time and was not the account's first.
    pub own: Option<DeviceView>,
}

impl DeviceNews {
    /// Nothing, where nobody needs to know.
    fn between(known: Option<&KeptDevices>, now: Devices) -> Option<Self> {
        let is_known = |key: &str| known.is_some_and(|known| known.keys.contains(key));
        let keys = thumbprints(&now);
        let removed: Vec<String> =
            known.map(|known| known.keys.difference(&keys).cloned().collect()).unwrap_or_default();
        let (own, others): (Vec<_>, Vec<_>) = now.devices.into_iter().partition(|device| device.is_this);
        let is_first_look = known.is_none();
        let news = Self {
            is_first_look,
            added: others.into_iter().filter(|device| !is_known(&device.key.to_string())).collect(),
            removed,
            own: own.into_iter().find(|own| is_first_look && own.pinned_by != Some(PinnedBy::FirstUse)),
        };
        (!news.added.is_empty() || !news.removed.is_empty() || news.own.is_some()).then_some(news)
    }
}

impl SignerClient {
    /// What has changed among the account's devices since this was last asked on this machine.
    ///
    /// Asks the signer only when an answer of it has said that something did. Where no policy judges the signer, there
    /// is no news.
    pub async fn device_news(&self, session: &Session) -> Result<Option<DeviceNews>, ClientError> {
        let (Some(way), Some(revision)) = (self.0.way(), self.0.device_revision()) else { return Ok(None) };
        let account = session.omni_account;
        let known = way.kept()?.and_then(|kept| kept.devices).filter(|known| known.account == account);
        if known.as_ref().is_some_and(|known| known.revision == revision) {
            return Ok(None);
        }
        let devices = match self.devices(session).await {
            Err(ClientError::PinsNoDevices { .. }) => return Ok(None),
            answer => answer?,
        };
        let now = KeptDevices { account, revision: devices.revision, keys: thumbprints(&devices) };
        way.remember(move |kept| kept.devices = Some(now)).await?;
        Ok(DeviceNews::between(known.as_ref(), devices))
    }
}

fn thumbprints(devices: &Devices) -> BTreeSet<String> {
    devices.devices.iter().map(|device| device.key.to_string()).collect()
}
