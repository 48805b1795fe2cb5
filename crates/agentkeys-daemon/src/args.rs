use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use agentkeys_client::{
    AgentBook, AskedStorage, ClientError, Config, Places, ProfileName, ServerUrl, SessionStorage, SessionTokenKeyStore,
    Settings, SignerTrust, StoreChoice, StoreKey, TerminalPrompt,
};

use crate::{DaemonConfig, ReadRules, Rules, RunError};

/// The daemon's flags. Settings come from a flag, then the environment, then `config.toml`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DaemonArgs {
    /// The broker.
    #[arg(long, env = "AGENTKEYS_BROKER_URL", value_name = "URL")]
    pub broker_url: Option<ServerUrl>,

    /// The signer.
    #[arg(long, env = "AGENTKEYS_SIGNER_URL", value_name = "URL")]
    pub signer_url: Option<ServerUrl>,

    /// Use a signer on another machine though nothing attests what runs there.
    #[arg(long)]
    pub allow_unattested_signer: bool,

    /// What is taken for a genuine signer: a policy, instead of the one beside the settings.
    #[arg(long, env = "AGENTKEYS_ATTESTATION_POLICY", value_name = "FILE")]
    pub attestation_policy: Option<PathBuf>,

    /// The key that must have signed the policy: the hex of its point, or a file with its PEM.
    #[arg(long, env = "AGENTKEYS_RELEASE_KEY", value_name = "KEY")]
    pub release_key: Option<String>,

    /// The profile to serve.
    #[arg(long, env = "AGENTKEYS_PROFILE", default_value_t, value_name = "NAME")]
    pub profile: ProfileName,

    /// Where the session is kept: keychain, file or memory; where it was put at sign-in unless given.
    #[arg(long, env = "AGENTKEYS_STORE", value_name = "STORE")]
    pub store: Option<StoreChoice>,

    /// Where the key of a session file comes from: systemd, kernel or passphrase.
    #[arg(long, env = "AGENTKEYS_STORE_KEY", value_name = "KEY")]
    pub store_key: Option<StoreKey>,

    /// Listen here instead of in the runtime folder.
    #[arg(long, env = "AGENTKEYS_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Give AWS SDKs credentials over HTTP as well, at this address of 127.0.0.1, such as 127.0.0.1:8474.
    #[arg(long, env = "AGENTKEYS_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Wait for a person to sign in instead of ending, as under a service manager.
    #[arg(long)]
    pub wait: bool,
}

impl DaemonArgs {
    /// The store that has the profile's session.
    pub fn open_store(&self, places: &Places) -> Result<Arc<dyn SessionTokenKeyStore>, RunError> {
        let settings = Config::load(&places.config_file())?.profile(&self.profile);
        let asked = AskedStorage { choice: self.store.or(settings.store), key: self.store_key };
        let storage = SessionStorage::decide(asked, places, &self.profile).map_err(ClientError::from)?;
        Ok(storage.open(Arc::new(TerminalPrompt { may_ask: true })))
    }

    /// What the daemon works with: these flags over the profile's settings.
    pub fn configure(self, places: &Places) -> Result<DaemonConfig, RunError> {
        let saved = Config::load(&places.config_file())?.profile(&self.profile);
        let settings = Settings {
            broker_url: self.broker_url.unwrap_or(saved.broker_url),
            signer_url: self.signer_url.unwrap_or(saved.signer_url),
            allow_unattested_signer: saved.allow_unattested_signer || self.allow_unattested_signer,
            attestation_policy: self.attestation_policy.or(saved.attestation_policy),
            release_key: self.release_key.or(saved.release_key),
            ..saved
        };
        let signer_trust = SignerTrust::of(&settings, places, &self.profile)?;
        let servers = [settings.broker_url, settings.signer_url];
        let rules = rules_of(places.clone(), self.profile.clone(), self.listen);
        let config = DaemonConfig::in_places(places, self.profile, servers, rules);
        Ok(DaemonConfig { signer_trust, socket: self.socket.unwrap_or(config.socket), ..config })
    }
}

/// Reads the settings and the agents' book of `profile`; `listen` goes before what the settings say.
pub fn rules_of(places: Places, profile: ProfileName, listen: Option<SocketAddr>) -> Arc<ReadRules> {
    Arc::new(move || {
        let Settings { aws, mut daemon, .. } = Config::load(&places.config_file())?.profile(&profile);
        daemon.listen = listen.or(daemon.listen);
        let book = AgentBook::of(&places, &profile);
        let unreadable = |error| io::Error::other(format!("`{}` cannot be used: {error}", book.path().display()));
        let pages = book.read().map_err(|error| RunError::Process(unreadable(error)))?;
        Ok(Rules::new(aws, daemon, pages))
    })
}
