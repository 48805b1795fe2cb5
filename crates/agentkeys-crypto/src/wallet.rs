use std::fmt;

use agentkeys_memory::Secret;
use agentkeys_types::{EvmAddress, OmniAccount};
use hkdf::Hkdf;
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use zeroize::{Zeroize, Zeroizing};

const INFO: &[u8] = b"agentkeys-evm-wallet-v1:";

/// Half the order of secp256k1, rounded down: the largest low `s` (EIP-2).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e,
    0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The Keccak-256 hash of `bytes`, as Ethereum uses it.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The root of every wallet. Kept as the HKDF pseudo-random key only, where no other process can read it.
pub struct MasterSecret {
    pseudo_random_key: Secret,
}

impl MasterSecret {
    /// Takes the 32-byte master secret (HKDF-Extract with no salt, RFC 5869 section 2.2).
    pub fn new(secret: &[u8; 32]) -> Self {
        let (mut extracted, _) = Hkdf::<Sha256>::extract(None, secret);
        let pseudo_random_key = Secret::apart(extracted.to_vec().into());
        extracted.zeroize();
        Self { pseudo_random_key }
    }

    /// The public key that shows which master secret this is: secp256k1, SEC1 compressed. No account has it.
    ///
    /// # Panics
    ///
    /// Never in practice, as [`MasterSecret::derive_wallet`].
    pub fn identity_public_key(&self) -> [u8; 33] {
        PublicKey::from_secret_key(SECP256K1, &self.derive(&[b"agentkeys/identity/v1"]).0).serialize()
    }

    /// The seed of the Ed25519 key that signs the log's checkpoints.
    ///
    /// # Panics
    ///
    /// Never: 32 bytes are a length that HKDF gives.
    pub fn log_key_seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.hkdf().expand(b"agentkeys/log/v1", seed.as_mut_slice()).expect("32 bytes can be had");
        seed
    }

    /// The wallet of `account`.
    ///
    /// # Panics
    ///
    /// Never in practice: 256 hashes in a row would have to be no valid key.
    pub fn derive_wallet(&self, account: &OmniAccount) -> Wallet {
        self.derive(&[INFO, account.as_bytes()])
    }

    fn hkdf(&self) -> Hkdf<Sha256> {
        Hkdf::<Sha256>::from_prk(self.pseudo_random_key.expose()).expect("32 bytes are a whole hash")
    }

    fn derive(&self, info: &[&[u8]]) -> Wallet {
        let hkdf = self.hkdf();
        std::iter::once(None)
            .chain((1..=u8::MAX).map(Some))
            .find_map(|counter| {
                let mut key = Zeroizing::new([0; 32]);
                hkdf.expand_multi_info(&[info, &[counter.as_slice()]].concat(), key.as_mut_slice()).ok()?;
                SecretKey::from_byte_array(*key).ok()
            })
            .map(Wallet)
            .expect("one of 256 hashes is a valid secp256k1 key")
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterSecret(…)")
    }
}

/// A derived key pair: made for one operation, and erased when dropped.
pub struct Wallet(SecretKey);

impl Wallet {
    /// The wallet's address.
    pub fn address(&self) -> EvmAddress {
        address_of(&PublicKey::from_secret_key(SECP256K1, &self.0))
    }

    /// Signs `message` as EIP-191 version 0x45 (`personal_sign`), deterministically (RFC 6979), with low s.
    pub fn sign_eip191(&self, message: &[u8]) -> EvmSignature {
        let digest = Message::from_digest(eip191_digest(message));
        let (recovery_id, compact) = SECP256K1.sign_ecdsa_recoverable(digest, &self.0).serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + u8::from(recovery_id == RecoveryId::One);
        EvmSignature(bytes)
    }
}

impl Drop for Wallet {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wallet(…)")
    }
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is that of a contract, which only a blockchain could check (ERC-1271, ERC-6492).
    #[error("signatures of contract wallets are not supported")]
    Contract,
    /// It is not 65 bytes of hex with a known `v`.
    #[error("a signature is 65 bytes of hex, the last of them 0, 1, 27 or 28")]
    Format,
    /// Its numbers are out of range, or no key could have made it.
    #[error("the signature is not valid")]
    Invalid,
}

/// An EIP-191 signature: r ‖ s ‖ v, low s, v 27 or 28.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EvmSignature([u8; 65]);

impl EvmSignature {
    /// Reads a signature from hex, with or without `0x`.
    ///
    /// The checks are ours, not the library's: libraries and their versions disagree on high s and on v.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        const ERC_6492_MAGIC: [u8; 32] = [
            0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
            0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
        ];
        const LONGEST_DER_OR_TYPO: usize = 96;

        let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| SignatureError::Format)?;
        if bytes.ends_with(&ERC_6492_MAGIC) || bytes.len() > LONGEST_DER_OR_TYPO {
            return Err(SignatureError::Contract);
        }
        let mut bytes: [u8; 65] = bytes.try_into().map_err(|_| SignatureError::Format)?;
        bytes[64] = match bytes[64] {
            v @ (0 | 1) => v + 27,
            v @ (27 | 28) => v,
            _ => return Err(SignatureError::Format),
        };
        Ok(Self(bytes))
    }

    /// The address that signed `message` as EIP-191.
    pub fn recover(&self, message: &[u8]) -> Result<EvmAddress, SignatureError> {
        let (r, s) = (&self.0[..32], &self.0[32..64]);
        let zero = [0; 32];
        if r == zero || s == zero || s > &HALF_ORDER[..] {
            return Err(SignatureError::Invalid);
        }
        let recovery_id = if self.0[64] == 28 { RecoveryId::One } else { RecoveryId::Zero };
        // `from_compact` refuses r and s of the order or more.
        let signature =
            RecoverableSignature::from_compact(&self.0[..64], recovery_id).map_err(|_| SignatureError::Invalid)?;
        let digest = Message::from_digest(eip191_digest(message));
        let key = SECP256K1.recover_ecdsa(digest, &signature).map_err(|_| SignatureError::Invalid)?;
        Ok(address_of(&key))
    }
}

/// `0x` and 130 hex digits.
impl fmt::Display for EvmSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 130];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        formatter.write_str("0x")?;
        formatter.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for EvmSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EvmSignature({self})")
    }
}

fn address_of(key: &PublicKey) -> EvmAddress {
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    EvmAddress::from_bytes(address)
}

/// The digest that EIP-191 version 0x45 signs.
fn eip191_digest(message: &[u8]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(b"\x19Ethereum Signed Message:\n");
    hash.update(message.len().to_string());
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn master_secret() -> MasterSecret {
        MasterSecret::new(&std::array::from_fn(|index| u8::try_from(index).unwrap()))
    }

    #[test]
    fn ada_and_grace_have_the_published_wallets_and_signatures() {
        for (account, address, signature) in [
            (
                "7308dcc96d7caa45764fe8f0062b49383fe63608ac14f5e47067c41682cac6e6",
                "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
                "0xed7f810d9e140e81e92905ba09c3fa6381dfe3cb8283bdc6a133874c9e48cb8f263b1825e5a14511d07181364e3f6e85e14bfcce7d0094f045c9be0f7823d9921c",
            ),
            (
                "5006ca8162c0416f35e75fd61c787a379f1235a0c34ca79b213f29a0784b731c",
                "0xFDc9718C197650CB9B9df139047A12F57e0FAC59",
                "0xcf5344fff9320087e28ddec8ba904447671f164198502be395a0a2b6effecd564ce5887f5ea6d825754aec7427abacb3a3c0174de7acfd3625c679c4b6f6aad21b",
            ),
        ] {
            let wallet = master_secret().derive_wallet(&account.parse().unwrap());

            assert_eq!(wallet.address().to_string(), address);
            assert_eq!(wallet.sign_eip191(b"hello").to_string(), signature);
        }
    }

    /// RFC 5869, test case 3: no salt, no info.
    #[test]
    fn extracting_without_a_salt_is_that_of_rfc_5869() {
        let (prk, hkdf) = Hkdf::<Sha256>::extract(None, &[0x0b; 22]);
        let mut okm = [0; 42];
        hkdf.expand(&[], &mut okm).unwrap();

        assert_eq!(hex::encode(prk), "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
        assert_eq!(
            hex::encode(okm),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }

    #[test]
    fn a_malformed_signature_is_told_from_a_wrong_one() {
        let wallet = master_secret().derive_wallet(&OmniAccount::from_bytes([1; 32]));
        let good = hex::encode(wallet.sign_eip191(b"m").0);
        for text in [
            "",
            "0x",
            &good[..128],
            &format!("{good}00"),
            &good[1..],
            &format!("{}02", &good[..128]),
            &format!("{}1d", &good[..128]),
            "zz",
        ] {
            assert_eq!(EvmSignature::parse(text).unwrap_err(), SignatureError::Format, "{text}");
        }
        let contract = format!("{}{}", "00".repeat(64), "6492".repeat(16));
        assert_eq!(EvmSignature::parse(&contract).unwrap_err(), SignatureError::Contract);

        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let (r, s, v) = (&good[..64], &good[64..128], &good[128..]);
        let high_s = {
            let order = num(order);
            let mut bytes = [0; 32];
            let mut borrow = 0i16;
            for index in (0..32).rev() {
                let difference = i16::from(order[index]) - i16::from(num(s)[index]) - borrow;
                borrow = i16::from(difference < 0);
                bytes[index] = u8::try_from(difference.rem_euclid(256)).unwrap();
            }
            hex::encode(bytes)
        };
        let zero = "00".repeat(32);
        for (r, s) in [(r, high_s.as_str()), (&zero, s), (r, &zero), (order, s), (r, order)] {
            let signature = EvmSignature::parse(&format!("{r}{s}{v}")).unwrap();
            assert_eq!(signature.recover(b"m").unwrap_err(), SignatureError::Invalid);
        }
    }

    fn num(hex: &str) -> [u8; 32] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn what_a_wallet_signs_recovers_to_it(account in any::<[u8; 32]>(), message in any::<Vec<u8>>(), low_v in any::<bool>()) {
            let wallet = master_secret().derive_wallet(&OmniAccount::from_bytes(account));
            let mut text = wallet.sign_eip191(&message).0;
            if low_v {
                text[64] -= 27;
            }

            let signature = EvmSignature::parse(&hex::encode(text)).unwrap();

            prop_assert_eq!(signature.recover(&message), Ok(wallet.address()));
            prop_assert_eq!(signature, wallet.sign_eip191(&message));
        }

        #[test]
        fn no_text_makes_the_signature_parser_panic(text in "\\PC{0,140}", message in any::<Vec<u8>>()) {
            if let Ok(signature) = EvmSignature::parse(&text) {
                let _ = signature.recover(&message);
            }
        }
    }
}
