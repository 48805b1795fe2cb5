use std::time::Duration;

use agentkeys_api::ErrorCode;
use agentkeys_client::{
    Binding, BrokerClient, ClientError, EmailSignIn, Http, Session, SignerClient, SignerTrust, request_session_token,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{AT_ONCE, tally::Verdict};
use crate::{system::System, walk::Mailbox};

/// How many sessions of one account are revoked.
const DEVICES: usize = 8;
/// How often a server is asked that does not say whether it accepts a session.
const MOST_QUESTIONS: usize = 5;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(200);

/// An account with several sessions, each bound to a device key of its own.
#[derive(Debug)]
pub(super) struct Person {
    /// The session that revokes the others.
    pub(super) revoker: Session,
    devices: Vec<Session>,
}

impl Person {
    /// Signs somebody in, on so many devices and one more.
    pub(super) async fn sign_in(system: &System, address: &str, devices: usize) -> anyhow::Result<Self> {
        let broker = Clients::of(system)?.broker;
        let sign_in = EmailSignIn { email: address.parse()?, client_name: None, binding: Binding::DeviceKey };
        let mut prompt = Mailbox { system, address: address.to_owned() };
        let revoker = request_session_token(&broker, &sign_in, &mut prompt).await?;
        let mut sessions = Vec::new();
        for _ in 0..devices {
            sessions.push(request_session_token(&broker, &sign_in, &mut prompt).await?);
        }
        Ok(Self { revoker, devices: sessions })
    }
}

/// Signs in as many people as it takes to have `count` sessions to revoke.
pub(super) async fn sign_in(system: &System, count: usize) -> anyhow::Result<Vec<Person>> {
    let people = (0..count.div_ceil(DEVICES)).map(|number| async move {
        let devices = DEVICES.min(count - number * DEVICES);
        Person::sign_in(system, &format!("revocation{number}@example.com"), devices).await
    });
    stream::iter(people).buffer_unordered(AT_ONCE).try_collect().await
}

/// The sessions to revoke, each after who revokes it: one of everybody's, then the next one of everybody's.
pub(super) fn in_turn(people: &[Person]) -> impl Iterator<Item = (&Session, &Session)> {
    (0..DEVICES).flat_map(move |device| {
        people.iter().filter_map(move |person| Some((&person.revoker, person.devices.get(device)?)))
    })
}

/// The ways to both servers.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) broker: BrokerClient,
    signer: SignerClient,
}

impl Clients {
    /// With connections of their own.
    pub(super) fn of(system: &System) -> anyhow::Result<Self> {
        let http = Http::default();
        let signer = format!("http://{}", system.development.address).parse()?;
        Ok(Self {
            broker: BrokerClient::new(&http, format!("http://{}", system.broker.address).parse()?),
            signer: SignerClient::new(&http, signer, SignerTrust::Loopback)?,
        })
    }

    /// What broker and signer make of a session.
    pub(super) async fn show(&self, session: &Session) -> [Verdict; 2] {
        let (broker, signer) = tokio::join!(self.show_to_broker(session), self.show_to_signer(session));
        [broker, signer]
    }

    pub(super) async fn show_to_broker(&self, session: &Session) -> Verdict {
        insist(async || self.broker.session(session).await.map(drop)).await
    }

    pub(super) async fn show_to_signer(&self, session: &Session) -> Verdict {
        insist(async || self.signer.derive_address(session, session.omni_account).await.map(drop)).await
    }
}

/// Asks until the answer is yes or no.
async fn insist(question: impl AsyncFn() -> Result<(), ClientError>) -> Verdict {
    let mut verdict = judge(question().await);
    for _ in 1..MOST_QUESTIONS {
        if !matches!(verdict, Verdict::Unknown(_)) {
            break;
        }
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
        verdict = judge(question().await);
    }
    verdict
}

fn judge(answer: Result<(), ClientError>) -> Verdict {
    match answer {
        Ok(()) => Verdict::Accepted,
        Err(ClientError::Problem { problem, .. }) if problem.error == ErrorCode::TokenRevoked => Verdict::Revoked,
        Err(error) => Verdict::Unknown(error.to_string()),
    }
}
