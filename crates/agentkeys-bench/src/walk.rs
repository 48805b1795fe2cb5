use std::time::{Duration, Instant};

use agentkeys_api::EmailStarted;
use agentkeys_client::{
    Binding, BrokerClient, ClientError, CodePrompt, EmailSignIn, Flow, Http, Observer, Role, SignerClient, SignerTrust,
    Step, StsClient,
};
use async_trait::async_trait;

use crate::{
    report::{line, millis},
    system::System,
};

const WALKS: usize = 21;
const ROLE: &str = "arn:aws:iam::000000000000:role/agentkeys-dev";
/// What must be on disk before an answer or a mail leaves: the sign-in that waits, who sends its mail, the session, the
/// wallet link, the challenge, the signing, the proof, the mint.
const SYNCS: u32 = 8;
/// What all the rest may take.
const REST: Duration = Duration::from_millis(8);

/// Walks the eight steps, each time as somebody new, and prints how long that took.
pub(crate) async fn eight_steps(system: &System, sync: Duration) -> anyhow::Result<()> {
    let http = Http::default();
    let flow = Flow {
        broker: BrokerClient::new(&http, format!("http://{}", system.broker.address).parse()?),
        signer: SignerClient::new(
            &http,
            format!("http://{}", system.development.address).parse()?,
            SignerTrust::Loopback,
        )?,
        sts: StsClient::new(&http),
    };
    let role = Role::with_arn(ROLE.parse()?);
    let role = Role { endpoint_url: Some(format!("http://{}", system.aws).parse()?), ..role };
    let mut walks = Vec::new();
    for index in 0..WALKS {
        let email = format!("walker{index}@example.com").parse()?;
        let mut prompt = Mailbox { system, address: format!("walker{index}@example.com") };
        let mut steps = Steps::default();
        let started = Instant::now();
        flow.walk(
            &EmailSignIn { email, client_name: None, binding: Binding::DeviceKey },
            &mut prompt,
            &role,
            &mut steps,
        )
        .await?;
        walks.push((started.elapsed(), steps.0));
    }
    walks.sort_by_key(|(total, _)| *total);
    let (total, steps) = &walks[WALKS / 2];
    let each: Vec<_> = steps.iter().map(|(step, elapsed)| format!("{} {}", step.number(), millis(*elapsed))).collect();
    line(&format!(
        "the eight steps: {} ms (aim {SYNCS} syncs of {} ms and {} ms = {} ms); by step, ms: {}",
        millis(*total),
        millis(sync),
        REST.as_millis(),
        millis(sync * SYNCS + REST),
        each.join(", ")
    ));
    Ok(())
}

#[derive(Default)]
struct Steps(Vec<(Step, Duration)>);

impl Observer for Steps {
    fn step(&mut self, step: Step, elapsed: Duration, _: &str) {
        self.0.push((step, elapsed));
    }
}

/// Reads codes from the mailbox's page.
pub(crate) struct Mailbox<'s> {
    pub(crate) system: &'s System,
    pub(crate) address: String,
}

#[async_trait]
impl CodePrompt for Mailbox<'_> {
    async fn code(&mut self, _: &EmailStarted, _: u32) -> Result<String, ClientError> {
        self.system.next_code(&self.address).await.map_err(|_| ClientError::NoCode)
    }
}
