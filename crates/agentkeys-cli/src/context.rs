use std::{path::PathBuf, sync::Arc};

use agentkeys_client::{
    BrokerClient, ClientError, Config, Flow, Http, KeychainStore, Places, ProfileName, Session, SessionTokenKeyStore,
    Settings, SignerClient, SignerTrust,
};
use agentkeys_types::{Clock, SystemClock};

use crate::{cli::GlobalArgs, error::CliError};

/// What a command works with: settings, in the order flag, environment, file; and the session store.
pub(crate) struct Context {
    pub(crate) places: Places,
    pub(crate) profile: ProfileName,
    pub(crate) settings: Settings,
    pub(crate) http: Http,
    pub(crate) store: Arc<dyn SessionTokenKeyStore>,
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
        Ok(Self {
            places,
            profile: global.profile.clone(),
            settings,
            http: global.timeout.map_or_else(Http::default, Http::with_timeout),
            store: Arc::new(KeychainStore),
            clock: Arc::new(SystemClock),
            no_input: global.no_input,
        })
    }

    pub(crate) fn broker(&self) -> BrokerClient {
        BrokerClient::new(&self.http, self.settings.broker_url.clone())
    }

    pub(crate) fn signer(&self) -> Result<SignerClient, ClientError> {
        let trust = SignerTrust::allowing_unattested(self.settings.allow_unattested_signer);
        SignerClient::new(&self.http, self.settings.signer_url.clone(), trust)
    }

    pub(crate) fn flow(&self) -> Result<Flow, ClientError> {
        Flow::new(&self.http, self.settings.broker_url.clone(), self.signer()?, &self.settings.aws)
    }

    /// Where the profile's daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.places.socket(&self.profile)
    }

    /// The session of the profile, for the broker of the settings.
    pub(crate) async fn session(&self) -> Result<Session, ClientError> {
        let session = self.store.load(&self.profile).await?.ok_or(ClientError::NotSignedIn)?;
        session.at(&self.settings.broker_url)?;
        if session.is_over(self.clock.now()) {
            return Err(ClientError::SessionExpired);
        }
        Ok(session)
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
