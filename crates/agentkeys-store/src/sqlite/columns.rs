use std::str::FromStr;

use agentkeys_types::{EvmAddress, Identity, Invalid, OmniAccount, RequestIdDigest, SessionId, Timestamp};
use rusqlite::{Row, types::Type};

/// Reads our own types from a row.
pub(super) trait Columns {
    fn account(&self, index: usize) -> rusqlite::Result<OmniAccount>;
    fn address(&self, index: usize) -> rusqlite::Result<EvmAddress>;
    /// From two columns, the type first.
    fn identity(&self, index: usize) -> rusqlite::Result<Identity>;
    fn parsed<T: FromStr<Err = Invalid>>(&self, index: usize) -> rusqlite::Result<T>;
    fn request(&self, index: usize) -> rusqlite::Result<RequestIdDigest>;
    fn sequence(&self, index: usize) -> rusqlite::Result<u64>;
    fn session(&self, index: usize) -> rusqlite::Result<SessionId>;
    fn time(&self, index: usize) -> rusqlite::Result<Timestamp>;
}

impl Columns for Row<'_> {
    fn account(&self, index: usize) -> rusqlite::Result<OmniAccount> {
        self.get(index).map(OmniAccount::from_bytes)
    }

    fn address(&self, index: usize) -> rusqlite::Result<EvmAddress> {
        self.get(index).map(EvmAddress::from_bytes)
    }

    fn identity(&self, index: usize) -> rusqlite::Result<Identity> {
        let value = self.get_ref(index + 1)?.as_str()?;
        Identity::parse(self.parsed(index)?, value).map_err(|invalid| invalid_column(index + 1, invalid))
    }

    fn parsed<T: FromStr<Err = Invalid>>(&self, index: usize) -> rusqlite::Result<T> {
        self.get_ref(index)?.as_str()?.parse().map_err(|invalid| invalid_column(index, invalid))
    }

    fn request(&self, index: usize) -> rusqlite::Result<RequestIdDigest> {
        self.get(index).map(RequestIdDigest)
    }

    fn sequence(&self, index: usize) -> rusqlite::Result<u64> {
        let sequence: i64 = self.get(index)?;
        u64::try_from(sequence).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, sequence))
    }

    fn session(&self, index: usize) -> rusqlite::Result<SessionId> {
        self.get(index).map(SessionId::from_bytes)
    }

    fn time(&self, index: usize) -> rusqlite::Result<Timestamp> {
        self.get(index).map(Timestamp::from_unix)
    }
}

fn invalid_column(index: usize, invalid: Invalid) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(invalid))
}
