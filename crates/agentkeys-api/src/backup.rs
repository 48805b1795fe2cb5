use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, Problem, Value, attestation::Encoded};

/// A share of a worker's master secret that only its recipient can open.
///
/// Holders keep one as a file, and a worker that restores takes it sealed anew to its own key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedShare {
    /// The version of this form: 1.
    pub v: u8,
    /// The identity of the secret: 66 hex digits.
    pub identity_pub: String,
    /// How many shares it takes.
    pub threshold: u8,
    /// The SHA-256 of the recipient's public key, to compare: 64 hex digits.
    pub recipient: String,
    /// The encapsulated key of HPKE, base64.
    pub enc: String,
    /// The share, base64.
    pub ciphertext: String,
}

impl Body for SealedShare {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut text = |name: &'static str| fields.required::<Encoded>(name).map(|encoded| encoded.0);
        let (identity_pub, recipient) = (text("identity_pub")?, text("recipient")?);
        let (enc, ciphertext) = (text("enc")?, text("ciphertext")?);
        let (v, threshold) = (fields.required::<Small>("v")?.0, fields.required::<Small>("threshold")?.0);
        Ok(Self { v, identity_pub, threshold, recipient, enc, ciphertext })
    }
}

/// What a worker that restores wants shares sealed to. Believed only where its evidence shows the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareRecipient {
    /// An X25519 key that is in its memory only: 64 hex digits.
    pub public_key: String,
}

/// How far a restoration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreProgress {
    /// Whether the worker has its master secret now.
    pub restored: bool,
    /// How many shares have come in.
    pub shares: usize,
    /// How many it takes.
    pub threshold: u8,
}

/// 0 to 255.
struct Small(u8);

impl Field for Small {
    const CODE: ErrorCode = ErrorCode::InvalidField;
    const EXPECTED: &'static str = "must be a number from 0 to 255";

    fn read(value: Value) -> Option<Self> {
        let Value::Integer(number) = value else { return None };
        u8::try_from(number).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_body;

    #[test]
    fn a_share_reads_back_as_it_was_sent_and_a_number_that_is_too_large_is_refused() {
        let text = |text: &str| text.to_owned();
        let share = SealedShare {
            v: 1,
            identity_pub: text("02"),
            threshold: 2,
            recipient: text("aa"),
            enc: text("AA=="),
            ciphertext: text("AA=="),
        };
        let sent = serde_json::to_string(&share).unwrap();

        let too_many = read_body::<SealedShare>(sent.replace("\"threshold\":2", "\"threshold\":256").as_bytes());

        assert_eq!(read_body::<SealedShare>(sent.as_bytes()).unwrap(), share);
        assert_eq!(too_many.unwrap_err().error, ErrorCode::InvalidField);
    }
}
