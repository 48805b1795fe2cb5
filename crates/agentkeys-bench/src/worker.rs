//! The TEE worker on a TPM in software, against the development signer.

mod tls;

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use agentkeys_api::{WalletChallenge, WalletStart, paths};
use agentkeys_client::{
    AttestationPolicy, Binding, BrokerClient, EmailSignIn, Flow, Http, KeptAttestations, Places, ProfileName, Session,
    SignerClient, SignerTrust, StsClient,
};
use agentkeys_testing::WorkerMachine;
use agentkeys_types::{Clock, SystemClock, TokenDigest};
use anyhow::{Context, ensure};
use serde_json::json;
use tokio::net::TcpStream;

use self::tls::AnyServer;
use crate::{
    load::{self, Connection, Measured},
    process::{Process, cpu_time_of},
    report::{self, line, millis},
    system::System,
    walk::Mailbox,
};

const CALLERS: usize = 64;
const EMAIL: &str = "worker@example.com";
/// What share of the development signer's rate is aimed at.
const AIM: f64 = 0.5;
const EXAMINATIONS: usize = 101;

/// Measures the worker, and prints it.
pub(crate) async fn report(system: &System, requests: usize) -> anyhow::Result<()> {
    let folder = system.state().join("worker");
    let machine = WorkerMachine::new(&folder, &format!("http://{}", system.broker.address));
    let mut command = Command::new(system.bin().join("agentkeys-tee-worker"));
    command.args(machine.arguments("info"));
    let worker = Process::start(&mut command, machine.address(), &system.state().join("log")).await?;

    let flow = flow(system, &machine, &folder)?;
    let sign_in = EmailSignIn { email: EMAIL.parse()?, client_name: None, binding: Binding::DeviceKey };
    let mut prompt = Mailbox { system, address: EMAIL.to_owned() };
    let session = flow.sign_in(&sign_in, &mut prompt, &mut ()).await?;
    // The first one pins the device.
    let address = flow.connect_wallet(&session, &mut ()).await?;
    let resting = worker.resident()?;

    line("");
    report::head();
    let challenge = flow.broker.start_wallet(&session, &WalletStart { address, chain_id: None }).await?;
    let development = format!("http://{}", system.development.address);
    let signing = Signing { session: &session, challenge: &challenge };
    let plain =
        signing.measure(&system.development, &development, requests, || Connection::open(system.development.address));
    let plain = plain.await.context("the development signer")?;
    report::reported("development signer: signing with a device proof, 64 callers", &plain);
    let server = AnyServer::at(machine.address());
    let url = machine.url();
    let attested = signing.measure(&worker, &url, requests, || server.connect());
    let attested = attested.await.context("the worker")?;
    report::reported("worker: the same, by TLS, each in the log", &attested);

    line("");
    line(&format!(
        "the worker signs at {:.2} of the development signer's rate by CPU time, {:.2} by the clock (aim {AIM})",
        plain.cpu_each().as_secs_f64() / attested.cpu_each().as_secs_f64(),
        attested.per_second() / plain.per_second(),
    ));
    let (cpu, elapsed) = examinations(&flow).await?;
    line(&format!(
        "the check of evidence takes a client {} ms of CPU time, handshake included (aim 20); with the signer's part {} ms",
        millis(cpu),
        millis(elapsed)
    ));
    line(&format!("worker resident: at rest {resting} KiB, after all that {} KiB (aim 20480)", worker.resident()?));
    worker.stop().await
}

fn flow(system: &System, machine: &WorkerMachine, folder: &Path) -> anyhow::Result<Flow> {
    let http = Http::default();
    let kept = KeptAttestations::of(&Places::new(folder, None, None, None), &ProfileName::default());
    let policy = AttestationPolicy::load(&machine.policy(), Some(&machine.release_public_key()), kept)?;
    Ok(Flow {
        broker: BrokerClient::new(&http, format!("http://{}", system.broker.address).parse()?),
        signer: SignerClient::new(&http, machine.url().parse()?, SignerTrust::Policy(Arc::new(policy)))?,
        sts: StsClient::new(&http),
    })
}

/// CPU time in this process, and time on the clock, of one look at the evidence; nothing else happens here meanwhile.
async fn examinations(flow: &Flow) -> anyhow::Result<(Duration, Duration)> {
    let mut elapsed = Vec::with_capacity(EXAMINATIONS);
    let before = cpu_time_of(std::process::id())?;
    for _ in 0..EXAMINATIONS {
        let started = std::time::Instant::now();
        let examined = flow.signer.examine().await?.context("a signer that is judged")?;
        ensure!(examined.is_accepted, "{:?}", examined.failed());
        elapsed.push(started.elapsed());
    }
    let cpu = cpu_time_of(std::process::id())?.saturating_sub(before);
    elapsed.sort();
    Ok((cpu / u32::try_from(EXAMINATIONS)?, elapsed[EXAMINATIONS / 2]))
}

/// The same message of the same caller again and again, each time with a proof of its own.
struct Signing<'s> {
    session: &'s Session,
    challenge: &'s WalletChallenge,
}

impl Signing<'_> {
    /// Warms up with a tenth of the requests, then measures them.
    async fn measure<S, O>(
        &self,
        server: &Process,
        url: &str,
        requests: usize,
        open: impl Fn() -> O,
    ) -> anyhow::Result<Measured>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        O: Future<Output = anyhow::Result<Connection<S>>> + Send + 'static,
    {
        let mut connection = open().await?;
        connection.ask(&self.request(url, None)?).await?;
        let nonce = connection.header("dpop-nonce").context("no nonce")?.to_owned();
        let batch = |count: usize| (0..count).map(|_| self.request(url, Some(&nonce))).collect::<anyhow::Result<_>>();
        load::send_over(server, CALLERS, batch(requests / 10)?, &open).await?;
        load::send_over(server, CALLERS, batch(requests)?, &open).await
    }

    fn request(&self, url: &str, nonce: Option<&str>) -> anyhow::Result<Vec<u8>> {
        let (token, key) = (self.session.token.expose(), self.session.device_key.as_ref().context("a device key")?);
        let path = paths::SIGN_MESSAGE;
        let digest = Some(TokenDigest::of(token));
        let proof = key.prove("POST", &format!("{url}{path}"), digest, nonce, SystemClock.now())?;
        let message = hex::encode(&self.challenge.siwe_message);
        let body = json!({"omni_account": self.session.omni_account, "message_hex": message}).to_string();
        let host = url.split("://").nth(1).context("a URL")?;
        Ok(format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nauthorization: DPoP {token}\r\n\
             dpop: {proof}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes())
    }
}

type TlsConnection = Connection<tokio_rustls::client::TlsStream<TcpStream>>;
