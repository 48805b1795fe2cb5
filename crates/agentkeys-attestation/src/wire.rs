//! The texts of evidence, read strictly.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// How much of base64 is looked at: well above the largest report, and far below what could tire anyone.
const MAX_BASE64: usize = 128 * 1024;

/// The bytes of a field that must be there, or what is wrong with it.
pub(crate) fn base64(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("`{name}` is missing"))?;
    let decoded = if text.len() > MAX_BASE64 { None } else { BASE64_STANDARD.decode(text).ok() };
    decoded.filter(|bytes| !bytes.is_empty()).ok_or_else(|| format!("`{name}` is not base64, or too long"))
}

/// The bytes of lower-case hex.
pub(crate) fn hex<const N: usize>(name: &str, text: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if is_lower => Ok(bytes),
        _ => Err(format!("`{name}` is not {} lower-case hex digits", 2 * N)),
    }
}
