use std::sync::{Arc, Mutex, PoisonError};

use agentkeys_client::{ClientError, Flow, Renewal, Role, Session};
use agentkeys_types::{AwsCredentials, Clock, EvmAddress, OmniAccount};
use async_trait::async_trait;

/// Credentials, and whose they are.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The credentials.
    pub credentials: AwsCredentials,
    /// The wallet that assumed the role.
    pub wallet: EvmAddress,
    /// The account that the wallet is proved for.
    pub account: OmniAccount,
}

/// Gives credentials, fresh ones each time it is asked.
#[async_trait]
pub trait CredentialSource: Send + Sync + 'static {
    /// Fresh credentials.
    async fn fetch(&self) -> Result<Issued, ClientError>;
}

#[async_trait]
impl<S: CredentialSource + ?Sized> CredentialSource for Arc<S> {
    async fn fetch(&self) -> Result<Issued, ClientError> {
        (**self).fetch().await
    }
}

/// Gives credentials by the wallet of a person who has signed in.
#[derive(Debug)]
pub struct WalletSource {
    flow: Flow,
    role: Role,
    clock: Arc<dyn Clock>,
    renewal: Option<Arc<Renewal>>,
    holder: Mutex<Holder>,
}

/// Who is signed in, and their wallet as soon as it is derived and linked.
#[derive(Clone, Debug)]
struct Holder {
    session: Arc<Session>,
    wallet: Option<EvmAddress>,
}

impl WalletSource {
    /// A source for the person behind `session`, which `renewal` gives a fresh token in time.
    pub fn new(flow: Flow, role: Role, session: Session, renewal: Option<Arc<Renewal>>, clock: Arc<dyn Clock>) -> Self {
        let holder = Mutex::new(Holder { session: Arc::new(session), wallet: None });
        Self { flow, role, clock, renewal, holder }
    }

    /// Goes on with another session, after the one before has ended.
    pub fn replace_session(&self, session: Session) {
        *self.lock() = Holder { session: Arc::new(session), wallet: None };
    }

    /// The session in use.
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(&self.lock().session)
    }

    /// Who is signed in, with a fresh token where it was time for one.
    async fn renewed_holder(&self) -> Result<Holder, ClientError> {
        let holder = self.lock().clone();
        let Some(renewal) = &self.renewal else { return Ok(holder) };
        let session = renewal.renew_if_due(&self.flow.broker, (*holder.session).clone()).await?;
        if session.expires_at == holder.session.expires_at {
            return Ok(holder);
        }
        tracing::info!(session = %session.session_id, until = %session.expires_at, "the session was renewed");
        let renewed = Holder { session: Arc::new(session), wallet: holder.wallet };
        let mut current = self.lock();
        if Arc::ptr_eq(&current.session, &holder.session) {
            *current = renewed.clone();
        }
        Ok(renewed)
    }

    async fn connected_wallet(&self, holder: &Holder) -> Result<EvmAddress, ClientError> {
        if let Some(wallet) = holder.wallet {
            return Ok(wallet);
        }
        let wallet = self.flow.connect_wallet(&holder.session, &mut ()).await?;
        let mut current = self.lock();
        if Arc::ptr_eq(&current.session, &holder.session) {
            current.wallet = Some(wallet);
        }
        Ok(wallet)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CredentialSource for WalletSource {
    async fn fetch(&self) -> Result<Issued, ClientError> {
        let holder = self.lock().clone();
        if holder.session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        let holder = self.renewed_holder().await?;
        let wallet = self.connected_wallet(&holder).await?;
        let credentials = self.flow.fetch_credentials(&holder.session, wallet, &self.role, &mut ()).await?;
        Ok(Issued { credentials, wallet, account: holder.session.omni_account })
    }
}
