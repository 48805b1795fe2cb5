use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agentkeys_types::Timestamp;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::random;

/// After how long there is another nonce. One is good for as long again after that.
const WINDOW: Duration = Duration::from_mins(1);
/// How many proofs one nonce serves: it bounds what must be remembered of them.
const MOST_PROOFS: usize = 500_000;

/// The nonces that a server gives out, and which proofs each has served.
///
/// They are this process's own. So a proof is good at one process only, and once there: none is remembered for
/// longer than its nonce lives, and none that was used elsewhere or before a restart can be used here.
#[derive(Debug)]
pub(super) struct Nonces(Mutex<Windows>);

#[derive(Debug)]
struct Windows {
    current: Window,
    previous: Option<Window>,
}

#[derive(Debug)]
struct Window {
    nonce: String,
    opened_at: Timestamp,
    used: HashSet<[u8; 16]>,
}

/// What became of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It counts, for the first and only time.
    First,
    /// It was used before.
    Again,
    /// Its nonce is none that is good here now.
    OtherNonce,
}

impl Nonces {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Windows { current: Window::open(Timestamp::from_unix(i64::MIN)), previous: None }))
    }

    /// The nonce for proofs from now on.
    pub(super) fn current(&self, now: Timestamp) -> String {
        self.windows_at(now).current.nonce.clone()
    }

    /// Uses the proof `id` up under the nonce that it names.
    pub(super) fn use_up(&self, nonce: &str, id: [u8; 16], now: Timestamp) -> Use {
        let mut windows = self.windows_at(now);
        let Some(window) = windows.of(nonce) else { return Use::OtherNonce };
        if window.used.insert(id) { Use::First } else { Use::Again }
    }

    fn windows_at(&self, now: Timestamp) -> MutexGuard<'_, Windows> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (opened_at, served) = (windows.current.opened_at, windows.current.used.len());
        // A clock that stepped back must not stretch the life of a nonce.
        if now < opened_at || now >= opened_at.after(WINDOW) || served >= MOST_PROOFS {
            let is_next = now >= opened_at && now < opened_at.after(2 * WINDOW);
            let over = std::mem::replace(&mut windows.current, Window::open(now));
            windows.previous = is_next.then_some(over);
        }
        windows
    }
}

impl Windows {
    fn of(&mut self, nonce: &str) -> Option<&mut Window> {
        if self.current.nonce == nonce {
            return Some(&mut self.current);
        }
        self.previous.as_mut().filter(|window| window.nonce == nonce)
    }
}

impl Window {
    fn open(opened_at: Timestamp) -> Self {
        Self { nonce: URL_SAFE_NO_PAD.encode(random::<16>()), opened_at, used: HashSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const ID: [u8; 16] = [1; 16];

    #[test]
    fn a_proof_counts_once() {
        let nonces = Nonces::new();
        let nonce = nonces.current(NOW);

        assert_eq!(nonces.use_up(&nonce, ID, NOW), Use::First);
        assert_eq!(nonces.use_up(&nonce, ID, NOW), Use::Again);
        assert_eq!(nonces.use_up(&nonce, [2; 16], NOW), Use::First);
    }

    #[test]
    fn a_proof_counts_once_also_after_its_nonce_was_followed_by_another() {
        let nonces = Nonces::new();
        let nonce = nonces.current(NOW);
        nonces.use_up(&nonce, ID, NOW);

        let later = NOW.after(WINDOW);

        assert_ne!(nonces.current(later), nonce);
        assert_eq!(nonces.use_up(&nonce, ID, later), Use::Again);
        assert_eq!(nonces.use_up(&nonce, [2; 16], later), Use::First);
    }

    #[test]
    fn a_nonce_ends_after_two_minutes_at_most() {
        for end in [2 * WINDOW, 100 * WINDOW] {
            let nonces = Nonces::new();
            let nonce = nonces.current(NOW);
            nonces.current(NOW.after(WINDOW));

            assert_eq!(nonces.use_up(&nonce, ID, NOW.after(end)), Use::OtherNonce);
        }
    }

    #[test]
    fn no_nonce_outlives_a_clock_that_steps_back() {
        let nonces = Nonces::new();
        let nonce = nonces.current(NOW);

        let earlier = NOW.before(Duration::from_secs(1));

        assert_eq!(nonces.use_up(&nonce, ID, earlier), Use::OtherNonce);
    }

    #[test]
    fn one_process_knows_no_nonce_of_another() {
        let nonce = Nonces::new().current(NOW);

        assert_eq!(Nonces::new().use_up(&nonce, ID, NOW), Use::OtherNonce);
    }
}
