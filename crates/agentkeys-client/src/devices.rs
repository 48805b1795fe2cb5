use agentkeys_api::{Devices, ErrorCode, RecoveryWait, WaitSeconds, paths};
use agentkeys_types::KeyThumbprint;

use crate::{ClientError, Session, SignerClient};

/// Where a signer pins devices: which keys may have something signed for the account.
impl SignerClient {
    /// The account's device keys.
    ///
    /// # Errors
    ///
    /// [`ClientError::PinsNoDevices`] where the signer signs for any device, as the development signer does.
    pub async fn devices(&self, session: &Session) -> Result<Devices, ClientError> {
        self.0.show(paths::DEVICES, session.credential()).await.map_err(|error| self.without_devices(error))
    }

    /// Lets the device of `key` have messages signed, by the word of this one.
    pub async fn approve_device(&self, session: &Session, key: KeyThumbprint) -> Result<Devices, ClientError> {
        self.0.set(&path(key), session.credential()).await.map_err(|error| self.without_devices(error))
    }

    /// Takes the device of `key` away, or stops its waiting.
    pub async fn remove_device(&self, session: &Session, key: KeyThumbprint) -> Result<(), ClientError> {
        self.0.delete(&path(key), session.credential()).await.map_err(|error| self.without_devices(error))
    }

    /// Sets how long a device waits that nobody approves.
    ///
    /// A shorter wait counts when the one so far has passed.
    pub async fn set_recovery_wait(&self, session: &Session, seconds: u64) -> Result<Devices, ClientError> {
        let request = RecoveryWait { omni_account: session.omni_account, recovery_wait_seconds: WaitSeconds(seconds) };
        let set = self.0.put(paths::DEVICES_RECOVERY, session.credential(), &request).await;
        set.map_err(|error| self.without_devices(error))
    }

    /// How many changes the account's devices have seen, by the signer's last answer that said so.
    ///
    /// Another number than before is worth a look at [`SignerClient::devices`].
    pub fn device_revision(&self) -> Option<u64> {
        self.0.device_revision()
    }

    fn without_devices(&self, error: ClientError) -> ClientError {
        match error {
            ClientError::Problem { problem, .. } if problem.error == ErrorCode::NotFound => {
                ClientError::PinsNoDevices { url: self.url().to_string() }
            }
            error => error,
        }
    }
}

fn path(key: KeyThumbprint) -> String {
    paths::DEVICE_BY_KEY.replace("{key}", &key.to_string())
}
