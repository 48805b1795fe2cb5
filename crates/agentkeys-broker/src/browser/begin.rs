use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::random;
use agentkeys_provider::RoundTrip;
use agentkeys_store::{
    Beginning, Begun, BrowserSignIn, DeviceLookup, Grant, GrantKind, GrantState, Purpose, StoreError,
};
use agentkeys_types::{EmailAddress, IdentityType, ProviderName, RequestId};
use url::Url;

use super::{Asking, BrowserError, Errand};
use crate::{AuthorizationRequest, Broker, code::TypedCode, grants::FLOW_LIFE, mail::CodePurpose, sign_in::AskedCode};

const STATE_CONTEXT: &[u8] = b"client state";

impl Broker {
    /// Who waits for the person that comes with this errand.
    pub async fn asking(&self, errand: &Errand, source: IpAddr) -> Result<Asking, BrowserError> {
        self.asked_in(errand, &RequestId::from_bytes(random()), source).await
    }

    /// As [`Broker::asking`], for the browser of this secret, of which the grant of a command is made.
    async fn asked_in(&self, errand: &Errand, request: &RequestId, source: IpAddr) -> Result<Asking, BrowserError> {
        let now = self.clock.now();
        match errand {
            Errand::Command(asked) => Ok(Asking {
                grant: self.code_grant(asked, request, source),
                owner: None,
                way: self.offered(asked.way.as_ref()),
            }),
            Errand::Device(user_code) => {
                let user_code = TypedCode::typed(user_code).hash_alone(&self.code_key);
                match self.store.find_device_grant(user_code, now, self.code_limits(source)).await? {
                    DeviceLookup::Found(grant) => Ok(Asking { grant: *grant, owner: None, way: None }),
                    DeviceLookup::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
                    DeviceLookup::Unknown => Err(BrowserError::UnknownDevice),
                }
            }
            Errand::Link(page) => {
                let found = self.store.find_grant(self.link_of(page).digest()).await?;
                let (grant, state) = found.ok_or(BrowserError::State)?;
                if state != GrantState::Waiting || now >= grant.expires_at {
                    return Err(BrowserError::State);
                }
                Ok(self.asked_by(grant).await?)
            }
        }
    }

    /// Begins at a provider: returns where the browser goes.
    pub async fn begin_at_provider(
        &self,
        errand: &Errand,
        provider: &ProviderName,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Url, BrowserError> {
        let relying_party = self.providers.find(provider).ok_or(BrowserError::Way)?.provider();
        let request = RequestId::from_bytes(random());
        // First, so that a provider that is away costs no row.
        let url = relying_party.authorization_url(&self.round_trip(&request)?).await?;
        let way = IdentityType::Oauth2(provider.clone());
        let (beginning, _) = self.beginning(errand, way, &request, browser, source).await?;
        match self.store.begin_browser_sign_in(beginning, self.flow_limits(source)).await? {
            Begun::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
            Begun::Begun | Begun::QueueFull => Ok(url),
        }
    }

    /// Begins with a code by mail: returns what the form for the code carries.
    pub async fn begin_by_email(
        &self,
        errand: &Errand,
        email: EmailAddress,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<RequestId, BrowserError> {
        let request = RequestId::from_bytes(random());
        let (beginning, grant) = self.beginning(errand, IdentityType::Email, &request, browser, source).await?;
        let mut limits = self.mail_limits(&email, source);
        limits.extend(self.flow_limits(source));
        let asked = AskedCode {
            request,
            email,
            client_name: grant.client_name,
            key: None,
            purpose: Purpose::Browser,
            words: CodePurpose::SignIn,
            source: grant.source,
            browser: Some(beginning),
            limits,
        };
        Ok(self.begin_by_mail(asked).await?)
    }

    /// What a form of this browser carries, so that no other page can post it.
    pub fn form_proof(&self, browser: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"form", browser.expose_bytes()]))
    }

    /// Where the code of a browser went, and for how long it counts.
    pub async fn mailed_code(
        &self,
        request: &RequestId,
        browser: &RequestId,
    ) -> Result<(EmailAddress, Duration), BrowserError> {
        self.find_browser(request, Some(browser)).await?;
        let waiting = self.store.find_email_sign_in(request.digest()).await?.ok_or(BrowserError::State)?;
        Ok((waiting.email, waiting.expires_at.since(self.clock.now())))
    }

    async fn beginning(
        &self,
        errand: &Errand,
        way: IdentityType,
        request: &RequestId,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<(Beginning, Grant), BrowserError> {
        let now = self.clock.now();
        let Asking { grant, way: only, .. } = self.asked_in(errand, request, source).await?;
        if only.is_some_and(|only| only != way) {
            return Err(BrowserError::Way);
        }
        let is_new = matches!(errand, Errand::Command(_));
        let sign_in = BrowserSignIn {
            request: request.digest(),
            browser: browser.digest(),
            grant: grant.secret,
            way,
            created_at: now,
            expires_at: now.after(FLOW_LIFE).min(grant.expires_at),
        };
        Ok((Beginning { sign_in, grant: is_new.then(|| grant.clone()), email: None }, grant))
    }

    /// The grant of a command, whose code is made of the browser's secret: nobody else can have it before it is approved.
    fn code_grant(&self, asked: &AuthorizationRequest, request: &RequestId, source: IpAddr) -> Grant {
        let now = self.clock.now();
        Grant {
            secret: self.code_of(request).digest(),
            kind: GrantKind::Code {
                redirect_uri: asked.redirect_uri.as_str().to_owned(),
                state: hex::encode(self.client_states.seal(asked.state.as_bytes(), STATE_CONTEXT)),
                challenge: asked.challenge,
            },
            client_name: asked.client_name.clone(),
            key: asked.key,
            source,
            created_at: now,
            expires_at: now.after(FLOW_LIFE),
        }
    }

    /// A way that was asked for, where it is one of this broker's: a page without any would be a dead end.
    fn offered(&self, way: Option<&IdentityType>) -> Option<IdentityType> {
        let is_offered = |way: &&IdentityType| match way {
            IdentityType::Email => true,
            IdentityType::Oauth2(provider) => self.providers.find(provider).is_some(),
            IdentityType::Evm => false,
        };
        way.filter(is_offered).cloned()
    }

    pub(super) async fn asked_by(&self, grant: Grant) -> Result<Asking, StoreError> {
        let (owner, way) = match &grant.kind {
            GrantKind::Link { account, way, .. } => {
                (self.store.identities(*account).await?.into_iter().next(), Some(way.clone()))
            }
            GrantKind::Code { .. } | GrantKind::Device { .. } => (None, None),
        };
        Ok(Asking { grant, owner, way })
    }

    /// What the client gave, as it gave it: the store has it sealed.
    pub(super) fn client_state(&self, sealed: &str) -> Option<String> {
        let plain = self.client_states.open(&hex::decode(sealed).ok()?, STATE_CONTEXT)?;
        str::from_utf8(&plain).map(str::to_owned).ok()
    }

    pub(super) fn code_of(&self, request: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"authorization code", request.expose_bytes()]))
    }

    /// Made of the browser's secret, which comes back as the state: so nothing of it is stored.
    pub(super) fn round_trip(&self, request: &RequestId) -> Result<RoundTrip, BrowserError> {
        let derived = |label: &[u8]| hex::encode(self.code_key.hash(&[label, request.expose_bytes()])).into();
        let round_trip = RoundTrip::new(request.expose().into(), derived(b"openid nonce"), derived(b"pkce verifier"));
        round_trip.map_err(|_| BrowserError::State)
    }

    /// The secret of the session that asked for a page, from the secret of the page.
    pub(crate) fn link_of(&self, page: &RequestId) -> RequestId {
        RequestId::from_bytes(self.code_key.hash(&[b"link request", page.expose_bytes()]))
    }
}
