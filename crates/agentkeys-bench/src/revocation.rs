mod people;
mod tally;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agentkeys_client::Session;
use anyhow::ensure;
use clap::{Args, ValueEnum};
use futures_util::{StreamExt, stream};

use self::{
    people::{Clients, Person},
    tally::{Tally, Trial, Verdict},
};
use crate::{report::line, system::System};

/// How many do something at once.
const AT_ONCE: usize = 32;
/// Within which time a signer must refuse a revoked session.
const SIGNER_LIMIT: Duration = Duration::from_secs(5);
/// Between two uses of a session at a signer that has not heard of its end.
const PAUSE: Duration = Duration::from_millis(1);

/// Revokes sessions that are in use, and looks for how long they are accepted, also after a crash and a restore.
#[derive(Debug, Args)]
pub(crate) struct Revocation {
    /// The folder of the servers' binaries.
    #[arg(long)]
    bin: PathBuf,
    /// How many sessions are revoked.
    #[arg(long, default_value_t = 5000)]
    trials: usize,
    /// A fault that must be found.
    #[arg(long, value_enum)]
    plant: Option<Plant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Plant {
    /// One session is taken for revoked that never was.
    Session,
    /// The broker is not told that its store was restored.
    Restore,
}

impl Revocation {
    /// Runs, prints what happened, and fails if anything was accepted that should not.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let system = System::start(&self.bin).await?;
        let people = people::sign_in(&system, self.trials).await?;
        let system = system.stop_broker_for(back_up).await?;
        let revoked: Vec<_> = people::in_turn(&people).collect();
        let tokens: Vec<_> = revoked.iter().map(|(_, session)| *session).collect();
        let clients = Clients::of(&system)?;
        // So that the signer waits for news of all of them when the first one is revoked.
        let before = show_all(&clients, &tokens).await;
        let refused = before.iter().flatten().find(|verdict| **verdict != Verdict::Accepted);
        ensure!(refused.is_none(), "before any revocation: {refused:?}");
        let started = Instant::now();
        let trials = self.revoke(&clients, &revoked).await;
        let mut tally = Tally { trials, elapsed: started.elapsed(), ..Tally::default() };

        let system = system.restart_broker().await?;
        tally.after_restart = show_all(&Clients::of(&system)?, &tokens).await;

        let plant = self.plant;
        let system = system.stop_broker_for(|state| restore(state, plant)).await?;
        let clients = Clients::of(&system)?;
        // None of those who revoked was ever revoked themselves, but what happened to them since nobody knows.
        let tokens: Vec<_> = tokens.into_iter().chain(people.iter().map(|person| &person.revoker)).collect();
        tally.after_restore = show_all(&clients, &tokens).await;

        tally.lines().iter().for_each(|text| line(text));
        tally.judge(SIGNER_LIMIT)?;
        ensure!(tally.trials.len() == self.trials, "only {} sessions were revoked", tally.trials.len());
        let newcomer = Person::sign_in(&system, "newcomer@example.com", 0).await?.revoker;
        let welcome = clients.show(&newcomer).await;
        ensure!(welcome == [Verdict::Accepted, Verdict::Accepted], "who signs in anew is not accepted: {welcome:?}");
        Ok(())
    }

    async fn revoke(&self, clients: &Clients, sessions: &[(&Session, &Session)]) -> Vec<Trial> {
        let trials = sessions.iter().enumerate().map(|(index, (revoker, session))| async move {
            let is_planted = self.plant == Some(Plant::Session) && index == 0;
            trial(clients, revoker, session, is_planted).await.unwrap_or_else(|error| Trial::failed(&error))
        });
        stream::iter(trials).buffer_unordered(AT_ONCE).collect().await
    }
}

/// Uses a session at broker and signer, has it revoked, and uses it again until both refuse it.
async fn trial(clients: &Clients, revoker: &Session, session: &Session, is_planted: bool) -> anyhow::Result<Trial> {
    let before = clients.show(session).await;
    ensure!(before == [Verdict::Accepted, Verdict::Accepted], "before its revocation: {before:?}");
    if !is_planted {
        clients.broker.revoke_session(revoker, session.session_id).await?;
    }
    let answered = Instant::now();
    let (broker, signer) = tokio::join!(clients.show_to_broker(session), async {
        loop {
            let verdict = clients.show_to_signer(session).await;
            if verdict != Verdict::Accepted || answered.elapsed() > SIGNER_LIMIT {
                return (verdict, answered.elapsed());
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    Ok(Trial { broker, signer: signer.0, signer_took: signer.1 })
}

/// Shows each session once to broker and signer.
async fn show_all(clients: &Clients, sessions: &[&Session]) -> Vec<[Verdict; 2]> {
    stream::iter(sessions).map(|session| clients.show(session)).buffer_unordered(AT_ONCE).collect().await
}

const STORE: &str = "agentkeys.db";
const BACKUP: &str = "backup.db";

fn back_up(state: &Path) -> io::Result<()> {
    fs::copy(state.join(STORE), state.join(BACKUP)).map(drop)
}

fn restore(state: &Path, plant: Option<Plant>) -> io::Result<()> {
    if plant == Some(Plant::Restore) {
        fs::remove_dir_all(state.join("keys/witness"))?;
    }
    fs::copy(state.join(BACKUP), state.join(STORE)).map(drop)
}
