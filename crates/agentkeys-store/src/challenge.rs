use agentkeys_types::{EvmAddress, OmniAccount, RequestIdDigest, SessionId, Timestamp};
use async_trait::async_trait;

use crate::{Entry, StoreError};

/// How many wrong signatures end a challenge.
pub const MOST_WRONG_SIGNATURES: u32 = 5;

/// A challenge to prove a wallet: the exact message that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Recognises whoever asked.
    pub request: RequestIdDigest,
    /// The 30-day session that asked, and that alone may answer.
    pub session: SessionId,
    /// The account that the message names.
    pub account: OmniAccount,
    /// The wallet that must sign.
    pub address: EvmAddress,
    /// The EIP-4361 message, byte for byte.
    pub message: String,
    /// When it was given out.
    pub created_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// What became of a right signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The challenge is over.
    Expired,
    /// There is no such open challenge of this session: unknown, used, or tried too often.
    Invalid,
    /// The wallet is no longer linked to the account; nothing was changed.
    NotLinked,
    /// The challenge is used up, and the wallet proved.
    Proved,
    /// Another account proved the wallet first; nothing was changed.
    Taken,
}

/// Remembers challenges from the message to the signature.
#[async_trait]
pub trait ChallengeStore: Send + Sync {
    /// Remembers a challenge.
    async fn issue_challenge(&self, challenge: Challenge) -> Result<(), StoreError>;

    /// The open challenge of this request and session: not used, nor tried too often, perhaps over.
    async fn find_challenge(
        &self,
        request: RequestIdDigest,
        session: SessionId,
    ) -> Result<Option<Challenge>, StoreError>;

    /// Counts a wrong signature.
    async fn count_wrong_signature(&self, request: RequestIdDigest) -> Result<(), StoreError>;

    /// Uses a challenge up, proves its wallet and records `entry`: all or nothing, and of any number at once
    /// exactly one. At or after its expiry (by `entry.at`) a challenge is over for good, wherever the clock goes.
    async fn prove(&self, request: RequestIdDigest, session: SessionId, entry: Entry) -> Result<Proof, StoreError>;
}
