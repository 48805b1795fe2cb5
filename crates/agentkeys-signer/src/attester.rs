mod turns;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use agentkeys_api::attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence};
use agentkeys_http::TlsChannel;
use tokio::{sync::Semaphore, time::timeout};

use self::turns::Turns;

/// How many questions may be under way at once: a TPM answers one at a time, and takes its time.
const MOST_QUESTIONS: usize = 8;
/// How long a question waits for its place.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why there is no evidence, or no answer to a challenge of the attestation key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Others have asked already, and none of them was done in time.
    #[error("too many ask at once where this signer runs")]
    Busy,
    /// The challenge is for another TPM, or for another attestation key.
    #[error("the credential was made for another TPM or attestation key")]
    CredentialInvalid,
    /// This signer has no evidence of where it runs.
    #[error("this signer has no evidence of where it runs")]
    NotAttested,
    /// The device that vouches did not answer.
    #[error("what vouches for this signer does not answer")]
    Unavailable,
}

/// Shows where a signer runs. Its methods may block.
pub trait Attester: Send + Sync + fmt::Debug {
    /// Fresh evidence for `nonce`, worth something on `channel` only.
    fn evidence(&self, nonce: &[u8; 32], channel: &TlsChannel) -> Result<AttestationEvidence, AttestError>;

    /// Proves that the attestation key is in the certified TPM.
    fn activate(&self, _: &ActivateCredential) -> Result<ActivatedCredential, AttestError> {
        Err(AttestError::NotAttested)
    }
}

/// Has nothing to show: the development signer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotAttested;

impl Attester for NotAttested {
    fn evidence(&self, _: &[u8; 32], _: &TlsChannel) -> Result<AttestationEvidence, AttestError> {
        Err(AttestError::NotAttested)
    }
}

/// Asks an attester, off the threads that answer, for a few callers at a time and one from each address.
#[derive(Debug)]
pub(crate) struct Attestation {
    attester: Arc<dyn Attester>,
    places: Arc<Semaphore>,
    turns: Arc<Turns>,
}

impl Attestation {
    pub(crate) fn new(attester: Arc<dyn Attester>) -> Self {
        Self { attester, places: Arc::new(Semaphore::new(MOST_QUESTIONS)), turns: Arc::default() }
    }

    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        source: IpAddr,
        question: impl FnOnce(&dyn Attester) -> Result<T, AttestError> + Send + 'static,
    ) -> Result<T, AttestError> {
        let waiting = async {
            let turn = self.turns.take(source).await?;
            Some((turn, Arc::clone(&self.places).acquire_owned().await.ok()?))
        };
        let place = timeout(LONGEST_WAIT, waiting).await.ok().flatten().ok_or(AttestError::Busy)?;
        let attester = Arc::clone(&self.attester);
        let answer = tokio::task::spawn_blocking(move || {
            // Held until the answer is there, whether or not anybody still waits for it.
            let _place = place;
            question(attester.as_ref())
        });
        answer.await.map_err(|_| AttestError::Unavailable)?
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::mpsc, time::Duration};

    use super::*;

    fn attestation() -> Arc<Attestation> {
        Arc::new(Attestation::new(Arc::new(NotAttested)))
    }

    /// Asks what is answered when the sender is gone, and returns when the question is under way.
    async fn ask_for_long(attestation: &Arc<Attestation>, source: IpAddr) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel();
        let (go, begun) = tokio::sync::oneshot::channel();
        let attestation = Arc::clone(attestation);
        tokio::spawn(async move {
            let question = move |_: &dyn Attester| {
                let _ = go.send(());
                Ok(ended.recv().is_ok())
            };
            attestation.ask(source, question).await
        });
        begun.await.unwrap();
        end
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_asks_all_the_time_keeps_nobody_else_from_asking() {
        let attestation = attestation();
        let _under_way = ask_for_long(&attestation, address(1)).await;
        let mut more = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let attestation = Arc::clone(&attestation);
            more.spawn(async move { attestation.ask(address(1), |_| Ok(())).await });
        }

        let other = attestation.ask(address(2), |_| Ok(())).await;

        assert_eq!(other, Ok(()));
        while !more.is_empty() {
            // Some may have begun to wait only now.
            tokio::time::advance(LONGEST_WAIT).await;
            while let Some(answer) = more.try_join_next() {
                assert_eq!(answer.unwrap(), Err(AttestError::Busy));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_for_two_seconds() {
        let attestation = attestation();
        let mut under_way = Vec::new();
        for last in 1..=8 {
            under_way.push(ask_for_long(&attestation, address(last)).await);
        }

        let in_vain = tokio::spawn({
            let attestation = Arc::clone(&attestation);
            async move { attestation.ask(address(9), |_| Ok(())).await }
        });
        tokio::task::yield_now().await;
        let was_waiting = !in_vain.is_finished();
        tokio::time::advance(LONGEST_WAIT + Duration::from_millis(1)).await;
        let in_vain = in_vain.await.unwrap();
        let in_time = tokio::spawn({
            let attestation = Arc::clone(&attestation);
            async move { attestation.ask(address(9), |_| Ok(())).await }
        });
        tokio::task::yield_now().await;
        drop(under_way.pop());

        assert_eq!((was_waiting, in_vain), (true, Err(AttestError::Busy)));
        assert_eq!(in_time.await.unwrap(), Ok(()));
    }
}
