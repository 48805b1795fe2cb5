use std::net::IpAddr;

use agentkeys_api::OauthError;
use agentkeys_provider::ProviderError;
use agentkeys_store::{
    BrowserState, CodeAnswer, CodeOutcome, Decided, Decision, Entry, FoundBrowser, Grant, GrantKind, GrantState,
    Opening, Outcome, Proved, Purpose,
};
use agentkeys_types::{Identity, IdentityType, ProviderName, RequestId};

use super::{BrowserError, Ending, ProviderAnswer, Question};
use crate::{Broker, RedirectUri, code::TypedCode};

impl Broker {
    /// Takes the answer of a provider, which counts once, in the browser where it was asked for.
    pub async fn answer_of_provider(
        &self,
        provider: &ProviderName,
        answer: ProviderAnswer<'_>,
        browser: Option<&RequestId>,
        source: IpAddr,
    ) -> Result<Question, BrowserError> {
        let request: RequestId = answer.state.and_then(|state| state.parse().ok()).ok_or(BrowserError::State)?;
        let found = self.find_browser(&request, browser).await?;
        let choice = self.providers.find(provider).ok_or(BrowserError::State)?;
        let relying_party = choice.provider();
        if found.sign_in.way != IdentityType::Oauth2(provider.clone()) {
            return Err(ProviderError::IssuerMismatch.into());
        }
        relying_party.check_issuer(answer.iss).await?;
        if !self.store.answer_browser_sign_in(request.digest(), self.clock.now()).await? {
            return Err(BrowserError::State);
        }
        let code = match (answer.code, answer.error) {
            (Some(code), None) => code,
            (_, error) => {
                return Err(ProviderError::refused(error.unwrap_or_default(), answer.error_description).into());
            }
        };
        let subject = relying_party.exchange(code, answer.iss, &self.round_trip(&request)?).await?;
        choice.pin(&*self.store).await?;
        let proved = Proved { identity: subject.identity, email: subject.email };
        self.admit(&found.grant, &proved, source).await?;
        if !self.store.prove_browser_sign_in(request.digest(), proved.clone()).await? {
            return Err(BrowserError::State);
        }
        Ok(Question { asking: self.asked_by(found.grant).await?, proved, request })
    }

    /// Takes the code that a person typed into the page.
    pub async fn answer_of_person(
        &self,
        request: RequestId,
        typed_code: &str,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Question, BrowserError> {
        let found = self.find_browser(&request, Some(browser)).await?;
        let waiting = self.store.find_email_sign_in(request.digest()).await?;
        let waiting = waiting.filter(|waiting| waiting.purpose == Purpose::Browser).ok_or(BrowserError::State)?;
        let now = self.clock.now();
        let code_hash = TypedCode::typed(typed_code).hash(&self.code_key, request.digest());
        let answer = CodeAnswer { request: request.digest(), code_hash, purpose: Purpose::Browser, now };
        let identity = Identity::email(waiting.email);
        let is_allowed = self.allow.allows(&identity, None);
        let opening = if is_allowed { Opening::Proof(identity.clone()) } else { Opening::Refused };
        let entry = self.proof_entry(&found.grant, &identity, source);
        match self.store.answer(answer, opening, entry, self.code_limits(source), None).await? {
            CodeOutcome::Accepted { .. } if is_allowed => {
                let asking = self.asked_by(found.grant).await?;
                Ok(Question { asking, proved: Proved { identity, email: None }, request })
            }
            CodeOutcome::Accepted { .. } => Err(BrowserError::NotAllowed),
            CodeOutcome::Limited { retry_after } => Err(BrowserError::RateLimited { retry_after }),
            CodeOutcome::Retired => Err(BrowserError::Retired),
            CodeOutcome::Linked(_) | CodeOutcome::Over => Err(BrowserError::CodeExpired),
            CodeOutcome::Unknown | CodeOutcome::Wrong => Err(BrowserError::InvalidCode),
        }
    }

    /// Takes the decision of a person, which counts once.
    pub async fn decide(
        &self,
        request: &RequestId,
        decision: Decision,
        browser: &RequestId,
        source: IpAddr,
    ) -> Result<Ending, BrowserError> {
        let FoundBrowser { state, grant, .. } = self.find_browser(request, Some(browser)).await?;
        let BrowserState::Proved(proved) = state else { return Err(BrowserError::State) };
        let entry = Entry { outcome: Outcome::Refused, ..self.proof_entry(&grant, &proved.identity, source) };
        let is_approved = matches!(decision, Decision::Approve);
        if self.store.decide(request.digest(), decision, entry).await? == Decided::Over {
            return Err(BrowserError::State);
        }
        Ok(match &grant.kind {
            GrantKind::Code { redirect_uri, state, .. } => {
                let place = RedirectUri::parse(redirect_uri).ok_or(BrowserError::State)?;
                let state = self.client_state(state).ok_or(BrowserError::State)?;
                let issuer = self.issuer.as_str();
                Ending::Command(if is_approved {
                    place.approved(&self.code_of(request).expose(), &state, issuer)
                } else {
                    place.refused(OauthError::AccessDenied, "the person refused", &state, issuer)
                })
            }
            _ if !is_approved => Ending::Refused,
            GrantKind::Device { .. } => Ending::Device(grant),
            GrantKind::Link { .. } => {
                let owner = self.asked_by(grant).await?.owner;
                Ending::Link { proved, owner }
            }
        })
    }

    /// Refuses an identity that may not sign in, and records that.
    ///
    /// One that was retired may be linked again by its own account, which is checked when that is redeemed.
    async fn admit(&self, grant: &Grant, proved: &Proved, source: IpAddr) -> Result<(), BrowserError> {
        let opens = !matches!(grant.kind, GrantKind::Link { .. });
        let is_allowed = self.allow.allows(&proved.identity, proved.email.as_ref());
        let (outcome, error) = if !is_allowed {
            (Outcome::NotAllowed, BrowserError::NotAllowed)
        } else if opens && self.store.is_retired(&proved.identity).await? {
            (Outcome::Retired, BrowserError::Retired)
        } else {
            return Ok(());
        };
        let entry = Entry { outcome, ..self.proof_entry(grant, &proved.identity, source) };
        self.store.append(entry, Vec::new()).await?;
        Err(error)
    }

    pub(super) async fn find_browser(
        &self,
        request: &RequestId,
        browser: Option<&RequestId>,
    ) -> Result<FoundBrowser, BrowserError> {
        let found = self.store.find_browser_sign_in(request.digest()).await?.ok_or(BrowserError::State)?;
        if browser.map(RequestId::digest) != Some(found.sign_in.browser) {
            return Err(BrowserError::OtherBrowser);
        }
        if self.clock.now() >= found.sign_in.expires_at || found.grant_state != GrantState::Waiting {
            return Err(BrowserError::State);
        }
        Ok(found)
    }
}
