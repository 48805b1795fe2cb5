use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may have a turn or wait for one from one address.
const MOST_FROM_ONE: usize = 16;

/// One turn at a time for each address, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<IpAddr, Line>>);

/// Who has the turn of an address, and who waits for it.
#[derive(Debug)]
struct Line {
    turn: Arc<Semaphore>,
    length: usize,
}

/// A turn, or the wait for it.
pub(super) struct Turn {
    turns: Arc<Turns>,
    address: IpAddr,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for a turn; none where too many from the same address wait already.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let (mut turn, semaphore) = self.stand_in_line(address)?;
        turn.permit = Some(semaphore.acquire_owned().await.ok()?);
        Some(turn)
    }

    fn stand_in_line(self: &Arc<Self>, address: IpAddr) -> Option<(Turn, Arc<Semaphore>)> {
        let address = network(address);
        let mut lines = self.lines();
        let line = lines.entry(address).or_insert_with(|| Line { turn: Arc::new(Semaphore::new(1)), length: 0 });
        if line.length >= MOST_FROM_ONE {
            return None;
        }
        line.length += 1;
        Some((Turn { turns: Arc::clone(self), address, permit: None }, Arc::clone(&line.turn)))
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<IpAddr, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        let Some(line) = lines.get_mut(&self.address) else { return };
        line.length -= 1;
        if line.length == 0 {
            lines.remove(&self.address);
        }
    }
}

/// The address, or the network of one person: with IPv6 that has as many addresses as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((address.to_bits() >> 64 << 64).to_be_bytes()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_one_turn_at_a_time_and_nothing_is_left_of_it() {
        let (turns, ada) = (Arc::new(Turns::default()), IpAddr::from([192, 0, 2, 1]));
        let first = turns.take(ada).await.unwrap();
        let other = turns.take(IpAddr::from([192, 0, 2, 2])).await.unwrap();

        let mut second = Box::pin(turns.take(ada));
        let waits = tokio::select! {
            biased;
            _ = &mut second => false,
            () = std::future::ready(()) => true,
        };
        drop(first);
        let second = second.await.unwrap();

        assert!(waits);
        assert_eq!(turns.lines().len(), 2);
        drop((second, other));
        assert_eq!(turns.lines().len(), 0);
    }

    #[tokio::test]
    async fn a_line_is_not_endless_and_who_leaves_it_makes_room() {
        let (turns, ada) = (Arc::new(Turns::default()), IpAddr::from([192, 0, 2, 1]));
        let first = turns.take(ada).await.unwrap();
        let mut line: Vec<_> = std::iter::from_fn(|| turns.stand_in_line(ada)).collect();

        let full = turns.stand_in_line(ada).is_none();
        line.pop();

        assert_eq!((full, line.len()), (true, MOST_FROM_ONE - 2));
        assert!(turns.stand_in_line(ada).is_some());
        drop((first, line));
        assert_eq!(turns.lines().len(), 0);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let network = |text: &str| network(text.parse().unwrap());

        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
