use std::{path::PathBuf, sync::Arc, time::Duration};

use agentkeys_client::{
    AgentBook, AskedStorage, BrokerClient, ClientError, Config, DaemonClient, Dispenser, Flow, Http, Places,
    ProfileName, Renewal, ServerUrl, Session, SessionStorage, SessionTokenKeyStore, Settings, SignerClient,
    SignerTrust, StorageError, StoreChoice, TerminalPrompt,
};
use agentkeys_types::{Clock, SystemClock};

use crate::{cli::GlobalArgs, dispensary::Dispensary, error::CliError};

/// For how long a daemon may take to hear of something that it would find by itself.
const TELL: Duration = Duration::from_secs(5);

/// What a command works with: settings, in the order flag, environment, file; and the session store.
pub(crate) struct Context {
    pub(crate) places: Places,
    pub(crate) profile: ProfileName,
    pub(crate) settings: Settings,
    pub(crate) http: Http,
    pub(crate) storage: SessionStorage,
    pub(crate) store: Arc<dyn SessionTokenKeyStore>,
    pub(crate) renewal: Arc<Renewal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) no_input: bool,
}

impl Context {
    pub(crate) fn load(global: &GlobalArgs) -> Result<Self, CliError> {
        let places = Places::from_environment();
        let mut settings = Config::load(&places.config_file())?.profile(&global.profile);
        if let Some(url) = &global.broker_url {
            settings.broker_url = url.clone();
        }
        if let Some(url) = &global.signer_url {
            settings.signer_url = url.clone();
        }
        settings.allow_unattested_signer |= global.allow_unattested_signer;
        settings.attestation_policy = global.attestation_policy.clone().or(settings.attestation_policy);
        settings.release_key = global.release_key.clone().or(settings.release_key);
        let asked = AskedStorage { choice: global.store.or(settings.store), key: global.store_key };
        let storage = SessionStorage::decide(asked, &places, &global.profile)?;
        let store = storage.open(Arc::new(TerminalPrompt { may_ask: !global.no_input }));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let renewal = Renewal::new(Arc::clone(&store), &places, &global.profile, Arc::clone(&clock));
        Ok(Self {
            renewal: Arc::new(renewal),
            places,
            profile: global.profile.clone(),
            settings,
            http: global.timeout.map_or_else(Http::default, Http::with_timeout),
            storage,
            store,
            clock,
            no_input: global.no_input,
        })
    }

    pub(crate) fn broker(&self) -> BrokerClient {
        BrokerClient::new(&self.http, self.settings.broker_url.clone())
    }

    pub(crate) fn signer(&self) -> Result<SignerClient, ClientError> {
        self.signer_at(self.settings.signer_url.clone())
    }

    /// A signer at another place than that of the settings, trusted as one there would be.
    pub(crate) fn signer_at(&self, url: ServerUrl) -> Result<SignerClient, ClientError> {
        let settings = Settings { signer_url: url, ..self.settings.clone() };
        let trust = SignerTrust::of(&settings, &self.places, &self.profile)?;
        SignerClient::new(&self.http, settings.signer_url, trust)
    }

    /// No policy judges the signer at `url`, which the command cannot do without.
    pub(crate) fn unjudged(&self, url: &ServerUrl) -> CliError {
        let place = self.places.attestation_policy();
        CliError::Usage(format!(
            "no attestation policy judges the signer `{url}`: `--attestation-policy FILE` names one, or put it at `{}`; only a \
             signer with https can be judged",
            place.display()
        ))
    }

    /// What must be known of the signer.
    pub(crate) fn signer_trust(&self) -> Result<SignerTrust, ClientError> {
        SignerTrust::of(&self.settings, &self.places, &self.profile)
    }

    pub(crate) fn flow(&self) -> Result<Flow, ClientError> {
        Ok(Flow::new(&self.http, self.settings.broker_url.clone(), self.signer()?))
    }

    /// The profile's daemon.
    pub(crate) fn daemon(&self) -> DaemonClient {
        DaemonClient::new(self.socket(), self.profile.clone())
    }

    /// Has the profile's daemon look for the session that is kept now, if one runs; it would find it later in any case.
    pub(crate) async fn tell_daemon(&self) {
        let _ = tokio::time::timeout(TELL, self.daemon().reload()).await;
    }

    /// What hands out credentials and JWTs of the profile.
    pub(crate) fn dispenser(&self) -> Arc<dyn Dispenser> {
        Arc::new(Dispensary::of(self))
    }

    /// What the profile's agents may have.
    pub(crate) fn agents(&self) -> AgentBook {
        AgentBook::of(&self.places, &self.profile)
    }

    /// Where the profile's daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.places.socket(&self.profile)
    }

    /// The session of the profile, for the broker of the settings; with a fresh token where it was time for one.
    pub(crate) async fn session(&self) -> Result<Session, ClientError> {
        let session = self.renewal.load().await?.ok_or(ClientError::NotSignedIn)?;
        session.at(&self.settings.broker_url)?;
        if session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        self.renewal.renew_if_due(&self.broker(), session).await
    }

    /// Whether the session is gone when the process ends that has it.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.storage.choice() == StoreChoice::Memory
    }

    /// Where the last sign-in has kept its session, if that is remembered.
    pub(crate) fn storage_before(&self) -> Result<Option<SessionStorage>, StorageError> {
        SessionStorage::remembered(&self.places, &self.profile)
    }

    /// Whether `other` keeps the session as this call does.
    pub(crate) fn is_kept_by(&self, other: &SessionStorage) -> bool {
        (other.choice(), other.key()) == (self.storage.choice(), self.storage.key())
    }

    /// Remembers no longer where the session is kept, unless that is in another store than this call's.
    pub(crate) fn forget_storage(&self) -> Result<(), StorageError> {
        match self.storage_before() {
            Ok(Some(before)) if before.choice() != self.storage.choice() => Ok(()),
            _ => self.storage.forget(),
        }
    }

    /// The flags by which another call keeps the session as this one does: none, where it does so without a word.
    pub(crate) fn store_flags(&self) -> String {
        let is_same = |choice, key| {
            let asked = AskedStorage { choice, key };
            SessionStorage::decide(asked, &self.places, &self.profile).is_ok_and(|other| self.is_kept_by(&other))
        };
        let choice = self.storage.choice();
        match self.storage.key() {
            _ if is_same(self.settings.store, None) => String::new(),
            Some(key) if !is_same(Some(choice), None) => format!(" --store {choice} --store-key {key}"),
            _ => format!(" --store {choice}"),
        }
    }

    /// Whether this is the profile that `agentkeys dev` serves.
    pub(crate) fn is_dev(&self) -> bool {
        self.profile.as_str() == "dev"
    }

    /// How a person would call this program for the same profile.
    pub(crate) fn command(&self) -> String {
        if self.profile.is_default() { "agentkeys".to_owned() } else { format!("agentkeys --profile {}", self.profile) }
    }
}
