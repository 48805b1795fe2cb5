//! The forms in which a secret may lie in memory.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// What it is, and its bytes.
pub(crate) type Form = (String, Vec<u8>);

/// The order of P-256, the highest byte first.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// What every PKCS#8 document of a P-256 key begins with, in base64.
const PUBLIC_START: usize = 48;
/// The characters of base64 that 32 bytes behind it decide.
const SCALAR: usize = 42;

/// Those of a token: everything behind its protected header, which is public and the same in all; and the signature
/// once more, as the bytes that it encodes.
pub(crate) fn of_token(name: &str, token: &str) -> Vec<Form> {
    let (_, secret) = token.split_once('.').unwrap();
    let (_, signature) = secret.split_once('.').unwrap();
    vec![
        (format!("{name}, text"), secret.as_bytes().to_vec()),
        (format!("{name}, signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()),
    ]
}

/// Those of a token's signature alone, for where the account that the token names is shown in base64 as well.
pub(crate) fn of_signature(name: &str, token: &str) -> Vec<Form> {
    let (_, signature) = token.rsplit_once('.').unwrap();
    vec![
        (format!("{name}, text of its signature"), signature.as_bytes().to_vec()),
        (format!("{name}, signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()),
    ]
}

/// Those of 32 bytes, which a library may take for a number.
pub(crate) fn of_bytes(name: &str, bytes: &[u8; 32]) -> Vec<Form> {
    let reversed = bytes.iter().rev().copied().collect();
    let limbs = bytes.chunks_exact(8).flat_map(|limb| limb.iter().rev().copied()).collect();
    vec![
        (format!("{name}, as they are"), bytes.to_vec()),
        (format!("{name}, lowest byte first"), reversed),
        (format!("{name}, limbs, highest first"), limbs),
        (format!("{name}, base64url"), URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
        (format!("{name}, hex"), hex::encode(bytes).into_bytes()),
    ]
}

/// Those of a private key of P-256.
pub(crate) fn of_scalar(name: &str, scalar: &[u8; 32]) -> Vec<Form> {
    let mut forms = of_bytes(name, scalar);
    let mut montgomery = montgomery(scalar);
    montgomery.reverse();
    forms.push((format!("{name}, Montgomery form"), montgomery.to_vec()));
    forms
}

/// Those of a private key of P-256 in a PEM file, and of the file itself.
pub(crate) fn of_key_file(name: &str, text: &str) -> Vec<Form> {
    let document = pem::parse(text).unwrap();
    let mut forms = of_scalar(name, document.contents()[36..68].try_into().unwrap());
    let base64 = STANDARD.encode(document.contents());
    forms.push((format!("{name}, base64"), base64[PUBLIC_START..PUBLIC_START + SCALAR].into()));
    let in_lines = text.find(&base64[..PUBLIC_START]).unwrap() + PUBLIC_START;
    forms.push((format!("{name}, lines of PEM"), text[in_lines..=in_lines + SCALAR].into()));
    forms
}

/// The number times 2^256, modulo the order of P-256.
fn montgomery(scalar: &[u8; 32]) -> [u8; 32] {
    (0..256).fold(*scalar, |number, _| doubled(&number))
}

/// Twice the number, modulo the order of P-256.
fn doubled(number: &[u8; 32]) -> [u8; 32] {
    let mut twice = [0; 32];
    for (index, byte) in number.iter().enumerate() {
        let carried = number.get(index + 1).map_or(0, |lower| lower >> 7);
        twice[index] = byte << 1 | carried;
    }
    if number[0] >> 7 == 0 && twice < ORDER {
        return twice;
    }
    let mut borrow = 0;
    for (byte, order) in twice.iter_mut().zip(ORDER).rev() {
        let difference = i16::from(*byte) - i16::from(order) - borrow;
        borrow = i16::from(difference < 0);
        *byte = difference.rem_euclid(256).to_le_bytes()[0];
    }
    twice
}

#[test]
fn the_montgomery_form_of_one_is_what_2_to_the_256_leaves() {
    let mut one = [0; 32];
    one[31] = 1;

    let expected = "00000000ffffffff00000000000000004319055258e8617b0c46353d039cdaaf";
    assert_eq!(hex::encode(montgomery(&one)), expected);
}

#[test]
fn a_key_file_has_the_forms_of_its_scalar() {
    let key: Vec<u8> = [
        &b"\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08"[..],
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30\x6b\x02\x01\x01\x04\x20",
        &[7; 32],
        &[0; 70],
    ]
    .concat();
    let text = pem::encode(&pem::Pem::new("PRIVATE KEY", key));

    let forms = of_key_file("key", &text);

    assert_eq!(forms[0].1, [7; 32]);
    assert_eq!(forms.last().unwrap().1.len(), SCALAR + 1);
    assert!(forms.last().unwrap().1.contains(&b'\n'));
}
