use std::hint::black_box;

use agentkeys_broker::{AuthorizationRequest, Errand, SessionCaller};
use agentkeys_crypto::random;
use agentkeys_types::{EmailAddress, RequestId};
use anyhow::{Context, anyhow};
use async_trait::async_trait;

use super::{
    Kind, Pair,
    bench::{MACHINE, SOURCE, TimingBroker},
};

/// How many addresses there are of each kind.
const ADDRESSES: usize = 64;

/// Addresses that opened an account, and others, one of which is sent a code in each sample.
struct Addresses {
    bench: TimingBroker,
    known: Vec<EmailAddress>,
    unknown: Vec<EmailAddress>,
    inputs: Vec<EmailAddress>,
    next: Option<EmailAddress>,
}

impl Addresses {
    async fn new() -> anyhow::Result<Self> {
        let bench = TimingBroker::start().await?;
        // Every other one, so that both kinds lie side by side wherever they are kept.
        let people = TimingBroker::people(2 * ADDRESSES)?;
        let every_other = |first| people.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
        let (known, unknown) = (every_other(0), every_other(1));
        bench.sign_in(&known).await?;
        // Both kinds have asked for a mail in this hour, so that both are counted already.
        bench.begin(&unknown).await?;
        Ok(Self { bench, known, unknown, inputs: Vec::new(), next: None })
    }

    fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.inputs.clear();
        for kind in kinds {
            let addresses = if *kind == Kind::First { &self.known } else { &self.unknown };
            let one = addresses.get(usize::from(random::<1>()[0]) % ADDRESSES).context("there are that many")?;
            self.inputs.push(one.clone());
        }
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.next = Some(self.inputs[index].clone());
    }
}

/// Sign-ins that begin at a terminal.
pub(super) struct Start {
    addresses: Addresses,
    machine: Option<String>,
}

impl Start {
    pub(super) async fn new() -> anyhow::Result<Self> {
        Ok(Self { addresses: Addresses::new().await?, machine: None })
    }
}

#[async_trait]
impl Pair for Start {
    fn name(&self) -> &'static str {
        "sign-in: begun for a known or an unknown address"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.addresses.prepare(kinds)
    }

    fn load(&mut self, index: usize) {
        self.addresses.load(index);
        self.machine = Some(MACHINE.to_owned());
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let email = self.addresses.next.take().context("an address is loaded")?;
        let broker = self.addresses.bench.broker();
        black_box(broker.start_email_sign_in(email, self.machine.take(), None, SOURCE).await?);
        Ok(())
    }
}

/// Sign-ins that begin on a page, for the command.
pub(super) struct BrowserStart {
    addresses: Addresses,
    errand: Errand,
    browser: RequestId,
}

impl BrowserStart {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let addresses = Addresses::new().await?;
        let find = |name: &str| match name {
            "client_id" => Some("agentkeys-cli"),
            "redirect_uri" => Some("http://127.0.0.1:49152/callback"),
            "response_type" => Some("code"),
            "code_challenge" => Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            "code_challenge_method" => Some("S256"),
            "client_name" => Some(MACHINE),
            _ => None,
        };
        let request = AuthorizationRequest::read(find, addresses.bench.broker().issuer().as_str());
        let errand = Errand::Command(Box::new(request.map_err(|error| anyhow!("{error:?}"))?));
        Ok(Self { addresses, errand, browser: RequestId::from_bytes(random()) })
    }
}

#[async_trait]
impl Pair for BrowserStart {
    fn name(&self) -> &'static str {
        "sign-in on a page: begun for a known or an unknown address"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.addresses.prepare(kinds)
    }

    fn load(&mut self, index: usize) {
        self.addresses.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let email = self.addresses.next.take().context("an address is loaded")?;
        let broker = self.addresses.bench.broker();
        black_box(broker.begin_by_email(&self.errand, email, &self.browser, SOURCE).await?);
        Ok(())
    }
}

/// Links that are asked for by somebody's session: the first kind of address opens another account.
pub(super) struct LinkStart {
    addresses: Addresses,
    caller: SessionCaller,
}

impl LinkStart {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let addresses = Addresses::new().await?;
        let sessions = addresses.bench.sign_in(&["mallory@example.com".parse()?]).await?;
        let (token, _) = sessions.first().context("somebody signed in")?;
        let caller = addresses.bench.caller(token).await?;
        Ok(Self { addresses, caller })
    }
}

#[async_trait]
impl Pair for LinkStart {
    fn name(&self) -> &'static str {
        "link: begun for an address of another account or a free one"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        self.addresses.prepare(kinds)
    }

    fn load(&mut self, index: usize) {
        self.addresses.load(index);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let email = self.addresses.next.take().context("an address is loaded")?;
        black_box(self.addresses.bench.broker().start_email_link(&self.caller, email, SOURCE).await?);
        Ok(())
    }
}
