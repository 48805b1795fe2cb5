use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    mem::{discriminant, take},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use crate::client::{Challenge, SignedIn};

/// Something that a server has acknowledged, as its record must tell it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    LinkedWallet {
        account: String,
        address: String,
    },
    Minted {
        jti: String,
    },
    ProvedWallet {
        session: String,
        address: String,
    },
    RevokedSession {
        session: String,
    },
    /// The message by its Keccak-256.
    Signed {
        message: String,
    },
    SignedIn {
        session: String,
    },
    UnlinkedWallet {
        account: String,
        address: String,
    },
}

/// How many kinds of facts there are.
const KINDS: usize = 7;

/// What became of a one-time item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It waits, and must work once.
    Open,
    /// The answer was lost: it may work once more, or not.
    Doubtful,
    /// It has worked, and must not do so again.
    Done,
}

/// What the servers have acknowledged, and so must still know after anything.
#[derive(Default)]
pub(super) struct Kept {
    facts: BTreeSet<Fact>,
    pub(super) standing: BTreeMap<String, SignedIn>,
    pub(super) revoked: Vec<SignedIn>,
    pub(super) linked: BTreeMap<String, SignedIn>,
    pub(super) unlinked: BTreeMap<String, SignedIn>,
    pub(super) codes: BTreeMap<String, (String, Use)>,
    pub(super) challenges: BTreeMap<String, (Challenge, Use)>,
}

impl Kept {
    pub(super) fn facts(&self) -> &BTreeSet<Fact> {
        &self.facts
    }

    /// Whether there is something of every kind, or a check would check nothing.
    pub(super) fn has_everything(&self) -> bool {
        let kinds: HashSet<_> = self.facts.iter().map(discriminant).collect();
        let Self { facts: _, standing, revoked, linked, unlinked, codes, challenges } = self;
        let filled = [
            !standing.is_empty(),
            !revoked.is_empty(),
            !linked.is_empty(),
            !unlinked.is_empty(),
            !codes.is_empty(),
            !challenges.is_empty(),
        ];
        kinds.len() == KINDS && filled.iter().all(|filled| *filled)
    }

    pub(super) fn absorb(&mut self, other: Self) {
        let Self { facts, standing, revoked, linked, unlinked, codes, challenges } = other;
        self.facts.extend(facts);
        self.standing.extend(standing);
        self.revoked.extend(revoked);
        self.linked.extend(linked);
        self.unlinked.extend(unlinked);
        self.codes.extend(codes);
        self.challenges.extend(challenges);
    }
}

/// Where all writers note what was acknowledged to them.
#[derive(Clone)]
pub(super) struct Ledger {
    kept: Arc<Mutex<Kept>>,
    count: watch::Sender<usize>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { kept: Arc::default(), count: watch::Sender::new(0) }
    }
}

impl Ledger {
    /// Notes what follows from no record.
    pub(super) fn note(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut self.kept.lock().unwrap());
    }

    /// Notes a fact, and what follows from it.
    pub(super) fn acknowledge(&self, fact: Fact, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.kept.lock().unwrap();
        kept.facts.insert(fact);
        change(&mut kept);
        self.count.send_modify(|count| *count += 1);
    }

    /// Notes somebody with a session.
    pub(super) fn signed_in(&self, who: &SignedIn) {
        self.acknowledge(Fact::SignedIn { session: who.session_id.clone() }, |kept| {
            kept.standing.insert(who.session_id.clone(), who.clone());
        });
    }

    /// Returns when so many facts are noted.
    pub(super) async fn reaches(&self, enough: usize) {
        let _ = self.count.subscribe().wait_for(|count| *count >= enough).await;
    }

    /// All that was noted.
    pub(super) fn take(&self) -> Kept {
        take(&mut self.kept.lock().unwrap())
    }
}
