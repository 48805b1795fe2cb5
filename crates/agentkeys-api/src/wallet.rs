use agentkeys_types::{EvmAddress, OmniAccount, RequestId, SessionId, Timestamp, WalletSessionToken};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{Body, ErrorCode, Field, Fields, IdentityView, Problem, TokenType, body::Value};

/// Links a wallet to the caller's account.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct WalletLink {
    /// The wallet.
    #[schema(value_type = String)]
    pub address: EvmAddress,
}

impl Body for WalletLink {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { address: fields.required("address")? })
    }
}

/// Whether a linked wallet has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkStatus {
    /// Not yet: it blocks nobody.
    Pending,
    /// It signed a challenge that names the account.
    Proved,
}

/// A wallet is linked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletLinked {
    /// The wallet.
    #[schema(value_type = String)]
    pub address: EvmAddress,
    /// Today's status.
    pub status: LinkStatus,
}

/// A linked wallet as its account sees it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletLinkView {
    /// The wallet.
    #[schema(value_type = String)]
    pub address: EvmAddress,
    /// Today's status.
    pub status: LinkStatus,
    /// When it was linked.
    #[schema(value_type = String)]
    pub linked_at: Timestamp,
}

/// The account's wallets.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletLinks {
    /// Oldest first.
    pub links: Vec<WalletLinkView>,
}

/// Asks for a challenge to prove a linked wallet.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct WalletStart {
    /// The wallet.
    #[schema(value_type = String)]
    pub address: EvmAddress,
    /// The EIP-155 chain id that the message names; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub chain_id: Option<ChainId>,
}

impl Body for WalletStart {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { address: fields.required("address")?, chain_id: fields.optional("chain_id")? })
    }
}

/// An EIP-155 chain id, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ChainId(pub u64);

impl Field for ChainId {
    const CODE: ErrorCode = ErrorCode::InvalidChainId;
    const EXPECTED: &'static str = "must be a whole number of an allowed chain";

    fn read(value: Value) -> Option<Self> {
        let Value::Integer(number @ 1..) = value else { return None };
        Some(Self(number))
    }
}

/// A challenge: an EIP-4361 message to sign.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletChallenge {
    /// The secret under which it is answered.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// The exact text to sign.
    pub siwe_message: String,
    /// When it is over.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

/// Answers a challenge.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WalletVerify {
    /// As [`WalletChallenge::request_id`] said.
    #[schema(value_type = String)]
    pub request_id: RequestId,
    /// 65 bytes r ‖ s ‖ v in hex.
    pub signature: String,
}

impl Body for WalletVerify {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let SignatureText(signature) = fields.required("signature")?;
        Ok(Self { request_id: fields.required("request_id")?, signature })
    }
}

/// A signature that nobody has looked at yet: its shape has codes of its own.
struct SignatureText(String);

impl Field for SignatureText {
    const CODE: ErrorCode = ErrorCode::InvalidSignatureFormat;
    const EXPECTED: &'static str = "must be 65 bytes in hex";

    fn read(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        Some(Self(text))
    }
}

/// A wallet is proved. The only reply that carries a wallet session token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletProved {
    /// The wallet session token.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    pub session_token: WalletSessionToken,
    /// How it is presented.
    pub token_type: TokenType,
    /// Names the wallet session.
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// The wallet's own anchor.
    #[schema(value_type = String)]
    pub omni_account: OmniAccount,
    /// The wallet as an identity.
    pub identity: IdentityView,
    /// The account that it is linked to.
    #[schema(value_type = String)]
    pub account: OmniAccount,
    /// The wallet.
    #[schema(value_type = String)]
    pub address: EvmAddress,
}

fn expose<S: Serializer>(token: &WalletSessionToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}
