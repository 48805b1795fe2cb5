use std::fmt;

use crate::secret::Place;

/// How well secrets in memory can be kept apart on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection {
    /// Wiped when no longer used, and otherwise like any other memory.
    Heap,
    /// Never swapped out, dumped or inherited; whoever may debug the process reads it.
    LockedPages,
    /// Read by the process itself and by nobody else, root and the kernel's own reads included.
    SecretMemory,
}

impl fmt::Display for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Heap => "ordinary memory, wiped after use",
            Self::LockedPages => "locked pages: neither swapped, nor dumped, nor inherited",
            Self::SecretMemory => "secret memory: no other process reads it, not even root's",
        })
    }
}

/// What this system gives to a process that keeps its secrets apart, found out by trying.
pub fn protection() -> Protection {
    Place::apart(b"a secret to try with".to_vec().into()).protection()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protection_is_what_the_kernel_offers() {
        let found = protection();

        #[cfg(target_os = "linux")]
        assert_eq!(found == Protection::SecretMemory, crate::pages::Pages::secret(b"tried").is_ok(), "{found}");
        assert!(!found.to_string().is_empty());
    }
}
