use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use agentkeys_types::{
    EvmAddress, Identity, Invalid, KeyThumbprint, OmniAccount, RequestIdDigest, SessionId, Timestamp,
};
use rusqlite::{
    Row,
    types::{Type, ValueRef},
};

/// Reads our own types from a row.
pub(super) trait Columns {
    fn account(&self, index: usize) -> rusqlite::Result<OmniAccount>;
    fn address(&self, index: usize) -> rusqlite::Result<EvmAddress>;
    /// From two columns, the type first.
    fn identity(&self, index: usize) -> rusqlite::Result<Identity>;
    fn parsed<T: FromStr<Err = Invalid>>(&self, index: usize) -> rusqlite::Result<T>;
    fn parsed_or_null<T: FromStr<Err = Invalid>>(&self, index: usize) -> rusqlite::Result<Option<T>>;
    fn request(&self, index: usize) -> rusqlite::Result<RequestIdDigest>;
    fn sequence(&self, index: usize) -> rusqlite::Result<u64>;
    fn session(&self, index: usize) -> rusqlite::Result<SessionId>;
    fn source(&self, index: usize) -> rusqlite::Result<Option<IpAddr>>;
    fn thumbprint(&self, index: usize) -> rusqlite::Result<Option<KeyThumbprint>>;
    fn time(&self, index: usize) -> rusqlite::Result<Timestamp>;
    fn time_or_null(&self, index: usize) -> rusqlite::Result<Option<Timestamp>>;
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

    fn parsed_or_null<T: FromStr<Err = Invalid>>(&self, index: usize) -> rusqlite::Result<Option<T>> {
        match self.get_ref(index)? {
            ValueRef::Null => Ok(None),
            _ => self.parsed(index).map(Some),
        }
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

    fn source(&self, index: usize) -> rusqlite::Result<Option<IpAddr>> {
        let read = |octets: &[u8]| {
            let v4 = || <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
            let v6 = || <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
            v4().or_else(|_| v6())
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, Box::new(error)))
        };
        self.get_ref(index)?.as_blob_or_null()?.map(read).transpose()
    }

    fn thumbprint(&self, index: usize) -> rusqlite::Result<Option<KeyThumbprint>> {
        Ok(self.get::<_, Option<_>>(index)?.map(KeyThumbprint::from_bytes))
    }

    fn time(&self, index: usize) -> rusqlite::Result<Timestamp> {
        self.get(index).map(Timestamp::from_unix)
    }

    fn time_or_null(&self, index: usize) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<_, Option<_>>(index)?.map(Timestamp::from_unix))
    }
}

/// A network address as a column holds it: 4 or 16 bytes.
pub(super) struct Octets {
    bytes: [u8; 16],
    length: usize,
}

impl Octets {
    pub(super) fn of(address: IpAddr) -> Self {
        let mut bytes = [0; 16];
        let length = match address {
            IpAddr::V4(address) => {
                bytes[..4].copy_from_slice(&address.octets());
                4
            }
            IpAddr::V6(address) => {
                bytes = address.octets();
                16
            }
        };
        Self { bytes, length }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn invalid_column(index: usize, invalid: Invalid) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(invalid))
}
