use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use agentkeys_crypto::private_file;
use agentkeys_memory::Secret;
use agentkeys_provider::{IssuerUrl, Provider, ProviderSettings, Reach};
use agentkeys_store::{PinError, Store};
use agentkeys_types::{Clock, EmailAddress, Identity, IdentityType, ProviderName};
use url::{Origin, Url};

use crate::{Config, ConfigError, Issuer, ProviderConfig};

/// The OpenID Providers that people can choose.
#[derive(Debug, Default)]
pub(crate) struct Providers(BTreeMap<ProviderName, Choice>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Choice {
    provider: Provider,
    label: String,
    origin: Origin,
    issuer: String,
    is_pinned: AtomicBool,
}

impl Providers {
    /// Those of the settings, for the broker at `issuer`.
    pub(crate) fn open(config: &Config, issuer: &Issuer, clock: &Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let reach = if config.is_loopback() { Reach::Loopback } else { Reach::Public };
        let choice = |(name, settings): (&ProviderName, &ProviderConfig)| {
            let settings_of = settings.open()?;
            let redirect_uri = issuer.callback(name);
            let origin = settings_of.issuer.url().origin();
            let provider = Provider::new(name.clone(), settings_of, redirect_uri, reach, Arc::clone(clock))
                .map_err(|error| ConfigError::Provider { name: name.clone(), error })?;
            let label = settings.label.clone().unwrap_or_else(|| name.to_string());
            let (issuer, is_pinned) = (settings.issuer.clone(), AtomicBool::new(false));
            Ok((name.clone(), Choice { provider, label, origin, issuer, is_pinned }))
        };
        config.providers.iter().map(choice).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn find(&self, name: &ProviderName) -> Option<&Choice> {
        self.0.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ProviderName, &Choice)> {
        self.0.iter()
    }

    /// An identity as its person knows it: by the address that its provider has, where it has one.
    pub(crate) fn in_words(&self, identity: &Identity, email: Option<&EmailAddress>) -> String {
        match self.label_of(identity) {
            Some(label) => format!("{label}: {}", email.map_or(identity.value(), EmailAddress::as_str)),
            None => identity.value().to_owned(),
        }
    }

    /// What people call the provider of an identity, if it has one.
    pub(crate) fn label_of<'i>(&'i self, identity: &'i Identity) -> Option<&'i str> {
        match identity.identity_type() {
            IdentityType::Oauth2(provider) => Some(self.find(provider).map_or(provider.as_str(), Choice::label)),
            IdentityType::Email | IdentityType::Evm => None,
        }
    }

    /// Where those are that speak plain HTTP: on this machine, in development.
    pub(crate) fn plain_origins(&self) -> Vec<Origin> {
        let is_plain = |origin: &&Origin| matches!(origin, Origin::Tuple(scheme, _, _) if scheme == "http");
        self.0.values().map(|choice| &choice.origin).filter(is_plain).cloned().collect()
    }
}

impl Choice {
    /// Its relying party.
    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Pins its issuer in the store: somebody has signed in there, and accounts depend on it.
    pub(crate) async fn pin(&self, store: &dyn Store) -> Result<(), PinError> {
        if !self.is_pinned.load(Ordering::Relaxed) {
            let identity_type = IdentityType::Oauth2(self.provider.name().clone());
            store.pin(&pin_of(&identity_type), &self.issuer).await?;
            self.is_pinned.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What people call it.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }
}

/// Under which name a deployment remembers what stands behind a type of identities.
pub(crate) fn pin_of(identity_type: &IdentityType) -> String {
    format!("identity_type:{identity_type}")
}

impl ProviderConfig {
    fn open(&self) -> Result<ProviderSettings, ConfigError> {
        let issuer = IssuerUrl::new(self.issuer.clone()).map_err(|_| {
            ConfigError::Value("`issuer` of a provider must be a URL, exactly as the provider writes it")
        })?;
        let unreadable =
            |_| ConfigError::Value("`client_secret_file` of a provider cannot be read, or others may read it");
        let client_secret = match &self.client_secret_file {
            Some(path) => {
                let bytes = private_file::read(path).map_err(unreadable)?;
                Some(Secret::new(bytes.trim_ascii_end().to_vec().into()))
            }
            None => None,
        };
        let (client_id, prompt) = (self.client_id.clone(), self.prompt.clone());
        Ok(ProviderSettings { issuer, client_id, client_secret, prompt, scopes: Vec::new() })
    }
}

impl Issuer {
    /// Where a provider sends a person back to.
    fn callback(&self, provider: &ProviderName) -> Url {
        let path = agentkeys_api::paths::OAUTH_CALLBACK.replace("{provider}", provider.as_str());
        self.join(&path)
    }
}
