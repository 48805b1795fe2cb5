use std::fmt;

use super::{Name, algorithm};
use crate::{
    reader::{Malformed, Reader},
    writer::Writer,
};

/// NIST P-256.
const P256: u16 = 0x0003;
/// The exponent that an RSA key has where it says 0.
const USUAL_EXPONENT: u32 = 65_537;
/// As long as the modulus of an RSA key may be, in bytes.
const LONGEST_MODULUS: usize = 512;

/// The public area of an object (`TPMT_PUBLIC`), of the kinds that are used here; each is named by SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// What the object may be used for, and where it may be.
    pub attributes: Attributes,
    /// The digest of the policy that its use needs; empty where there is none.
    pub auth_policy: Vec<u8>,
    /// What kind of object it is.
    pub parameters: KeyParameters,
}

/// The kind of an object, and the public part of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyParameters {
    /// A key on NIST P-256.
    P256 {
        /// Whether it protects what is stored under it, with AES-128 in CFB mode.
        protects: bool,
        /// How it signs.
        scheme: Scheme,
        /// The public key.
        point: EccPoint,
    },
    /// Data that the TPM keeps for whoever fulfils its policy.
    KeyedHash {
        /// The digest of the data and of a secret of the object.
        unique: Vec<u8>,
    },
    /// A key of RSA with the usual exponent.
    Rsa {
        /// Whether it protects what is stored under it, with AES-128 in CFB mode.
        protects: bool,
        /// How it signs.
        scheme: Scheme,
        /// The length of its modulus.
        bits: u16,
        /// The exponent as it is said: 0 is the usual one too.
        exponent: u32,
        /// The modulus, big-endian.
        modulus: Vec<u8>,
    },
}

/// How a key signs, always with SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA.
    Ecdsa,
    /// It does not sign, or leaves it to whoever asks.
    Null,
    /// PKCS#1 v1.5.
    Rsassa,
}

impl Public {
    /// Reads a `TPMT_PUBLIC`, all of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let kind = reader.u16()?;
        reader.expect_u16(algorithm::SHA256, "an object is not named by SHA-256")?;
        let attributes = Attributes(reader.u32()?);
        let auth_policy = reader.sized(64)?.to_vec();
        let parameters = KeyParameters::read(kind, &mut reader)?;
        reader.end()?;
        Ok(Self { attributes, auth_policy, parameters })
    }

    /// The `TPMT_PUBLIC`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let kind = match self.parameters {
            KeyParameters::P256 { .. } => algorithm::ECC,
            KeyParameters::KeyedHash { .. } => algorithm::KEYED_HASH,
            KeyParameters::Rsa { .. } => algorithm::RSA,
        };
        let writer = Writer::new().u16(kind).u16(algorithm::SHA256).u32(self.attributes.0).sized(&self.auth_policy);
        self.parameters.write(writer).to_vec()
    }

    /// The object's name.
    pub fn name(&self) -> Name {
        Name::of(&self.to_bytes())
    }
}

impl KeyParameters {
    fn read(kind: u16, reader: &mut Reader) -> Result<Self, Malformed> {
        match kind {
            algorithm::ECC => {
                let (protects, scheme) = (read_protects(reader)?, Scheme::read(reader)?);
                reader.expect_u16(P256, "a key is on a curve other than P-256")?;
                reader.expect_u16(algorithm::NULL, "a key derives others")?;
                Ok(Self::P256 { protects, scheme, point: EccPoint::read(reader)? })
            }
            algorithm::KEYED_HASH => {
                reader.expect_u16(algorithm::NULL, "a keyed hash has a scheme")?;
                Ok(Self::KeyedHash { unique: reader.sized(32)?.to_vec() })
            }
            algorithm::RSA => {
                let (protects, scheme) = (read_protects(reader)?, Scheme::read(reader)?);
                let (bits, exponent) = (reader.u16()?, reader.u32()?);
                if exponent != 0 && exponent != USUAL_EXPONENT {
                    return Err(Malformed("a key of RSA has an unusual exponent"));
                }
                let modulus = reader.sized(LONGEST_MODULUS)?.to_vec();
                Ok(Self::Rsa { protects, scheme, bits, exponent, modulus })
            }
            _ => Err(Malformed("an object is of another kind")),
        }
    }

    fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::P256 { protects, scheme, point } => {
                let writer = scheme.write(write_protects(*protects, writer)).u16(P256).u16(algorithm::NULL);
                point.write(writer)
            }
            Self::KeyedHash { unique } => writer.u16(algorithm::NULL).sized(unique),
            Self::Rsa { protects, scheme, bits, exponent, modulus } => {
                scheme.write(write_protects(*protects, writer)).u16(*bits).u32(*exponent).sized(modulus)
            }
        }
    }
}

fn read_protects(reader: &mut Reader) -> Result<bool, Malformed> {
    match reader.u16()? {
        algorithm::NULL => Ok(false),
        algorithm::AES => {
            reader.expect_u16(128, "a key protects by AES with other than 128 bits")?;
            reader.expect_u16(algorithm::CFB, "a key protects by AES in another mode than CFB")?;
            Ok(true)
        }
        _ => Err(Malformed("a key protects by another cipher than AES")),
    }
}

fn write_protects(protects: bool, writer: Writer) -> Writer {
    if protects { writer.u16(algorithm::AES).u16(128).u16(algorithm::CFB) } else { writer.u16(algorithm::NULL) }
}

impl Scheme {
    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let scheme = match reader.u16()? {
            algorithm::NULL => return Ok(Self::Null),
            algorithm::ECDSA => Self::Ecdsa,
            algorithm::RSASSA => Self::Rsassa,
            _ => return Err(Malformed("a key has another scheme")),
        };
        reader.expect_u16(algorithm::SHA256, "a key signs by another hash than SHA-256")?;
        Ok(scheme)
    }

    fn write(self, writer: Writer) -> Writer {
        match self {
            Self::Ecdsa => writer.u16(algorithm::ECDSA).u16(algorithm::SHA256),
            Self::Null => writer.u16(algorithm::NULL),
            Self::Rsassa => writer.u16(algorithm::RSASSA).u16(algorithm::SHA256),
        }
    }
}

/// A point on NIST P-256, its coordinates as they were sent: some TPMs leave leading zeros out.
#[derive(Clone, PartialEq, Eq)]
pub struct EccPoint {
    x: Vec<u8>,
    y: Vec<u8>,
}

impl EccPoint {
    /// No point: what a template has in its place.
    pub fn empty() -> Self {
        Self { x: Vec::new(), y: Vec::new() }
    }

    /// The point with this uncompressed form (SEC1); whether it is on the curve shows when it is used.
    pub fn from_sec1(sec1: &[u8]) -> Result<Self, Malformed> {
        match sec1 {
            [4, coordinates @ ..] if coordinates.len() == 64 => {
                Ok(Self { x: coordinates[..32].to_vec(), y: coordinates[32..].to_vec() })
            }
            _ => Err(Malformed("not the uncompressed form of a point on P-256")),
        }
    }

    /// Its uncompressed form (SEC1).
    pub fn to_sec1(&self) -> [u8; 65] {
        let mut sec1 = [0; 65];
        sec1[0] = 4;
        sec1[33 - self.x.len()..33].copy_from_slice(&self.x);
        sec1[65 - self.y.len()..].copy_from_slice(&self.y);
        sec1
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Self { x: reader.sized(32)?.to_vec(), y: reader.sized(32)?.to_vec() })
    }

    pub(crate) fn write(&self, writer: Writer) -> Writer {
        writer.sized(&self.x).sized(&self.y)
    }
}

impl fmt::Debug for EccPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EccPoint({})", hex::encode(self.to_sec1()))
    }
}

/// What an object may be used for, and where it may be (`TPMA_OBJECT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// It never leaves its TPM.
    pub const FIXED_TPM: Self = Self(1 << 1);
    /// It never gets another parent.
    pub const FIXED_PARENT: Self = Self(1 << 4);
    /// The TPM has made its secret part itself.
    pub const SENSITIVE_DATA_ORIGIN: Self = Self(1 << 5);
    /// Its password lets it be used.
    pub const USER_WITH_AUTH: Self = Self(1 << 6);
    /// Nothing but its policy lets it be administered.
    pub const ADMIN_WITH_POLICY: Self = Self(1 << 7);
    /// Failed attempts at it do not count towards a lockout.
    pub const NO_DA: Self = Self(1 << 10);
    /// It only handles what the TPM itself has made.
    pub const RESTRICTED: Self = Self(1 << 16);
    /// It decrypts.
    pub const DECRYPT: Self = Self(1 << 17);
    /// It signs.
    pub const SIGN: Self = Self(1 << 18);

    /// All of these.
    pub const fn all(attributes: &[Self]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < attributes.len() {
            bits |= attributes[index].0;
            index += 1;
        }
        Self(bits)
    }

    /// Whether all of `others` are among them.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether any of `others` is among them.
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters() -> impl Strategy<Value = KeyParameters> {
        let scheme = prop_oneof![Just(Scheme::Ecdsa), Just(Scheme::Null), Just(Scheme::Rsassa)];
        let coordinate = proptest::collection::vec(any::<u8>(), 0..=32);
        let point = (coordinate.clone(), coordinate).prop_map(|(x, y)| EccPoint { x, y });
        let exponent = prop_oneof![Just(0), Just(USUAL_EXPONENT)];
        let modulus = proptest::collection::vec(any::<u8>(), 0..=LONGEST_MODULUS);
        prop_oneof![
            (any::<bool>(), scheme.clone(), point).prop_map(|(protects, scheme, point)| KeyParameters::P256 {
                protects,
                scheme,
                point
            }),
            proptest::collection::vec(any::<u8>(), 0..=32).prop_map(|unique| KeyParameters::KeyedHash { unique }),
            (any::<bool>(), scheme, any::<u16>(), exponent, modulus).prop_map(
                |(protects, scheme, bits, exponent, modulus)| KeyParameters::Rsa {
                    protects,
                    scheme,
                    bits,
                    exponent,
                    modulus
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_public_area_reads_back_as_it_was_written(
            bits in any::<u32>(),
            auth_policy in proptest::collection::vec(any::<u8>(), 0..=64),
            parameters in parameters(),
        ) {
            let public = Public { attributes: Attributes(bits), auth_policy, parameters };

            prop_assert_eq!(Public::parse(&public.to_bytes()), Ok(public));
        }

        #[test]
        fn a_public_area_that_can_be_read_is_written_the_same_way(
            start in prop_oneof![Just([0, 1]), Just([0, 8]), Just([0, 0x23])],
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let bytes = [&start[..], &[0, 0x0B], &rest].concat();

            if let Ok(public) = Public::parse(&bytes) {
                prop_assert_eq!(public.to_bytes(), bytes);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = Public::parse(&bytes);
        }
    }

    #[test]
    fn a_short_coordinate_is_filled_up_in_front() {
        let point = EccPoint { x: vec![7], y: vec![9; 32] };

        let sec1 = point.to_sec1();

        assert_eq!((sec1[0], sec1[31], sec1[32], sec1[33]), (4, 0, 7, 9));
    }
}
