use std::{net::IpAddr, time::Duration};

use agentkeys_crypto::{
    AUDIENCE, EvmSignature, KeyError, SignatureError, SiweMessage, VerifiedToken, WalletSessionTokenClaims, random,
};
use agentkeys_store::{Action, Challenge, Proof, StoreError, WalletLink};
use agentkeys_types::{
    EvmAddress, Identity, IdentityType, OmniAccount, RequestId, SessionId, Timestamp, WalletSessionToken,
};

use crate::{Broker, SessionCaller};

/// For how long a challenge may be answered.
const CHALLENGE_LIFE: Duration = Duration::from_mins(5);
/// For how long a wallet session stands.
const WALLET_SESSION_LIFE: Duration = Duration::from_mins(10);
const DEFAULT_CHAIN: u64 = 1;

/// Why a wallet was not linked, challenged or proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The operator does not allow this chain.
    #[error("chain_id must be one of the chains that this broker allows")]
    Chain,
    /// The challenge is over.
    #[error("the challenge is over: ask for a new one")]
    ChallengeExpired,
    /// There is no such open challenge of this session.
    #[error("there is no such challenge")]
    ChallengeInvalid,
    /// The account has no link to this wallet.
    #[error("the wallet is not linked to this account")]
    NotLinked,
    /// The signature is malformed, or not by the wallet.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The wallet session token could not be signed.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The wallet is proved for another account.
    #[error("the wallet is proved for another account")]
    Taken,
}

/// A challenge to sign.
#[derive(Debug)]
pub struct IssuedChallenge {
    /// The secret under which it is answered.
    pub request: RequestId,
    /// The exact text to sign.
    pub message: String,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// A wallet session that has just been opened, and its token.
#[derive(Debug)]
pub struct OpenedWalletSession {
    /// The wallet session token.
    pub token: WalletSessionToken,
    /// Names the wallet session.
    pub id: SessionId,
    /// The wallet's own anchor.
    pub anchor: OmniAccount,
    /// The account that the wallet is linked to.
    pub account: OmniAccount,
    /// The wallet.
    pub address: EvmAddress,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Broker {
    /// Links a wallet to the caller's account, pending; says whether it is new.
    pub async fn link_wallet(
        &self,
        caller: &SessionCaller,
        address: EvmAddress,
        source: IpAddr,
    ) -> Result<(WalletLink, bool), StoreError> {
        let entry = self.entry(caller, Action::LinkWallet, format!("wallet:{}", address.to_lowercase()), source);
        self.store.link_wallet(caller.session.account, address, entry).await
    }

    /// The wallets of the caller's account, oldest first.
    pub async fn wallets(&self, caller: &SessionCaller) -> Result<Vec<WalletLink>, StoreError> {
        self.store.wallets(caller.session.account).await
    }

    /// Unlinks a wallet: from the answer on, its wallet sessions no longer stand.
    pub async fn unlink_wallet(
        &self,
        caller: &SessionCaller,
        address: EvmAddress,
        source: IpAddr,
    ) -> Result<(), WalletError> {
        let entry = self.entry(caller, Action::UnlinkWallet, format!("wallet:{}", address.to_lowercase()), source);
        let unlinked = self.store.unlink_wallet(caller.session.account, address, entry).await?;
        self.standing.unlinked(caller.session.account);
        self.witness().await?;
        if unlinked { Ok(()) } else { Err(WalletError::NotLinked) }
    }

    /// Gives out the EIP-4361 message that proves a linked wallet.
    pub async fn challenge_wallet(
        &self,
        caller: &SessionCaller,
        address: EvmAddress,
        chain_id: Option<u64>,
    ) -> Result<IssuedChallenge, WalletError> {
        let chain_id = chain_id.unwrap_or(DEFAULT_CHAIN);
        if !self.chain_ids.contains(&chain_id) {
            return Err(WalletError::Chain);
        }
        let account = caller.session.account;
        self.store.find_wallet(account, address).await?.ok_or(WalletError::NotLinked)?;
        let now = self.clock.now();
        let expires_at = now.after(CHALLENGE_LIFE);
        let nonce = hex(&random::<16>());
        let message = SiweMessage {
            domain: self.issuer.authority(),
            address,
            uri: self.issuer.as_str(),
            chain_id,
            nonce: &nonce,
            issued_at: now,
            expires_at,
            account,
        }
        .to_string();
        let request = RequestId::from_bytes(random());
        let challenge = Challenge {
            request: request.digest(),
            session: caller.session.id,
            account,
            address,
            message: message.clone(),
            created_at: now,
            expires_at,
        };
        self.store.issue_challenge(challenge).await?;
        Ok(IssuedChallenge { request, message, expires_at })
    }

    /// Proves a wallet by its signature over the challenge, and opens a wallet session.
    ///
    /// A wrong signature uses nothing up; the fifth one does.
    pub async fn prove_wallet(
        &self,
        caller: &SessionCaller,
        request: &RequestId,
        unverified_signature: &str,
        source: IpAddr,
    ) -> Result<OpenedWalletSession, WalletError> {
        let signature = EvmSignature::parse(unverified_signature)?;
        let session = caller.session.id;
        let challenge =
            self.store.find_challenge(request.digest(), session).await?.ok_or(WalletError::ChallengeInvalid)?;
        if signature.recover(challenge.message.as_bytes()) != Ok(challenge.address) {
            self.store.count_wrong_signature(request.digest()).await?;
            return Err(SignatureError::Invalid.into());
        }
        let subject = format!("wallet:{}", challenge.address.to_lowercase());
        let entry = self.entry(caller, Action::ProveWallet, subject, source);
        let now = entry.at;
        match self.store.prove(request.digest(), session, entry).await? {
            Proof::Proved => Ok(self.open_wallet_session(caller, challenge.address, now)?),
            Proof::Expired => Err(WalletError::ChallengeExpired),
            Proof::Invalid => Err(WalletError::ChallengeInvalid),
            Proof::NotLinked => Err(WalletError::NotLinked),
            Proof::Taken => Err(WalletError::Taken),
        }
    }

    fn open_wallet_session(
        &self,
        caller: &SessionCaller,
        address: EvmAddress,
        now: Timestamp,
    ) -> Result<OpenedWalletSession, KeyError> {
        let id = SessionId::from_bytes(random());
        let anchor = OmniAccount::anchored_by(&self.client_id, &Identity::evm(address));
        let account = caller.session.account;
        // A wallet session never outlives the session that it came from.
        let expires_at = now.after(WALLET_SESSION_LIFE).min(caller.session.expires_at);
        let claims = WalletSessionTokenClaims {
            iss: self.issuer.as_str().to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: anchor,
            sid: id,
            iat: now.as_unix(),
            exp: expires_at.as_unix(),
            auth_time: caller.claims.auth_time,
            idt: IdentityType::Evm,
            acc: account,
            psid: caller.session.id,
            wal: address,
            cnf: caller.claims.cnf,
        };
        let token = self.session_issuer.issue_wallet(&claims)?;
        self.verifier.remember(token.digest(), VerifiedToken::Wallet(claims.into()));
        Ok(OpenedWalletSession { token, id, anchor, account, address, expires_at })
    }
}

pub(crate) fn hex(bytes: &[u8; 16]) -> String {
    SessionId::from_bytes(*bytes).to_string()
}
