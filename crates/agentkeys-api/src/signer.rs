use agentkeys_types::{EvmAddress, OmniAccount};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, Problem, body::Value};

/// Asks the signer for an account's wallet.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct DeriveAddress {
    /// The caller's own account.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
}

impl Body for DeriveAddress {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { omni_account: fields.required("omni_account")? })
    }
}

/// An account's wallet.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// In EIP-55 form.
    #[schema(value_type = String)]
    pub address: EvmAddress,
}

/// Asks the signer for an EIP-191 signature.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignMessage {
    /// The caller's own account.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
    /// The message's bytes, in hex.
    #[serde(rename = "message_hex", serialize_with = "as_hex")]
    #[schema(value_type = String)]
    pub message: Message,
}

impl Body for SignMessage {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { omni_account: fields.required("omni_account")?, message: fields.required("message_hex")? })
    }
}

/// A message to sign: 1 byte to 16 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(pub Vec<u8>);

impl Message {
    const LONGEST: usize = 16 * 1024;
}

impl Field for Message {
    const CODE: ErrorCode = ErrorCode::InvalidMessageHex;
    const EXPECTED: &'static str = "must be 1 byte to 16 KiB in hex";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if !(1..=Self::LONGEST).contains(&digits.len().div_ceil(2)) {
            return None;
        }
        let mut bytes = vec![0; digits.len() / 2];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// An EIP-191 signature.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Signature {
    /// `0x` and r ‖ s ‖ v in hex.
    pub signature: String,
}

/// The process is up.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: String,
}

impl Health {
    /// The one answer there is.
    pub fn ok() -> Self {
        Self { status: "ok".to_owned() }
    }
}

fn as_hex<S: Serializer>(message: &Message, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(&message.0))
}
