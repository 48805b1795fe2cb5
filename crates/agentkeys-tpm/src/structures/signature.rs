use super::algorithm;
use crate::{
    reader::{Malformed, Reader},
    writer::Writer,
};

/// A signature is not by the key over what it should be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct SignatureInvalid;

/// What a TPM's key has signed with (`TPMT_SIGNATURE`), over a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// ECDSA on P-256: `r` and `s`, 32 bytes each.
    EcdsaP256([u8; 64]),
    /// PKCS#1 v1.5.
    Rsassa(Vec<u8>),
}

impl Signature {
    /// Reads a `TPMT_SIGNATURE`, all of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let signature = Self::read(&mut reader)?;
        reader.end()?;
        Ok(signature)
    }

    /// The `TPMT_SIGNATURE`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Writer::new()).to_vec()
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let scheme = reader.u16()?;
        reader.expect_u16(algorithm::SHA256, "a signature is over another hash than SHA-256")?;
        match scheme {
            algorithm::ECDSA => {
                let mut signature = [0; 64];
                // Some TPMs leave leading zeros out.
                let r = reader.sized(32)?;
                signature[32 - r.len()..32].copy_from_slice(r);
                let s = reader.sized(32)?;
                signature[64 - s.len()..].copy_from_slice(s);
                Ok(Self::EcdsaP256(signature))
            }
            algorithm::RSASSA => Ok(Self::Rsassa(reader.sized(512)?.to_vec())),
            _ => Err(Malformed("a signature is by another scheme")),
        }
    }

    pub(crate) fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::EcdsaP256(signature) => {
                let (r, s) = signature.split_at(32);
                writer.u16(algorithm::ECDSA).u16(algorithm::SHA256).sized(r).sized(s)
            }
            Self::Rsassa(signature) => writer.u16(algorithm::RSASSA).u16(algorithm::SHA256).sized(signature),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_signature_reads_back_as_it_was_written(ecdsa in any::<[u8; 64]>(), rsassa in any::<[u8; 32]>()) {
            for signature in [Signature::EcdsaP256(ecdsa), Signature::Rsassa(rsassa.repeat(8))] {
                prop_assert_eq!(Signature::parse(&signature.to_bytes()), Ok(signature));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(start in prop_oneof![Just(0x18_u8), Just(0x14)], bytes in any::<Vec<u8>>()) {
            let _ = Signature::parse(&bytes);
            let _ = Signature::parse(&[&[0, start, 0, 0x0B], &bytes[..]].concat());
        }
    }

    #[test]
    fn leading_zeros_that_were_left_out_are_put_back() {
        let short = Writer::new().u16(algorithm::ECDSA).u16(algorithm::SHA256).sized(&[5]).sized(&[6; 31]);

        let Ok(Signature::EcdsaP256(signature)) = Signature::parse(short.as_slice()) else {
            panic!("it is well-formed")
        };

        assert_eq!((signature[30], signature[31], signature[32], signature[33]), (0, 5, 0, 6));
    }
}
