mod agents;
mod identities;
mod oauth;

use std::time::Duration;

use agentkeys_api::{
    EmailStart, EmailStarted, EmailVerify, Health, MintOidcJwt, MintedOidcJwt, SessionList, SessionView, SignedIn,
    Standing, StandingRequest, WalletChallenge, WalletLink, WalletLinked, WalletLinks, WalletProved, WalletStart,
    WalletVerify, paths,
};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{EvmAddress, SessionId, Timestamp};
use serde_json::Value;

pub(crate) use self::oauth::CodeExchange;
use crate::{
    ClientError, Http, PlainAnswer, ServerUrl, Session, WalletProof,
    http::{Credential, Server},
};

/// Asks a broker.
#[derive(Clone, Debug)]
pub struct BrokerClient(Server);

impl BrokerClient {
    /// A client of the broker at `url`.
    pub fn new(http: &Http, url: ServerUrl) -> Self {
        Self(Server::new(http, url))
    }

    /// Where the broker is.
    pub fn url(&self) -> &ServerUrl {
        &self.0.url
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Asks for a code by mail, for a session that will be bound to `key`.
    pub async fn start_email(
        &self,
        request: &EmailStart,
        key: Option<&DeviceKey>,
    ) -> Result<EmailStarted, ClientError> {
        self.0.create(paths::EMAIL_START, Credential { token: None, key }, request).await
    }

    /// Answers with the code from the mail, and with the same `key`.
    pub async fn verify_email(&self, request: &EmailVerify, key: Option<&DeviceKey>) -> Result<SignedIn, ClientError> {
        self.0.create(paths::EMAIL_VERIFY, Credential { token: None, key }, request).await
    }

    /// The session behind the token, as the broker sees it.
    pub async fn session(&self, session: &Session) -> Result<SessionView, ClientError> {
        self.0.show(paths::SESSION, session.credential()).await
    }

    /// A fresh token for the same session; the one in `session` is over from then on.
    pub async fn renew_session(&self, session: &Session) -> Result<SignedIn, ClientError> {
        self.0.call(paths::SESSION_RENEW, session.credential()).await
    }

    /// The account's sessions, newest first.
    pub async fn sessions(&self, session: &Session) -> Result<SessionList, ClientError> {
        self.0.show(paths::SESSIONS, session.credential()).await
    }

    /// Whether a session stands, after waiting up to `wait`, in whole seconds, for that to end.
    pub async fn standing(&self, session_id: SessionId, wait: Duration) -> Result<Standing, ClientError> {
        self.0.await_answer(paths::SESSIONS_STANDING, wait, &StandingRequest { session_id }).await
    }

    /// Ends one session of the account.
    pub async fn revoke_session(&self, session: &Session, session_id: SessionId) -> Result<(), ClientError> {
        let path = paths::SESSION_BY_ID.replace("{session_id}", &session_id.to_string());
        self.0.delete(&path, session.credential()).await
    }

    /// Ends every session of the account, this one last.
    pub async fn revoke_all_sessions(&self, session: &Session) -> Result<(), ClientError> {
        self.0.delete(paths::SESSIONS, session.credential()).await
    }

    /// Links a wallet to the account; again and again gives today's status.
    pub async fn link_wallet(&self, session: &Session, address: EvmAddress) -> Result<WalletLinked, ClientError> {
        self.0.create(paths::WALLET_LINK, session.credential(), &WalletLink { address }).await
    }

    /// Takes a wallet's link away.
    pub async fn unlink_wallet(&self, session: &Session, address: EvmAddress) -> Result<(), ClientError> {
        let path = paths::WALLET_LINK_BY_ADDRESS.replace("{address}", &address.to_string());
        self.0.delete(&path, session.credential()).await
    }

    /// The account's wallets, oldest first.
    pub async fn wallets(&self, session: &Session) -> Result<WalletLinks, ClientError> {
        self.0.show(paths::WALLET_LINKS, session.credential()).await
    }

    /// Asks for a challenge to prove a linked wallet.
    pub async fn start_wallet(&self, session: &Session, request: &WalletStart) -> Result<WalletChallenge, ClientError> {
        self.0.create(paths::WALLET_START, session.credential(), request).await
    }

    /// Answers it.
    pub async fn verify_wallet(&self, session: &Session, request: &WalletVerify) -> Result<WalletProved, ClientError> {
        self.0.create(paths::WALLET_VERIFY, session.credential(), request).await
    }

    /// Mints the web-identity JWT for the proved wallet.
    pub async fn mint_oidc_jwt(
        &self,
        proof: &WalletProof,
        request: &MintOidcJwt,
    ) -> Result<MintedOidcJwt, ClientError> {
        self.0.create(paths::MINT_OIDC_JWT, proof.credential(), request).await
    }

    /// The discovery document, as a cloud reads it.
    pub async fn openid_configuration(&self) -> Result<Value, ClientError> {
        self.0.show(paths::OPENID_CONFIGURATION, Credential::NONE).await
    }

    /// The keys that verify web-identity JWTs, as a cloud reads them.
    pub async fn jwks(&self) -> Result<Value, ClientError> {
        self.0.show(paths::JWKS, Credential::NONE).await
    }

    /// The keys that verify session tokens.
    pub async fn session_keys(&self) -> Result<Value, ClientError> {
        self.0.show(paths::SESSION_KEYS, Credential::NONE).await
    }

    /// What the broker answers at one of its public [`paths`], as it comes.
    pub async fn look(&self, path: &str) -> Result<PlainAnswer, ClientError> {
        self.0.look(path).await
    }

    /// Whether the broker is up.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.0.show(paths::HEALTHZ, Credential::NONE).await
    }
}
