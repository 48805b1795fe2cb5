use std::sync::Arc;

use agentkeys_api::{LinkOauth, paths};
use agentkeys_broker::{Config, ProviderConfig};
use agentkeys_client::{
    Binding, BrokerClient, BrowserScreen, ClientError, Http, OauthSignIn, Session, sign_in_by_browser,
};
use agentkeys_crypto::private_file;
use agentkeys_store::{Action, AuditStore, Outcome, SqliteStore};
use agentkeys_testing::{Answer, Device, ManualClock, Person, TestBroker, code_in};
use async_trait::async_trait;
use reqwest::redirect::Policy;
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use url::Url;

use super::{Browser, OpenIdProvider};

/// What machines call themselves.
pub(super) const MACHINE: &str = "build-7";

/// A broker in real time, and the providers with which people may sign in there.
pub(super) struct Bench {
    pub(super) broker: TestBroker,
    providers: Vec<OpenIdProvider>,
    _secrets: TempDir,
}

impl Bench {
    /// With one provider, `acme`.
    pub(super) async fn start() -> Self {
        Self::start_with(&["acme"], |_| {}).await
    }

    /// With providers of these names, and settings of the test's own.
    pub(super) async fn start_with(names: &[&str], settings: impl FnOnce(&mut Config)) -> Self {
        let secrets = tempfile::tempdir().unwrap();
        let secret = secrets.path().join("client-secret");
        private_file::create_new(&secret, OpenIdProvider::CLIENT_SECRET.as_bytes()).unwrap();
        let mut providers = Vec::new();
        for _ in names {
            providers.push(OpenIdProvider::start().await);
        }
        let broker = TestBroker::start_at(Arc::new(ManualClock::running()), |config| {
            for (name, provider) in names.iter().zip(&providers) {
                let provider = ProviderConfig {
                    issuer: provider.issuer().to_owned(),
                    client_id: OpenIdProvider::CLIENT_ID.to_owned(),
                    client_secret_file: Some(secret.clone()),
                    label: None,
                    prompt: None,
                };
                config.providers.insert(name.parse().unwrap(), provider);
            }
            settings(config);
        })
        .await;
        for (name, provider) in names.iter().zip(&mut providers) {
            provider.allow_redirect(&broker.url(&format!("/oauth/callback/{name}"))).await;
        }
        Self { broker, providers, _secrets: secrets }
    }

    /// The issuer of the provider at this place.
    pub(super) fn issuer(&self, index: usize) -> &str {
        self.providers[index].issuer()
    }

    /// How many sessions were ever opened, by the audit record.
    pub(super) async fn sessions_opened(&self) -> usize {
        let store = SqliteStore::open(&self.broker.state().join("agentkeys.db")).unwrap();
        let entries = store.entries_after(0, u32::MAX).await.unwrap();
        let (opened, done) = (Action::SignIn.as_str(), Outcome::Done.as_str());
        entries
            .iter()
            .filter(|entry| entry.action == opened && entry.outcome == done && entry.session.is_some())
            .count()
    }

    /// Where the first form of the page in `browser` sends it for this provider, who has not been asked yet.
    pub(super) async fn authorization_url(&self, browser: &Browser, provider: &str) -> Url {
        let fields = browser.evaluate("return [...new FormData(document.querySelector('form'))]").await;
        let mut fields: Vec<(String, String)> = serde_json::from_value(fields).unwrap();
        fields.push(("provider".to_owned(), provider.to_owned()));
        let cookies = browser.cookies().await;
        let cookie = cookies.iter().find(|cookie| cookie["name"] == "agentkeys-browser").unwrap();
        let cookie = format!("agentkeys-browser={}", cookie["value"].as_str().unwrap());
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        let request = http.post(self.broker.url(paths::OAUTH_SIGN_IN_PROVIDER)).form(&fields).header("cookie", cookie);
        let answer = Answer::read(request.send().await.unwrap()).await.expect(303);
        answer.headers["location"].to_str().unwrap().parse().unwrap()
    }

    /// Lets the provider at this place send people back to this path too.
    pub(super) async fn allow_redirect(&mut self, index: usize, path: &str) {
        let url = self.broker.url(path);
        self.providers[index].allow_redirect(&url).await;
    }

    /// Proves an address with a code by mail, from a page that offers it, and ends on the one that asks for a decision.
    pub(super) async fn prove_address(&self, browser: &Browser, email: &str) {
        browser.type_into("E-mail address", email).await;
        let mail = self.broker.next_code_mail(email);
        browser.press("Send me a code").await;
        browser.type_into("Code from the mail", &code_in(&mail.await.text)).await;
        browser.press("Continue").await;
    }
}

/// The command on the machine of a browser, which waits for what a person decides there.
pub(super) struct Terminal {
    pub(super) url: String,
    client: BrokerClient,
    outcome: JoinHandle<Result<Session, ClientError>>,
}

impl Terminal {
    pub(super) async fn start(broker: &TestBroker) -> Self {
        let client = client(broker);
        let (sender, url) = oneshot::channel();
        let mut screen = Screen(Some(sender));
        let broker = client.clone();
        let sign_in =
            OauthSignIn { provider: None, client_name: Some(MACHINE.to_owned()), binding: Binding::DeviceKey };
        let outcome = tokio::spawn(async move { sign_in_by_browser(&broker, &sign_in, &mut screen).await });
        Self { url: url.await.unwrap(), client, outcome }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.outcome.is_finished()
    }

    /// Starts to link an identity at `acme` with a session that it got; returns where a person goes.
    pub(super) async fn start_link(broker: &TestBroker, session: &Session) -> String {
        let provider = "acme".parse().unwrap();
        let started = client(broker).start_oauth_link(session, &LinkOauth { provider }).await.unwrap();
        started.authorize_url
    }

    /// The session that it gets, which stands at the broker.
    pub(super) async fn session(self) -> Session {
        let session = self.outcome.await.unwrap().unwrap();
        let view = self.client.session(&session).await.unwrap();
        assert_eq!(view.session_id, session.session_id);
        session
    }

    /// Why it gets none.
    pub(super) async fn refusal(self) -> ClientError {
        self.outcome.await.unwrap().unwrap_err()
    }
}

fn client(broker: &TestBroker) -> BrokerClient {
    BrokerClient::new(&Http::default(), broker.url("").parse().unwrap())
}

struct Screen(Option<oneshot::Sender<String>>);

#[async_trait]
impl BrowserScreen for Screen {
    async fn show(&mut self, url: &str) {
        self.0.take().unwrap().send(url.to_owned()).unwrap();
    }
}

/// A machine without a browser, which shows a code.
pub(super) struct Machine {
    pub(super) user_code: String,
    device: Device,
    device_code: String,
    http: reqwest::Client,
    token_url: String,
}

impl Machine {
    pub(super) async fn start(broker: &TestBroker) -> Self {
        let device = broker.device();
        let form = [("client_id", "agentkeys-cli"), ("client_name", MACHINE)];
        let request = broker.http().post(broker.url(paths::OAUTH_DEVICE_AUTHORIZATION)).form(&form);
        let started = device.send(request, None).await.expect(200);
        assert_eq!(started.text("verification_uri"), broker.url(paths::DEVICE));
        Self {
            user_code: started.text("user_code").to_owned(),
            device,
            device_code: started.text("device_code").to_owned(),
            http: broker.http().clone(),
            token_url: broker.url(paths::OAUTH_TOKEN),
        }
    }

    /// Asks whether it may go on.
    pub(super) async fn ask(&self) -> Answer {
        let form = [
            ("client_id", "agentkeys-cli"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &self.device_code),
        ];
        self.device.send(self.http.post(&self.token_url).form(&form), None).await
    }
}

/// A link of an identity at `acme`, for which a terminal waits.
pub(super) struct Link<'p> {
    pub(super) url: String,
    person: &'p Person,
    request_id: String,
}

impl<'p> Link<'p> {
    pub(super) async fn start(person: &'p Person) -> Self {
        let started = person.post(paths::IDENTITIES_OAUTH_START, &json!({"provider": "acme"})).await.expect(201);
        let request_id = started.text("request_id").to_owned();
        Self { url: started.text("authorize_url").to_owned(), person, request_id }
    }

    /// Asks whether it is linked.
    pub(super) async fn ask(&self) -> Answer {
        self.person.post(paths::IDENTITIES_OAUTH_VERIFY, &json!({"request_id": self.request_id})).await
    }
}

/// The identities that open a person's account, as `type value`.
pub(super) async fn identities(person: &Person) -> Vec<String> {
    let listed = person.get(paths::IDENTITIES).await.expect(200);
    let text = |field: &serde_json::Value| field.as_str().unwrap().to_owned();
    let identities = listed.body["identities"].as_array().unwrap().iter();
    identities.map(|identity| format!("{} {}", text(&identity["type"]), text(&identity["value"]))).collect()
}
