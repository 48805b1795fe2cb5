//! Keys that both ends of a conversation with a TPM derive (TPM 2.0 Library, Part 1, section 11.4.10).

use aws_lc_rs::{
    cipher::{AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey},
    error::Unspecified,
    hmac,
    iv::FixedLength,
};
use zeroize::Zeroizing;

use crate::structures::sha256;

/// Thirty-two bytes out of a shared secret, by HMAC (`KDFa`).
///
/// The same block gives shorter keys too, but says how many bits it is for.
pub(crate) fn kdf_a(key: &[u8], label: &str, party_u: &[u8], party_v: &[u8], bits: u32) -> Zeroizing<[u8; 32]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [&1_u32.to_be_bytes()[..], label.as_bytes(), &[0], party_u, party_v, &bits.to_be_bytes()] {
        context.update(part);
    }
    let mut derived = Zeroizing::new([0; 32]);
    derived.copy_from_slice(context.sign().as_ref());
    derived
}

/// Thirty-two bytes out of an agreement on an elliptic curve (`KDFe`).
pub(crate) fn kdf_e(agreed: &[u8], label: &str, party_u: &[u8], party_v: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(sha256(&[&1_u32.to_be_bytes(), agreed, label.as_bytes(), &[0], party_u, party_v]))
}

/// The HMAC-SHA-256 of `parts`, one behind the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Encrypts in place, by AES-128 in CFB mode.
pub(crate) fn encrypt_cfb(key: &[u8; 16], iv: &[u8; 16], bytes: &mut [u8]) -> Result<(), Unspecified> {
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(&AES_128, key)?)?;
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(*iv)))?;
    Ok(())
}

/// Decrypts in place, by AES-128 in CFB mode.
pub(crate) fn decrypt_cfb(key: &[u8; 16], iv: &[u8; 16], bytes: &mut [u8]) -> Result<(), Unspecified> {
    let key = DecryptingKey::cfb128(UnboundCipherKey::new(&AES_128, key)?)?;
    key.decrypt(bytes, DecryptionContext::Iv128(FixedLength::from(*iv)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_reads_back() {
        let mut bytes = *b"longer than one block of the cipher, and not a multiple";

        encrypt_cfb(&[1; 16], &[2; 16], &mut bytes).unwrap();
        assert_ne!(&bytes, b"longer than one block of the cipher, and not a multiple");
        decrypt_cfb(&[1; 16], &[2; 16], &mut bytes).unwrap();

        assert_eq!(&bytes, b"longer than one block of the cipher, and not a multiple");
    }

    /// NIST SP 800-38A, F.3.13.
    #[test]
    fn encryption_is_that_of_the_standard() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap().try_into().unwrap();
        let iv = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap().try_into().unwrap();
        let mut bytes = hex::decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51").unwrap();

        encrypt_cfb(&key, &iv, &mut bytes).unwrap();

        assert_eq!(hex::encode(bytes), "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b");
    }
}
