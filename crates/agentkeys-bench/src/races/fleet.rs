use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agentkeys_crypto::private_file;
use agentkeys_testing::{Answer, Form, Page, TestBrowser, TestProvider};
use agentkeys_types::SystemClock;
use anyhow::{Context, ensure};
use reqwest::{
    Request, RequestBuilder,
    header::{ACCEPT, COOKIE, SET_COOKIE},
    redirect::Policy,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{Barrier, Mutex, MutexGuard},
    task::JoinSet,
};

use super::REQUESTS;
use crate::{
    process::{Process, free_address},
    system::{System, folder_in_memory},
};

/// A mail on this machine that takes longer is not coming.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Three brokers on one store and one folder of keys, each a process, with a mailbox, a signer and a provider `acme`.
pub(super) struct Fleet {
    pub(super) system: System,
    siblings: Vec<Process>,
    /// Locked by who is signed in there.
    provider: Mutex<TestProvider>,
    own_store: TempDir,
    named: AtomicUsize,
}

/// Requests that race. Each is written for the first broker.
pub(super) struct Round {
    requests: Vec<Request>,
    /// Where they come from.
    source: Option<IpAddr>,
}

impl Round {
    /// The same request, as often as requests race.
    pub(super) fn of(request: &Request) -> anyhow::Result<Self> {
        Self::mixed(std::slice::from_ref(request))
    }

    /// These requests in turn, until there are as many as race.
    pub(super) fn mixed(requests: &[Request]) -> anyhow::Result<Self> {
        // Each broker gets some of all: the number of brokers and that of kinds have no common divisor.
        let turn = requests.iter().cycle().take(REQUESTS).map(Request::try_clone);
        Ok(Self { requests: turn.collect::<Option<_>>().context("a body that is no stream")?, source: None })
    }

    /// The same, from another address of this machine.
    pub(super) fn from(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }
}

impl Fleet {
    /// Starts everything, with no limits but these.
    pub(super) async fn start(bin: &Path, limits: &[(&str, usize)]) -> anyhow::Result<Self> {
        let (state, own_store) = (folder_in_memory()?, folder_in_memory()?);
        let provider = TestProvider::start(Arc::new(SystemClock)).await;
        let secret = state.path().join("acme-secret");
        private_file::create_new(&secret, TestProvider::CLIENT_SECRET.as_bytes())?;
        let sections = format!(
            "[providers.acme]\nlabel = \"Acme\"\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret_file = \"{}\"\n",
            provider.issuer(),
            TestProvider::CLIENT_ID,
            secret.display()
        );
        let system = System::start_with(bin, state, limits, &sections).await?;
        let siblings = vec![
            system.start_sibling(free_address()?, None).await?,
            system.start_sibling(free_address()?, None).await?,
        ];
        Ok(Self { system, siblings, provider: Mutex::new(provider), own_store, named: AtomicUsize::new(0) })
    }

    /// From now on, one of the brokers has a store of its own, which was the same until now.
    pub(super) async fn part_one_from_the_store(self) -> anyhow::Result<Self> {
        let mut addresses = Vec::new();
        for sibling in self.siblings {
            addresses.push(sibling.address);
            sibling.kill();
        }
        let copy = self.own_store.path().join("broker");
        let copying = |state: &Path| Command::new("cp").arg("-a").arg(state).arg(&copy).status().map(drop);
        let system = self.system.stop_broker_for(copying).await?;
        let mut siblings = Vec::new();
        for (address, state) in addresses.into_iter().zip([None, Some(copy.as_path())]) {
            siblings.push(system.start_sibling(address, state).await?);
        }
        Ok(Self { system, siblings, ..self })
    }

    /// Sends all requests of a round at once, spread over the brokers; returns the statuses of the answers.
    pub(super) async fn run(&self, round: Round) -> anyhow::Result<Vec<u16>> {
        let http =
            reqwest::Client::builder().no_proxy().redirect(Policy::none()).local_address(round.source).build()?;
        let ports: Vec<u16> = self.brokers().map(|broker| broker.port()).collect();
        let start = Arc::new(Barrier::new(round.requests.len()));
        let mut asked = JoinSet::new();
        for (mut request, port) in round.requests.into_iter().zip(ports.into_iter().cycle()) {
            let (http, start) = (http.clone(), Arc::clone(&start));
            let is_set = request.url_mut().set_port(Some(port)).is_ok();
            ensure!(is_set, "a URL with a port");
            asked.spawn(async move {
                start.wait().await;
                let response = http.execute(request).await?;
                let status = response.status().as_u16();
                response.bytes().await?;
                Ok::<_, reqwest::Error>(status)
            });
        }
        Ok(asked.join_all().await.into_iter().collect::<Result<_, _>>()?)
    }

    fn brokers(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(&self.system.broker).chain(&self.siblings).map(|broker| broker.address)
    }

    /// The first broker's URL for a path, or for a URL of it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.system.broker.address)
    }

    /// A number that nothing has yet.
    pub(super) fn number(&self) -> usize {
        self.named.fetch_add(1, Ordering::Relaxed)
    }

    /// An address that nobody has yet.
    pub(super) fn email(&self) -> String {
        format!("racer{}@example.com", self.number())
    }

    /// A request with a body of JSON, by the session of a token.
    pub(super) fn json(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.system.http().post(self.url(path)).bearer_auth(token).json(body)
    }

    /// A request with a form.
    pub(super) fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.system.http().post(self.url(path)).form(fields)
    }

    /// Sends a request of a session, which must succeed.
    pub(super) async fn ask(&self, path: &str, token: &str, body: &Value) -> anyhow::Result<Answer> {
        self.system.post(self.system.broker.address, path, Some(token), body).await
    }

    /// Asks, as the session of a token, for a code to link an address; returns the request and the code.
    pub(super) async fn link_code(&self, token: &str, email: &str) -> anyhow::Result<Value> {
        let started = self.ask("/v1/identities/email/start", token, &json!({"email": email})).await?;
        Ok(json!({"request_id": started.text("request_id"), "code": self.mailed_code(email).await?}))
    }

    async fn mailed_code(&self, email: &str) -> anyhow::Result<String> {
        tokio::time::timeout(LONGEST_WAIT, self.system.next_code(email)).await.context("no mail")?
    }

    /// How many mails have come, ever.
    pub(super) async fn mails(&self) -> anyhow::Result<usize> {
        let mailbox = format!("http://{}/mail", self.system.development.address);
        let mails = self.system.http().get(mailbox).header(ACCEPT, "application/json").send().await?;
        let newest = Answer::read(mails).await.body[0]["id"].as_u64().unwrap_or_default();
        Ok(usize::try_from(newest)?)
    }

    /// The provider, where nobody else is signed in meanwhile.
    pub(super) async fn provider(&self) -> MutexGuard<'_, TestProvider> {
        self.provider.lock().await
    }
}

/// Somebody at a browser that was never at the first broker before.
pub(super) struct Visitor<'f> {
    fleet: &'f Fleet,
    browser: TestBrowser,
    cookie: String,
}

impl<'f> Visitor<'f> {
    /// Opens a path; returns what the browser shows.
    pub(super) async fn open(fleet: &'f Fleet, path: &str) -> anyhow::Result<(Self, Page)> {
        let browser = TestBrowser::new(&fleet.url(""));
        let page = browser.open(path).await.expect(200);
        let cookie = page.headers.get(SET_COOKIE).context("a cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok((Self { fleet, browser, cookie }, page))
    }

    /// Proves an address; returns the page that asks for a decision.
    pub(super) async fn prove_by_email(&self, page: &Page) -> anyhow::Result<Page> {
        let email = self.fleet.email();
        let asks = self.submit(page, "/oauth/sign-in/email", &[("email", &email)]).await.expect(200);
        let code = self.fleet.mailed_code(&email).await?;
        Ok(self.submit(&asks, "/oauth/sign-in/code", &[("code", &code)]).await.expect(200))
    }

    /// Goes to the provider; returns where that was.
    pub(super) async fn leave_for_provider(&self, page: &Page) -> String {
        self.submit(page, "/oauth/sign-in/provider", &[("provider", "acme")]).await.expect(303).location().into()
    }

    /// Signs in at the provider as somebody new and comes back; returns the page that asks for a decision.
    pub(super) async fn prove_at_provider(&self, page: &Page) -> anyhow::Result<Page> {
        let url = self.leave_for_provider(page).await;
        let provider = self.fleet.provider().await;
        provider.sign_in_as(&format!("subject{}", self.fleet.number()), None);
        let callback = callback(&provider, &url).await?;
        Ok(self.browser.open(&callback).await.expect(200))
    }

    /// Fills in and posts a form of the page.
    pub(super) async fn submit(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        self.browser.submit(&page.form(action), fields).await
    }

    /// What posts a form of this browser.
    pub(super) fn post(&self, form: &Form) -> anyhow::Result<Request> {
        let post = self.fleet.system.http().post(self.fleet.url(&form.action)).form(&form.fields);
        Ok(post.header(COOKIE, &self.cookie).build()?)
    }

    /// What opens a path in this browser.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Request> {
        Ok(self.fleet.system.http().get(self.fleet.url(path)).header(COOKIE, &self.cookie).build()?)
    }
}

/// Where the provider sends a browser that comes to `url`, as a path.
pub(super) async fn callback(provider: &TestProvider, url: &str) -> anyhow::Result<String> {
    let answer = provider.authorize(url).await;
    let mut path: reqwest::Url = "http://broker/oauth/callback/acme".parse()?;
    let parameters = [("code", answer.code), ("state", answer.state), ("iss", answer.iss)];
    path.query_pairs_mut().extend_pairs(parameters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    Ok(format!("{}?{}", path.path(), path.query().unwrap_or_default()))
}
