use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_api::{
    Audience, DaemonCredentials, DaemonToken, DeviceState, ErrorCode, MintOidcJwt, MintedOidcJwt, PinnedBy, Problem,
};
use agentkeys_client::{ClientError, DeviceNews, Flow, Renewal, Role, Session, WalletProof};
use agentkeys_types::{AgentName, AwsCredentials, Clock, EvmAddress, OmniAccount, Timestamp};
use async_trait::async_trait;

use crate::CredentialSource;

/// For how long the broker lets a JWT live: no more is believed where this machine's clock is behind.
const JWT_LIFE: Duration = Duration::from_mins(5);
/// A proof that would end on the way to its use is made anew.
const PROOF_MARGIN: Duration = Duration::from_mins(1);
/// An STS whose clock is ahead is believed so much; what else it says beyond what was asked for, it is not.
const DRIFT: Duration = Duration::from_mins(1);
/// When a renewal of the session that did not succeed is tried again, where nobody asks for anything.
const NEXT_RENEWAL: Duration = Duration::from_hours(1);

/// Gives credentials by the wallet of a person who has signed in.
///
/// One proof of the wallet serves for as long as it counts, whatever is fetched with it.
#[derive(Debug)]
pub struct WalletSource {
    flow: Flow,
    clock: Arc<dyn Clock>,
    renewal: Option<Arc<Renewal>>,
    holder: Mutex<Holder>,
    /// Held by whoever proves the wallet.
    proving: tokio::sync::Mutex<()>,
}

/// Who is signed in; their wallet as soon as it is derived and linked, and its last proof.
#[derive(Clone, Debug)]
struct Holder {
    session: Option<Arc<Session>>,
    wallet: Option<EvmAddress>,
    proof: Option<Arc<WalletProof>>,
    /// What the person should know of.
    notice: Option<String>,
}

impl Holder {
    fn of(session: Option<Session>) -> Self {
        Self { session: session.map(Arc::new), wallet: None, proof: None, notice: None }
    }

    fn has(&self, session: &Arc<Session>) -> bool {
        self.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session))
    }
}

impl WalletSource {
    /// A source for the person behind `session`, which `renewal` gives a fresh token in time; without a session,
    /// a source that waits for one.
    pub fn new(flow: Flow, session: Option<Session>, renewal: Option<Arc<Renewal>>, clock: Arc<dyn Clock>) -> Self {
        let (holder, proving) = (Mutex::new(Holder::of(session)), tokio::sync::Mutex::default());
        Self { flow, clock, renewal, holder, proving }
    }

    /// Goes on with another session, after the one before has ended.
    pub fn replace_session(&self, session: Session) {
        *self.lock() = Holder::of(Some(session));
    }

    /// The session in use.
    pub fn session(&self) -> Option<Arc<Session>> {
        self.lock().session.clone()
    }

    /// A proof of the wallet that counts for some time yet.
    async fn proof(&self) -> Result<Arc<WalletProof>, ClientError> {
        if let Some(proof) = self.proof_at_hand() {
            return Ok(proof);
        }
        let _proving = self.proving.lock().await;
        if let Some(proof) = self.proof_at_hand() {
            return Ok(proof);
        }
        let session = self.renewed_session().await?;
        let wallet = self.connected_wallet(&session).await?;
        let proof = Arc::new(self.flow.prove_wallet(&session, wallet, &mut ()).await?);
        self.look_at_devices(&session).await;
        let mut current = self.lock();
        if current.has(&session) {
            current.proof = Some(Arc::clone(&proof));
        }
        Ok(proof)
    }

    /// Says so when the devices have changed that may have something signed for the account.
    async fn look_at_devices(&self, session: &Session) {
        match self.flow.signer.device_news(session).await {
            Ok(Some(news)) => {
                let notice = in_words(&news);
                tracing::warn!(account = %session.omni_account, "{notice}");
                self.lock().notice = Some(notice);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, code = error.code(), "the account's devices could not be looked at"),
        }
    }

    fn proof_at_hand(&self) -> Option<Arc<WalletProof>> {
        let now = self.clock.now();
        self.lock().proof.clone().filter(|proof| now.after(PROOF_MARGIN) < proof.expires_at)
    }

    /// The session in use, with a fresh token where it was time for one.
    async fn renewed_session(&self) -> Result<Arc<Session>, ClientError> {
        let session = self.session().ok_or(ClientError::NotSignedIn)?;
        if session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        let Some(renewal) = &self.renewal else { return Ok(session) };
        let renewed = renewal.renew_if_due(&self.flow.broker, (*session).clone()).await?;
        if renewed.expires_at == session.expires_at {
            return Ok(session);
        }
        tracing::info!(session = %renewed.session_id, until = %renewed.expires_at, "the session was renewed");
        let renewed = Arc::new(renewed);
        let mut current = self.lock();
        if current.has(&session) {
            current.session = Some(Arc::clone(&renewed));
        }
        Ok(renewed)
    }

    async fn connected_wallet(&self, session: &Arc<Session>) -> Result<EvmAddress, ClientError> {
        if let Some(wallet) = self.lock().wallet {
            return Ok(wallet);
        }
        let wallet = self.flow.connect_wallet(session, &mut ()).await?;
        let mut current = self.lock();
        if current.has(session) {
            current.wallet = Some(wallet);
        }
        Ok(wallet)
    }

    /// Mints a JWT. A proof that counts no longer, though it should, is made anew once.
    async fn mint(
        &self,
        audience: &Audience,
        agent: Option<&AgentName>,
    ) -> Result<(Arc<WalletProof>, MintedOidcJwt), ClientError> {
        let request = MintOidcJwt { audience: Some(audience.clone()), agent: agent.cloned() };
        let proof = self.proof().await?;
        match self.flow.broker.mint_oidc_jwt(&proof, &request).await {
            Err(error) if error.needs_sign_in() => {
                self.lock().proof = None;
                let proof = self.proof().await?;
                let minted = self.flow.broker.mint_oidc_jwt(&proof, &request).await?;
                Ok((proof, minted))
            }
            minted => Ok((proof, minted?)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CredentialSource for WalletSource {
    async fn credentials(&self, role: &Role, agent: Option<&AgentName>) -> Result<DaemonCredentials, ClientError> {
        let (proof, minted) = self.mint(&Audience::aws_sts(), agent).await?;
        let credentials = self.flow.assume_role(&proof, &minted.jwt, role, agent, &mut ()).await.map_err(of_sts)?;
        let longest = Duration::from_secs(role.duration.as_secs().into()) + DRIFT;
        let expires_at = credentials.expires_at.min(self.clock.now().after(longest));
        let credentials = AwsCredentials { expires_at, ..credentials };
        Ok(role.hand_out(credentials, proof.address, proof.account, agent.cloned()))
    }

    async fn token(&self, audience: &Audience, agent: Option<&AgentName>) -> Result<DaemonToken, ClientError> {
        let (_, MintedOidcJwt { jwt, expires_at, address }) = self.mint(audience, agent).await?;
        let expires_at = expires_at.min(self.clock.now().after(JWT_LIFE + DRIFT));
        Ok(DaemonToken { jwt, audience: audience.clone(), expires_at, agent: agent.cloned(), wallet: address })
    }

    async fn keep(&self) -> Option<Timestamp> {
        let due = self.session()?.renew_at?;
        let now = self.clock.now();
        if now < due {
            return Some(due);
        }
        match self.renewed_session().await {
            Ok(session) => session.renew_at.map(|next| next.max(now.after(NEXT_RENEWAL))),
            Err(error) if error.needs_sign_in() => None,
            Err(error) => {
                tracing::warn!(%error, code = error.code(), "the session could not be renewed");
                Some(now.after(NEXT_RENEWAL))
            }
        }
    }

    fn account(&self) -> Option<OmniAccount> {
        self.session().map(|session| session.omni_account)
    }

    fn wallet(&self) -> Option<EvmAddress> {
        self.lock().wallet
    }

    fn notice(&self) -> Option<String> {
        self.lock().notice.clone()
    }
}

fn in_words(news: &DeviceNews) -> String {
    let own = news.own.iter().map(|device| {
        let how = match (device.state, device.pinned_by) {
            (DeviceState::Waiting, _) => "waits to be added",
            (DeviceState::Pinned, Some(PinnedBy::Approval)) => "was approved by another one",
            (DeviceState::Pinned, _) => "was added by a sign-in, after another one",
        };
        format!("this device is not the account's first: it {how} ({}, {})", device.key, device.since)
    });
    let added = news.added.iter().map(|device| {
        let state = match device.state {
            DeviceState::Pinned if news.is_first_look => "has the account already",
            DeviceState::Pinned => "was added",
            DeviceState::Waiting => "waits to be added",
        };
        format!("another device {state} ({}, {})", device.key, device.since)
    });
    let removed = news.removed.iter().map(|key| format!("a device was removed ({key})"));
    let changes: Vec<String> = own.chain(added).chain(removed).collect();
    format!("{}: if that was not you, `agentkeys devices list` shows them", changes.join("; "))
}

/// Says that it was the STS that did not answer, or not as one does.
fn of_sts(error: ClientError) -> ClientError {
    const NEXT: &str =
        "check the network, and `endpoint_url` in the section [aws] of the settings where it stands there";
    let detail = match &error {
        ClientError::Unreachable { url, .. } => format!("no STS answered at `{url}`: {NEXT}"),
        ClientError::UnexpectedAnswer { url, reason } => {
            format!("`{url}` does not answer as an STS ({reason}): {NEXT}")
        }
        _ => return error,
    };
    ClientError::Problem { problem: Problem::new(ErrorCode::StsUnavailable, detail), retry_after: None }
}

#[cfg(test)]
mod tests {
    use agentkeys_api::DeviceView;

    use super::*;

    #[test]
    fn what_was_there_at_the_first_look_is_told_as_such() {
        let device = |key: char, pinned_by| DeviceView {
            key: key.to_string().repeat(43).parse().unwrap(),
            state: DeviceState::Pinned,
            since: "2026-12-22T10:00:00Z".parse().unwrap(),
            pinned_by: Some(pinned_by),
            pinned_at: None,
            is_this: pinned_by == PinnedBy::Recovery,
        };
        let news = DeviceNews {
            is_first_look: true,
            added: vec![device('E', PinnedBy::FirstUse)],
            removed: Vec::new(),
            own: Some(device('A', PinnedBy::Recovery)),
        };

        let (first, later) = (in_words(&news), in_words(&DeviceNews { is_first_look: false, own: None, ..news }));

        let (own, other) = ("A".repeat(43), "E".repeat(43));
        assert_eq!(
            first,
            format!(
                "this device is not the account's first: it was added by a sign-in, after another one \
                 ({own}, 2026-12-22T10:00:00Z); another device has the account already ({other}, 2026-12-22T10:00:00Z): \
                 if that was not you, `agentkeys devices list` shows them"
            )
        );
        assert!(later.starts_with("another device was added ("), "{later}");
    }
}
