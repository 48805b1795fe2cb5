use std::{path::Path, sync::Arc};

use agentkeys_tlog::SignerKey;
use agentkeys_types::Clock;

use super::{Counter, LogError, TransparencyLog, disk::LogFolder, writer::Writer};

impl TransparencyLog {
    /// Opens a log that another machine has written, after checking all of it but its counter, and has it go on with
    /// the counter of this one: for a restoration only, as whoever has the disk may have cut the log off.
    ///
    /// # Errors
    ///
    /// As [`TransparencyLog::open`].
    pub fn adopt(
        folder: &Path,
        origin: &str,
        log_key_seed: &[u8; 32],
        counter: Arc<dyn Counter>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LogError> {
        let key = SignerKey::from_seed(origin, log_key_seed)?;
        let disk = LogFolder::open(folder)?;
        let (audited, mut found) = Self::read(folder, &key)?;
        // As if it had ended where this machine is: the next value follows, and stands in the log before it counts.
        found.counter = counter.read()?;
        let writer = Writer::go_on(disk, folder, key, counter, clock, audited, &found)?;
        Ok(Self::start(writer, found.devices)?)
    }
}
