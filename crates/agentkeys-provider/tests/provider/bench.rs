use std::{sync::Arc, time::Duration};

use agentkeys_provider::{
    FETCH_TIMEOUT, IssuerUrl, Provider, ProviderError, ProviderSettings, Reach, RoundTrip, VerifiedSubject,
};
use agentkeys_testing::{Callback, Endpoint, ManualClock, TestProvider};

/// A provider, and a relying party that knows it as `acme`.
pub(crate) struct Bench {
    pub(crate) provider: TestProvider,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) acme: Provider,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With settings of the test's own.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ProviderSettings)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let provider = TestProvider::start(clock.clone()).await;
        let mut settings = ProviderSettings {
            issuer: IssuerUrl::new(provider.issuer().to_owned()).unwrap(),
            client_id: TestProvider::CLIENT_ID.to_owned(),
            client_secret: Some(TestProvider::CLIENT_SECRET.as_bytes().into()),
            prompt: None,
            scopes: Vec::new(),
        };
        change(&mut settings);
        let redirect_uri = "http://127.0.0.1:1/v1/auth/callback/acme".parse().unwrap();
        let name = "acme".parse().unwrap();
        let acme = Provider::new(name, settings, redirect_uri, Reach::Loopback, clock.clone()).unwrap();
        Self { provider, clock, acme }
    }

    /// Waits for an answer no longer than this.
    pub(crate) fn patient_for(mut self, limit: Duration) -> Self {
        assert!(limit < FETCH_TIMEOUT);
        self.acme = self.acme.with_timeout(limit);
        self
    }

    /// One whole sign-in, as a browser and a broker do it.
    pub(crate) async fn sign_in(&self) -> Result<VerifiedSubject, ProviderError> {
        let round_trip = round_trip();
        let callback = self.come_back(&round_trip).await?;
        self.acme.exchange(&callback.code.unwrap(), callback.iss.as_deref(), &round_trip).await
    }

    /// The first half of it.
    pub(crate) async fn come_back(&self, round_trip: &RoundTrip) -> Result<Callback, ProviderError> {
        let url = self.acme.authorization_url(round_trip).await?;
        Ok(self.provider.authorize(url.as_str()).await)
    }

    /// How often metadata, tokens and keys were asked for.
    pub(crate) fn asked(&self) -> [usize; 3] {
        [Endpoint::Metadata, Endpoint::Token, Endpoint::Keys].map(|endpoint| self.provider.asked(endpoint))
    }
}

pub(crate) fn round_trip() -> RoundTrip {
    named_round_trip("state-of-ada", "nonce-of-ada", "verifier-of-ada-which-has-43-characters-or-more")
}

pub(crate) fn named_round_trip(state: &str, nonce: &str, verifier: &str) -> RoundTrip {
    RoundTrip::new(state.into(), nonce.into(), verifier.into()).unwrap()
}
