use std::sync::Arc;

use agentkeys_api::{Problem, RestoreProgress, SealedShare, paths};
use agentkeys_attestation::{Stage, restoring_key};
use reqwest::{
    Method, Request,
    header::{CONTENT_TYPE, HeaderValue},
};

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
        let unexpected = |reason| ClientError::UnexpectedAnswer { url: self.way.url.to_string(), reason };
        let mut request = Request::new(Method::POST, self.way.url.join(paths::RESTORE));
        let body = serde_json::to_vec(share).map_err(|_| unexpected("it cannot be asked that"))?;
        *request.body_mut() = Some(body.into());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.connection.exchange(&request).await.map_err(|missed| self.way.missed(missed))?;
        if answer.status.is_success() {
            let progress = serde_json::from_slice(&answer.body);
            return progress.map_err(|_| unexpected("it does not say how far the restoration is"));
        }
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) if problem.status == answer.status.as_u16() => {
                Err(ClientError::Problem { problem, retry_after: answer.retry_after() })
            }
            _ => Err(unexpected("it is an error without our error shape")),
        }
    }
}

impl AttestedWay {
    /// The worker, once it is accepted as one that waits for the shares of `identity_pub`. It hears nothing but the nonce,
    /// and the challenge to its attestation key.
    ///
    /// Of what is remembered, the policy's version alone counts: it may well be another machine. Nothing of it is
    /// remembered.
    pub(crate) async fn restoring(self: &Arc<Self>, identity_pub: [u8; 33]) -> Result<RestoringWorker, ClientError> {
        let policy_version = self.kept()?.unwrap_or_default().policy_version;
        let known = KeptSigner { policy_version, ..KeptSigner::default() };
        let examining = async {
            let mut connection = Connection::open(&self.url, &self.http).await?;
            let examined = self.question(&mut connection, &known, Stage::Restoring { identity_pub }).await?;
            let shown = hex::decode(&examined.bound.identity_pub).ok().and_then(|shown| shown.try_into().ok());
            let Some(key) = shown.as_ref().and_then(restoring_key) else {
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
