use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use zeroize::Zeroizing;

#[cfg(unix)]
use crate::pages::Pages;
use crate::protection::Protection;

/// Whether secrets get pages of their own.
static APART: AtomicBool = AtomicBool::new(false);

/// From now on, gives every new [`Secret`] pages of its own, which other processes cannot read.
///
/// For processes that hold a few secrets of one person. A server, with one for each request, is better off without:
/// each costs a page of locked memory and some calls of the kernel.
pub fn keep_secrets_apart() {
    APART.store(true, Ordering::Relaxed);
}

/// Bytes that nobody but this process is to read.
///
/// Prints as a placeholder, and is wiped when the last clone is dropped. Clones share the one copy.
#[derive(Clone)]
pub struct Secret(Arc<Place>);

impl Secret {
    /// Takes `bytes` to where secrets live, and wipes where they were.
    ///
    /// It never fails: where there is no better place, it is the heap.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        if APART.load(Ordering::Relaxed) { Self::apart(bytes) } else { Self(Arc::new(Place::Heap(bytes))) }
    }

    /// As [`Secret::new`], in pages of its own also where the process does not keep all of its secrets apart.
    ///
    /// For the few that a server holds for as long as it runs.
    pub fn apart(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(Place::apart(bytes)))
    }

    /// The bytes, for the one use that needs them.
    pub fn expose(&self) -> &[u8] {
        match &*self.0 {
            Place::Heap(bytes) => bytes,
            #[cfg(unix)]
            Place::Locked(pages) | Place::Secret(pages) => pages.bytes(),
        }
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Where the bytes of a secret are.
pub(crate) enum Place {
    Heap(Zeroizing<Vec<u8>>),
    #[cfg(unix)]
    Locked(Pages),
    #[cfg(unix)]
    Secret(Pages),
}

impl Place {
    /// The best place that there is.
    pub(crate) fn apart(bytes: Zeroizing<Vec<u8>>) -> Self {
        #[cfg(unix)]
        {
            let secret = Pages::secret(&bytes).map(Self::Secret);
            if let Ok(place) = secret.or_else(|_| Pages::locked(&bytes).map(Self::Locked)) {
                return place;
            }
        }
        Self::Heap(bytes)
    }

    pub(crate) fn protection(&self) -> Protection {
        match self {
            Self::Heap(_) => Protection::Heap,
            #[cfg(unix)]
            Self::Locked(_) => Protection::LockedPages,
            #[cfg(unix)]
            Self::Secret(_) => Protection::SecretMemory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_what_was_put_in() {
        for bytes in [&b""[..], b"a", &[7; 10_000]] {
            let secret = Secret::from(bytes);

            assert_eq!(secret.expose(), bytes);
        }
    }

    #[test]
    fn a_clone_outlives_its_original() {
        let secret = Secret::from(&b"aks_token"[..]);
        let clone = secret.clone();

        drop(secret);

        assert_eq!(clone.expose(), b"aks_token");
    }

    #[test]
    fn a_secret_never_prints_itself() {
        assert_eq!(format!("{:?}", Secret::from(&b"aks_token"[..])), "Secret(…)");
    }

    #[test]
    fn a_secret_kept_apart_reads_back_also_where_it_is_empty() {
        for bytes in [&b""[..], b"a", &[7; 10_000]] {
            let secret = Secret::apart(bytes.to_vec().into());

            assert_eq!(secret.expose(), bytes);
        }
    }

    #[test]
    fn secrets_beyond_what_may_be_locked_are_on_the_heap_and_right() {
        let secrets: Vec<_> = (0..3000_u32).map(|number| Place::apart(number.to_le_bytes().to_vec().into())).collect();

        let right = |(number, place)| Secret(Arc::new(place)).expose() == u32::to_le_bytes(number);

        assert!((0..).zip(secrets).all(right));
    }
}
