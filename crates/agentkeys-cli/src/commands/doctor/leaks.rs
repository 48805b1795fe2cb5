//! Session tokens that lie where they must not: in histories, files of settings, and other programs' surroundings.
//!
//! Only what belongs to the person who runs this is looked at, within bounds of size, number and time. A token
//! itself is never shown.

mod files;
mod processes;
mod search;
#[cfg(test)]
mod tests;
mod token;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use agentkeys_client::Exit;

use self::{search::Search, token::TokenFinder};
use super::finding::Finding;
use crate::context::Context;

const NAME: &str = "leaks";
/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Where to search.
struct Ground {
    home: PathBuf,
    current: PathBuf,
    /// The history of the shell that calls.
    histfile: Option<PathBuf>,
    /// Linux's view of the processes; elsewhere there is no such folder.
    processes: PathBuf,
}

/// Searches, and tells where tokens were found.
pub(super) async fn check(context: &Context, histfile: Option<PathBuf>) -> Finding {
    let (now, command) = (context.clock.now(), context.command());
    let (Some(home), Some(finder)) = (env::home_dir(), TokenFinder::new(now)) else {
        return Finding::skipped(NAME, "there is no home folder to search");
    };
    let current = env::current_dir().unwrap_or_else(|_| home.clone());
    let ground = Ground { home, current, histfile, processes: PathBuf::from("/proc") };
    let search = Search::new(finder, Instant::now() + LIMIT);
    let searched = tokio::task::spawn_blocking(move || search.over(&ground).finding(&ground.home, &command));
    searched.await.unwrap_or_else(|_| {
        Finding::failure(NAME, Exit::Other, "the search broke off", "run it again with `-v`, which says more")
    })
}
