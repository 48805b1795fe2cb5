//! What the routes that answer with pages share: the browser by its cookie, its forms, and how refusals look.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use agentkeys_http::{Parameters, Refusal, Source, Target, form};
use agentkeys_provider::ProviderError;
use agentkeys_store::IdentityLink;
use agentkeys_types::{EmailAddress, Identity, IdentityType, RequestId};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use url::Url;

use crate::{
    AuthorizationError, AuthorizationRequest, Broker, BrowserError,
    browser::{Asking, Errand, Question},
    pages::{
        Confirm, ConfirmErrand, EmailField, Errand as ShownErrand, ErrorPage, Failure, Hidden, Page, ProviderChoice,
        Shown, ShownIdentity, SignIn, When,
    },
};

/// The field of each form that only a page of this broker, in this browser, can have.
const PROOF: &str = "form_proof";

/// The secret by which a browser is known again, from its cookie or fresh.
pub(super) struct Browser {
    pub(super) id: RequestId,
    is_new: bool,
}

impl Browser {
    /// Lets the browser keep its secret, where it is fresh.
    pub(super) fn remember(&self, broker: &Broker, page: impl IntoResponse) -> Response {
        let mut response = page.into_response();
        if self.is_new {
            let (name, secure) =
                if is_https(broker) { ("__Host-agentkeys-browser", "; Secure") } else { ("agentkeys-browser", "") };
            // Lax: a provider sends the browser back by a link from its own site.
            let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}", self.id.expose());
            if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
                cookie.set_sensitive(true);
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
        response
    }

    /// The page on which a person chooses how to prove who they are, for this errand.
    pub(super) async fn asked(
        &self,
        broker: &Broker,
        errand: &Errand,
        source: IpAddr,
    ) -> Result<Response, BrowserRefusal> {
        let asking = broker.asking(errand, source).await?;
        let page = sign_in_page(broker, &self.id, errand, &asking, EmailField::default());
        Ok(self.remember(broker, page))
    }
}

impl FromRequestParts<Arc<Broker>> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Infallible> {
        let known = cookie(&parts.headers, broker);
        let is_new = known.is_none();
        Ok(Self { id: known.unwrap_or_else(|| RequestId::from_bytes(agentkeys_crypto::random())), is_new })
    }
}

/// The browser's secret, if it brought one.
pub(super) fn cookie(headers: &HeaderMap, broker: &Broker) -> Option<RequestId> {
    let name = if is_https(broker) { "__Host-agentkeys-browser" } else { "agentkeys-browser" };
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    value.parse().ok()
}

fn is_https(broker: &Broker) -> bool {
    broker.issuer().as_str().starts_with("https://")
}

/// A form that a page of this broker, in this browser, has posted.
pub(super) struct PostedForm {
    pub(super) browser: RequestId,
    pub(super) source: IpAddr,
    parameters: Parameters,
}

impl PostedForm {
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.parameters.find(name)
    }

    /// What the form is about.
    pub(super) fn errand(&self, broker: &Broker) -> Result<Errand, BrowserRefusal> {
        match self.find("errand") {
            Some("command") => {
                let request = AuthorizationRequest::read(|name| self.find(name), broker.issuer().as_str())?;
                Ok(Errand::Command(Box::new(request)))
            }
            Some("device") => Ok(Errand::Device(self.find("user_code").unwrap_or_default().to_owned())),
            Some("link") => self.secret("link").map(Errand::Link),
            _ => Err(BrowserRefusal::malformed("the form names no errand")),
        }
    }

    /// The sign-in that the form belongs to.
    pub(super) fn request(&self) -> Result<RequestId, BrowserRefusal> {
        self.secret("request")
    }

    fn secret(&self, name: &str) -> Result<RequestId, BrowserRefusal> {
        self.find(name).and_then(|text| text.parse().ok()).ok_or_else(|| BrowserError::State.into())
    }
}

impl FromRequest<Arc<Broker>> for PostedForm {
    type Rejection = BrowserRefusal;

    async fn from_request(request: Request, broker: &Arc<Broker>) -> Result<Self, BrowserRefusal> {
        let (mut parts, body) = request.into_parts();
        let Source(source) = Source::from_request_parts(&mut parts, broker).await?;
        let browser = cookie(&parts.headers, broker).ok_or(BrowserError::OtherBrowser)?;
        if is_foreign(&parts)? {
            return Err(BrowserError::OtherBrowser.into());
        }
        let parameters = form(Request::from_parts(parts, body)).await?;
        let proof: Option<RequestId> = parameters.find(PROOF).and_then(|proof| proof.parse().ok());
        let expected = broker.form_proof(&browser);
        if proof.map(|proof| proof.digest()) != Some(expected.digest()) {
            return Err(BrowserError::OtherBrowser.into());
        }
        Ok(Self { browser, source, parameters })
    }
}

/// Whether the page that posts is known to be another site's (RFC 6454 section 7).
fn is_foreign(parts: &Parts) -> Result<bool, BrowserRefusal> {
    let ours = Target::of(parts)?.url("");
    Ok(parts.headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() != ours.as_bytes()))
}

/// A browser that does not go on, and the page that tells why.
#[derive(Debug)]
pub(super) enum BrowserRefusal {
    Authorization(AuthorizationError),
    Broker(BrowserError),
    Malformed(&'static str),
    Request(Refusal),
}

impl BrowserRefusal {
    pub(super) fn malformed(why: &'static str) -> Self {
        Self::Malformed(why)
    }
}

impl From<AuthorizationError> for BrowserRefusal {
    fn from(error: AuthorizationError) -> Self {
        Self::Authorization(error)
    }
}

impl From<BrowserError> for BrowserRefusal {
    fn from(error: BrowserError) -> Self {
        Self::Broker(error)
    }
}

impl From<Refusal> for BrowserRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Request(refusal)
    }
}

impl IntoResponse for BrowserRefusal {
    fn into_response(self) -> Response {
        let (failure, detail) = match self {
            Self::Authorization(AuthorizationError::Redirect { to }) => return redirect(&to),
            Self::Authorization(AuthorizationError::Page(why)) | Self::Malformed(why) => {
                (Failure::InvalidRequest, Shown::detail(why))
            }
            Self::Request(refusal) => {
                let problem = refusal.problem();
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
                let detail = Shown::detail(&problem.detail);
                let page = ErrorPage { detail, ..ErrorPage::new(Failure::InvalidRequest) }.page();
                return page.with_status(status).into_response();
            }
            Self::Broker(error) => return failed(&error),
        };
        ErrorPage { detail, ..ErrorPage::new(failure) }.page().into_response()
    }
}

fn failed(error: &BrowserError) -> Response {
    let detail = match error {
        BrowserError::Provider(ProviderError::Refused { description: Some(description), .. }) => {
            Shown::detail(description)
        }
        _ => None,
    };
    let page = ErrorPage { detail, ..ErrorPage::new(failure(error)) }.page();
    match error {
        BrowserError::RateLimited { retry_after } => page.retry_after(*retry_after).into_response(),
        _ => page.into_response(),
    }
}

fn failure(error: &BrowserError) -> Failure {
    match error {
        BrowserError::CodeExpired | BrowserError::UnknownDevice => Failure::CodeExpired,
        BrowserError::InvalidCode | BrowserError::State => Failure::StateInvalid,
        BrowserError::Mail => Failure::MailUnavailable,
        BrowserError::NotAllowed => Failure::SignInNotAllowed,
        BrowserError::OtherBrowser => Failure::BrowserMismatch,
        BrowserError::Provider(ProviderError::IdTokenInvalid) => Failure::IdTokenInvalid,
        BrowserError::Provider(ProviderError::IssuerMismatch) => Failure::IssuerMismatch,
        BrowserError::Provider(ProviderError::Refused { code, .. }) if code == "access_denied" => Failure::AccessDenied,
        BrowserError::Provider(_) => Failure::ProviderError,
        BrowserError::RateLimited { .. } => Failure::RateLimited,
        BrowserError::Retired => Failure::IdentityRetired,
        BrowserError::Store(error) => {
            tracing::error!(%error, "the store failed");
            Failure::StorageUnavailable
        }
        BrowserError::Way => Failure::InvalidRequest,
    }
}

/// 303, so that a browser follows with a GET whatever it sent. What it follows carries a secret.
pub(super) fn redirect(url: &Url) -> Response {
    let mut response = Redirect::to(url.as_str()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

/// The page on which a person chooses how to prove who they are.
pub(super) fn sign_in_page(
    broker: &Broker,
    browser: &RequestId,
    errand: &Errand,
    asking: &Asking,
    email: EmailField,
) -> Page {
    let providers: Vec<ProviderChoice> = broker
        .providers
        .iter()
        .filter(|(name, _)| asking.way.as_ref().is_none_or(|way| *way == IdentityType::Oauth2((*name).clone())))
        .map(|(name, provider)| ProviderChoice { name: name.clone(), label: Shown::value(provider.label()) })
        .collect();
    let has_email = asking.way.as_ref().is_none_or(|way| *way == IdentityType::Email);
    let hidden = match errand {
        Errand::Command(request) => {
            let hidden = form_of(broker, browser).with("errand", "command");
            request.parameters().into_iter().fold(hidden, |hidden, (name, value)| hidden.with(name, value))
        }
        Errand::Device(user_code) => {
            form_of(broker, browser).with("errand", "device").with("user_code", user_code.clone())
        }
        Errand::Link(request) => form_of(broker, browser).with("errand", "link").with("link", request.expose()),
    };
    let shown = match errand {
        Errand::Command(_) => ShownErrand::Command { machine: machine(asking) },
        Errand::Device(_) => ShownErrand::Device(shown(broker, asking)),
        Errand::Link(_) => {
            ShownErrand::Link { account: account(broker, asking.owner.as_ref()), machine: machine(asking) }
        }
    };
    let page = SignIn { errand: shown, providers, email: has_email.then_some(email), hidden }.page();
    // Where a form leads to a provider on this machine, in development.
    page.form_action(&broker.providers.plain_origins())
}

/// The page on which a person decides.
pub(super) fn confirm_page(broker: &Broker, browser: &RequestId, question: &Question) -> Result<Page, BrowserRefusal> {
    use agentkeys_store::GrantKind;
    let asking = &question.asking;
    let errand = match &asking.grant.kind {
        GrantKind::Code { redirect_uri, .. } => {
            let place = crate::RedirectUri::parse(redirect_uri).ok_or(BrowserError::State)?;
            ConfirmErrand::Command { returns_to: place.origin() }
        }
        GrantKind::Device { .. } => ConfirmErrand::Device,
        GrantKind::Link { .. } => ConfirmErrand::Link { account: account(broker, asking.owner.as_ref()) },
    };
    let hidden = form_of(broker, browser).with("request", question.request.expose());
    let identity = identity(broker, &question.proved.identity, question.proved.email.as_ref());
    Ok(Confirm { errand, identity, asking: shown(broker, asking), hidden }.page())
}

/// What each form of a browser carries.
pub(super) fn form_of(broker: &Broker, browser: &RequestId) -> Hidden {
    Hidden::new().with(PROOF, broker.form_proof(browser).expose())
}

pub(super) fn machine(asking: &Asking) -> Option<Shown> {
    asking.grant.client_name.as_deref().and_then(Shown::name)
}

fn shown(broker: &Broker, asking: &Asking) -> crate::pages::Asking {
    crate::pages::Asking {
        machine: machine(asking),
        address: asking.grant.source,
        when: When::new(asking.grant.created_at, broker.clock.now()),
    }
}

/// An identity as its person knows it: by the address that its provider has, where there is one.
pub(super) fn identity(broker: &Broker, identity: &Identity, email: Option<&EmailAddress>) -> ShownIdentity {
    match broker.providers.label_of(identity) {
        Some(label) => ShownIdentity::new(label, email.map_or(identity.value(), EmailAddress::as_str)),
        None => ShownIdentity::new("E-mail", identity.value()),
    }
}

pub(super) fn account(broker: &Broker, owner: Option<&IdentityLink>) -> ShownIdentity {
    match owner {
        Some(owner) => identity(broker, &owner.identity, owner.email.as_ref()),
        None => ShownIdentity::new("Account", "unknown"),
    }
}
