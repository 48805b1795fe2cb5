mod codes;
mod decisions;
mod fleet;
mod identities;
mod limits;
mod tally;

use std::path::PathBuf;

use anyhow::ensure;
use async_trait::async_trait;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};

use self::{
    fleet::{Fleet, Round},
    tally::Tally,
};
use crate::report::line;

/// How many requests race in a round.
const REQUESTS: usize = 64;
/// How many rounds are made ready before they are run: fewer than grow too old meanwhile.
const BATCH: usize = 50;
/// How many rounds are made ready at once.
const AT_ONCE: usize = 8;

/// Has many requests race for what may be had once or a few times, at three brokers on one store.
#[derive(Debug, Args)]
pub(crate) struct Races {
    /// The folder of the servers' binaries.
    #[arg(long)]
    bin: PathBuf,
    /// How many rounds of each kind.
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// Give one of the brokers a store of its own: a fault that must be found.
    #[arg(long)]
    plant: bool,
}

/// Something that may be had once, or a few times.
#[async_trait]
trait Race: Sync {
    /// What is raced for.
    fn name(&self) -> &'static str;

    /// How many of the requests of a round may succeed, and must.
    fn most(&self) -> usize {
        1
    }

    /// Whether an answer of this status says that a request has succeeded.
    fn is_success(&self, status: u16) -> bool {
        status < 400
    }

    /// Makes a round ready, in which nothing was used yet.
    async fn prepare(&self, fleet: &Fleet) -> anyhow::Result<Round>;
}

const ONCE: [&dyn Race; 10] = [
    &codes::EmailCode,
    &codes::AuthorizationCode,
    &codes::DeviceCode,
    &codes::WalletChallenge,
    &decisions::Decision,
    &decisions::ProviderAnswer,
    &identities::LinkedAddress,
    &identities::LinkedAtProvider,
    &identities::TwoAccounts,
    &identities::LastIdentities,
];

const LIMITED: [&dyn Race; 3] = [&limits::Mails, &limits::Devices, &limits::UserCodes];

impl Races {
    /// Runs, prints what happened, and fails if anything was had more or less often than it may be.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut fair = self.race(&ONCE, Fleet::start(&self.bin, &[]).await?).await?;
        fair &= self.race(&LIMITED, Fleet::start(&self.bin, &limits::LIMITS).await?).await?;
        ensure!(fair, "something was had more or less often than it may be");
        Ok(())
    }

    /// Whether everything of these kinds was had exactly as often as it may be.
    async fn race(&self, kinds: &[&dyn Race], mut fleet: Fleet) -> anyhow::Result<bool> {
        let mut tallies: Vec<Tally> = kinds.iter().map(|kind| Tally::of(*kind)).collect();
        if self.plant {
            let mut batches = Vec::new();
            for kind in kinds {
                batches.push(prepare(*kind, &fleet, self.rounds).await?);
            }
            fleet = fleet.part_one_from_the_store().await?;
            for (tally, rounds) in tallies.iter_mut().zip(batches) {
                run(rounds, &fleet, tally).await?;
                line(&tally.line());
            }
        } else {
            for (kind, tally) in kinds.iter().zip(&mut tallies) {
                while tally.rounds < self.rounds {
                    let size = BATCH.min(self.rounds - tally.rounds);
                    run(prepare(*kind, &fleet, size).await?, &fleet, tally).await?;
                }
                line(&tally.line());
            }
        }
        Ok(tallies.iter().all(Tally::is_fair) & limits::are_mails_right(&fleet, &tallies).await?)
    }
}

async fn prepare(kind: &dyn Race, fleet: &Fleet, rounds: usize) -> anyhow::Result<Vec<Round>> {
    stream::iter((0..rounds).map(|_| kind.prepare(fleet))).buffer_unordered(AT_ONCE).try_collect().await
}

async fn run(rounds: Vec<Round>, fleet: &Fleet, tally: &mut Tally<'_>) -> anyhow::Result<()> {
    for round in rounds {
        tally.count(&fleet.run(round).await?);
    }
    Ok(())
}
