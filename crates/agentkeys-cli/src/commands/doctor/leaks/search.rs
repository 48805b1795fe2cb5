use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use agentkeys_client::Exit;

use super::{
    Ground, NAME, files, processes,
    token::{Found, TokenFinder, shown},
};
use crate::commands::doctor::finding::Finding;

/// How many leaks are told one by one.
const TOLD: usize = 5;

/// What has been found so far.
pub(super) struct Search {
    finder: TokenFinder,
    until: Instant,
    leaks: Vec<(Place, Found)>,
    files: usize,
    /// `None` where the system does not show them.
    pub(super) processes: Option<usize>,
    pub(super) too_large: BTreeSet<PathBuf>,
    stopped_early: bool,
}

/// Where a token lies.
pub(super) enum Place {
    CommandLine { pid: u32 },
    File { path: PathBuf, line: usize },
    Variable { pid: u32, name: String },
}

impl Search {
    pub(super) fn new(finder: TokenFinder, until: Instant) -> Self {
        let (leaks, too_large) = (Vec::new(), BTreeSet::new());
        Self { finder, until, leaks, files: 0, processes: None, too_large, stopped_early: false }
    }

    /// Searches the whole ground, or as much of it as there is time for.
    pub(super) fn over(mut self, ground: &Ground) -> Self {
        processes::search(&ground.processes, &mut self);
        files::search(ground, &mut self);
        self
    }

    /// Looks at the content of a file.
    pub(super) fn file(&mut self, path: &Path, content: &[u8]) {
        self.files += 1;
        for (at, found) in self.finder.find(content) {
            let line = content[..at].split(|byte| *byte == b'\n').count();
            self.leaks.push((Place::File { path: path.to_owned(), line }, found));
        }
    }

    /// Looks at something else that `place` tells how to find again.
    pub(super) fn text(&mut self, text: &[u8], place: impl Fn() -> Place) {
        self.leaks.extend(self.finder.find(text).into_iter().map(|(_, found)| (place(), found)));
    }

    /// Whether there is still time; that there was none is remembered.
    pub(super) fn has_time(&mut self) -> bool {
        self.stopped_early |= Instant::now() >= self.until;
        !self.stopped_early
    }

    /// Remembers that not everything was looked at.
    pub(super) fn stop_early(&mut self) {
        self.stopped_early = true;
    }

    /// What to tell a person, who knows `home` as `~`.
    pub(super) fn finding(&self, home: &Path, command: &str) -> Finding {
        let searched = self.searched(home);
        if self.leaks.is_empty() {
            let message = format!("no token in {searched}");
            if self.stopped_early {
                return Finding::warning(NAME, message, "run it again from another folder, or on a quieter machine");
            }
            return Finding::ok(NAME, message);
        }
        let mut places: Vec<String> =
            self.leaks.iter().take(TOLD).map(|(place, found)| format!("{} ({found})", place.shown(home))).collect();
        if self.leaks.len() > TOLD {
            places.push(format!("{} more", self.leaks.len() - TOLD));
        }
        let message = format!("{} ({searched})", places.join(", "));
        if self.leaks.iter().all(|(_, found)| found.is_over) {
            return Finding::warning(NAME, message, "all of them are over: remove them from there");
        }
        let sessions: BTreeSet<String> =
            self.leaks.iter().filter(|(_, found)| !found.is_over).map(|(_, found)| found.session_shown()).collect();
        let revoke: Vec<String> =
            sessions.iter().map(|session| format!("{command} sessions revoke {session}")).collect();
        let hint = format!("whoever reads it there is you: {}; then remove it from there", revoke.join("; "));
        Finding::failure(NAME, Exit::Other, message, hint)
    }

    fn searched(&self, home: &Path) -> String {
        let mut searched = vec![match self.processes {
            Some(processes) => format!("{} files and {processes} processes", self.files),
            None => format!("{} files; processes cannot be looked at here", self.files),
        }];
        if let Some(first) = self.too_large.first() {
            let others = if self.too_large.len() > 1 { " and others" } else { "" };
            searched.push(format!("over 1 MiB, so skipped: {}{others}", path_shown(first, home)));
        }
        if self.stopped_early {
            searched.push("stopped early, so not all".to_owned());
        }
        searched.join("; ")
    }
}

impl Place {
    fn shown(&self, home: &Path) -> String {
        match self {
            Self::CommandLine { pid } => format!("command line of process {pid}"),
            Self::File { path, line } => format!("{}:{line}", path_shown(path, home)),
            Self::Variable { pid, name } => format!("variable {} of process {pid}", shown(name)),
        }
    }
}

fn path_shown(path: &Path, home: &Path) -> String {
    match path.strip_prefix(home) {
        Ok(below) => shown(&format!("~/{}", below.display())),
        Err(_) => shown(&path.display().to_string()),
    }
}
