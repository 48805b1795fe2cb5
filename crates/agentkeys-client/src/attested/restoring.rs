use std::sync::Arc;

use agentkeys_api::{RestoreProgress, SealedShare, paths};
use agentkeys_attestation::Stage;

use super::{AttestedWay, Connection, KeptSigner, invalid};
use crate::ClientError;

/// A worker that waits for the shares of a backup, which the policy has accepted on the connection that this holds.
#[derive(Debug)]
pub struct RestoringWorker {
    way: Arc<AttestedWay>,
    connection: Connection,
    key: [u8; 32],
    release: Option<String>,
}

impl RestoringWorker {
    /// The key that shares are to be sealed to: its evidence binds it.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The release that its measurements are of.
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// Gives it a share that is sealed to its key, on the connection on which it was accepted, and no other.
    pub async fn give(mut self, share: &SealedShare) -> Result<RestoreProgress, ClientError> {
        let way = Arc::clone(&self.way);
        Box::pin(way.limited(self.give_now(share))).await
    }

    async fn give_now(&mut self, share: &SealedShare) -> Result<RestoreProgress, ClientError> {
        let request = self.connection.post(paths::RESTORE, share)?;
        let answer = self.connection.exchange(&request).await.map_err(|missed| self.way.missed(missed))?;
        let progress = serde_json::from_slice(&answer.into_success(&self.way.url)?.body);
        progress.map_err(|_| ClientError::UnexpectedAnswer {
            url: self.way.url.to_string(),
            reason: "it does not say how far the restoration is",
        })
    }
}

impl AttestedWay {
    /// The worker, once it is accepted as one that waits for the shares of `identity_pub`. It hears nothing but the nonce,
    /// and the challenge to its attestation key.
    ///
    /// Of what is remembered, the highest version of a policy alone counts, whichever signer it has accepted: this one may
    /// well be another machine, at another place. Nothing of it is remembered.
    pub(crate) async fn find_restoring(
        self: &Arc<Self>,
        identity_pub: [u8; 33],
    ) -> Result<RestoringWorker, ClientError> {
        let highest = self.policy.kept().highest_policy_version();
        let policy_version = highest.map_err(|error| self.forgotten(&error))?;
        let known = KeptSigner { policy_version, ..KeptSigner::default() };
        let examining = async {
            let mut connection = Connection::open(&self.url, &self.http).await?;
            let examined = self.question(&mut connection, &known, Stage::Restoring { identity_pub }).await?;
            let Some(key) = examined.bound.restoring_key() else {
                return Err(ClientError::NotRestoring { url: self.url.to_string() });
            };
            if let Some((check, detail)) = examined.refusal() {
                return Err(invalid(&self.url, check, detail.to_owned()));
            }
            Ok(RestoringWorker { way: Arc::clone(self), connection, key, release: examined.release })
        };
        self.limited(examining).await
    }
}
