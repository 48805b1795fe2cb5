mod people;
mod tally;
mod verifier;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::Args;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, interval_at},
};

use self::{people::People, tally::Tally, verifier::CachingVerifier};
use crate::{report::line, system::System};

/// How many keep the broker's JWK Set, each for itself.
const VERIFIERS: usize = 4;
/// How many are signed in before the first rotation.
const FIRST_PEOPLE: usize = 5;
/// How often somebody else signs in.
const NEWCOMER_EVERY: Duration = Duration::from_secs(3);
/// How often a session token is shown to broker and signer.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// How often somebody proves their wallet again.
const PROOF_EVERY: Duration = Duration::from_secs(1);

/// Rotates the signing keys of a real broker while OIDC JWTs are minted and session tokens are used.
#[derive(Debug, Args)]
pub(crate) struct Rotation {
    /// The folder of the servers' binaries.
    #[arg(long)]
    bin: PathBuf,
    /// For how long.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many seconds lie between two rotations.
    #[arg(long, default_value_t = 5)]
    every: u64,
    /// How many JWTs are minted in a second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Drop the previous keys at each rotation: a fault that must be found.
    #[arg(long)]
    plant: bool,
}

/// What all tasks share.
struct Bench {
    system: System,
    people: People,
    verifiers: Vec<CachingVerifier>,
    tally: Tally,
}

impl Rotation {
    /// Runs, prints what happened, and fails if anything did that should not.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let system = System::start(&self.bin).await?;
        let verifiers = (0..VERIFIERS).map(|_| CachingVerifier::new(&system)).collect();
        let bench = Arc::new(Bench { people: People::default(), tally: Tally::default(), verifiers, system });
        for _ in 0..FIRST_PEOPLE {
            bench.people.add_newcomer(&bench.system).await?;
        }
        let mut chores = JoinSet::new();
        chores.spawn(Arc::clone(&bench).rotate(Duration::from_secs(self.every), self.plant));
        chores.spawn(Arc::clone(&bench).welcome_newcomers());
        chores.spawn(Arc::clone(&bench).use_session_tokens());
        chores.spawn(Arc::clone(&bench).prove_wallets());
        let elapsed = Arc::clone(&bench).mint(self.rate, Duration::from_secs(self.seconds)).await;
        chores.shutdown().await;
        self.judge(&bench.tally, elapsed)
    }

    fn judge(&self, tally: &Tally, elapsed: Duration) -> anyhow::Result<()> {
        line(&tally.summary(elapsed));
        tally.failures().iter().for_each(|failure| line(failure));
        let (minted, rotations) = (tally.minted(), tally.rotations());
        ensure!(tally.failures().is_empty(), "keys that changed were noticed");
        ensure!(
            minted >= u64::from(self.rate) * self.seconds * 9 / 10,
            "only {minted} JWTs were minted, too few to show anything"
        );
        ensure!(rotations + 1 >= self.seconds / self.every, "only {rotations} rotations");
        // One that came just before the end may not have been noticed yet.
        ensure!(tally.kids() >= rotations, "only {} keys have signed: the broker does not take new ones", tally.kids());
        Ok(())
    }
}

impl Bench {
    async fn rotate(self: Arc<Self>, every: Duration, plant: bool) {
        let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
        let arguments = ["keys", "rotate", "--drop-previous", "--yes"];
        let arguments = if plant { &arguments[..] } else { &arguments[..2] };
        loop {
            ticks.tick().await;
            let command = self.system.broker_command(arguments);
            let mut command = tokio::process::Command::from(command);
            match command.kill_on_drop(true).output().await {
                Ok(output) if output.status.success() => self.tally.rotated(),
                other => self.tally.failed("rotation", &format!("{other:?}")),
            }
        }
    }

    async fn welcome_newcomers(self: Arc<Self>) {
        let mut ticks = interval_at(tokio::time::Instant::now() + NEWCOMER_EVERY, NEWCOMER_EVERY);
        loop {
            ticks.tick().await;
            self.tally.note("sign-in", self.people.add_newcomer(&self.system).await);
        }
    }

    /// Shows everybody's session token in turn, the oldest as often as the newest.
    async fn use_session_tokens(self: Arc<Self>) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let person = self.people.next();
            let url = format!("http://{}/v1/session", self.system.broker.address);
            let shown = self.system.http().get(url).bearer_auth(&person.token).send().await;
            let shown = shown.and_then(reqwest::Response::error_for_status).map_err(anyhow::Error::from);
            self.tally.note("session token at the broker", shown.map(drop));
            let body = json!({"omni_account": person.account});
            let signer = self.system.development.address;
            let derived = self.system.post(signer, "/dev/derive-address", Some(&person.token), &body).await;
            self.tally.note("session token at the signer", derived.map(drop));
        }
    }

    async fn prove_wallets(self: Arc<Self>) {
        let mut ticks = interval(PROOF_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tally.note("wallet proof", self.people.renew_oldest_proof(&self.system).await);
        }
    }

    /// Mints at this rate, whatever answers say, and has each JWT verified at once.
    async fn mint(self: Arc<Self>, rate: u32, time: Duration) -> Duration {
        let started = Instant::now();
        let mut ticks = interval(Duration::from_secs(1) / rate);
        let mut mints = JoinSet::new();
        for index in 0.. {
            ticks.tick().await;
            if started.elapsed() >= time {
                break;
            }
            mints.spawn(Arc::clone(&self).mint_one(index % VERIFIERS));
            while mints.try_join_next().is_some() {}
        }
        let elapsed = started.elapsed();
        mints.join_all().await;
        elapsed
    }

    async fn mint_one(self: Arc<Self>, verifier: usize) {
        let (person, body) = (self.people.next(), json!({}));
        let broker = self.system.broker.address;
        match self.system.post(broker, "/v1/mint-oidc-jwt", Some(&person.wallet_token), &body).await {
            Ok(minted) => self.tally.minted_by(self.verifiers[verifier].verify(minted.text("jwt")).await),
            Err(error) => self.tally.failed("mint", &error.to_string()),
        }
    }
}
