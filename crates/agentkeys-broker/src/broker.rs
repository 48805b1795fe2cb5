use std::{collections::BTreeSet, sync::Arc};

use agentkeys_crypto::{HashKey, HolderCheck, OidcIssuer, SealingKey, SessionIssuer, TokenVerifier};
use agentkeys_store::Store;
use agentkeys_types::{ClientId, Clock};

use crate::{
    AllowList, Config, Issuer, Limits, Mailer, Sessions, mail::Outbox, providers::Providers, signing::Rotating,
    standing::Standing, witness::Witness,
};

/// Signs people in, links their wallets, names their agents and mints web-identity JWTs. Knows nothing of HTTP.
///
/// Each operation has its file: sign-in, browsers, grants, linking, sessions, wallets, agents, mint. Every one that changes something records
/// that durably, in the same transaction, before it answers.
#[derive(Debug)]
pub struct Broker {
    pub(crate) issuer: Issuer,
    pub(crate) client_id: ClientId,
    pub(crate) audiences: BTreeSet<String>,
    pub(crate) chain_ids: BTreeSet<u64>,
    pub(crate) allow: AllowList,
    pub(crate) limits: Limits,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) providers: Providers,
    pub(crate) session_issuer: Rotating<SessionIssuer>,
    pub(crate) verifier: TokenVerifier,
    pub(crate) oidc_issuer: Rotating<OidcIssuer>,
    pub(crate) code_key: HashKey,
    pub(crate) client_states: SealingKey,
    pub(crate) standing: Standing,
    pub(crate) witness: Witness,
    pub(crate) holders: HolderCheck,
}

/// What a broker signs and hashes with.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) session: Rotating<SessionIssuer>,
    pub(crate) oidc: Rotating<OidcIssuer>,
    pub(crate) codes: HashKey,
}

impl Broker {
    pub(crate) fn new(
        config: &Config,
        issuer: Issuer,
        keys: Keys,
        (store, witness): (Arc<dyn Store>, Witness),
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
        providers: Providers,
    ) -> Self {
        let most_waiting = config.mail.queue;
        let letters = keys.codes.sealing_key("letters");
        let outbox = Outbox::new(Arc::clone(&store), Arc::clone(&mailer), Arc::clone(&clock), letters, most_waiting);
        Self {
            providers,
            verifier: TokenVerifier::new(issuer.as_str().to_owned(), &keys.session.keys()),
            issuer,
            client_id: config.client_id.clone(),
            audiences: config.audiences.clone(),
            chain_ids: config.chain_ids.clone(),
            allow: config.sign_in.clone(),
            limits: config.limits,
            sessions: config.sessions,
            clock,
            store,
            mailer,
            outbox: Arc::new(outbox),
            session_issuer: keys.session,
            oidc_issuer: keys.oidc,
            client_states: keys.codes.sealing_key("client states"),
            code_key: keys.codes,
            standing: Standing::new(),
            witness,
            holders: HolderCheck::default(),
        }
    }

    /// The URL of this broker, as clouds and clients know it.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The keys that verify session tokens.
    pub fn session_keys(&self) -> agentkeys_crypto::JwkSet {
        self.session_issuer.keys()
    }

    /// The keys that verify web-identity JWTs.
    pub fn oidc_keys(&self) -> agentkeys_crypto::JwkSet {
        self.oidc_issuer.keys()
    }

    /// Whether a session may be opened without a device key.
    pub fn opens_unbound(&self) -> bool {
        !self.sessions.life(false).is_zero()
    }

    /// The nonce for proofs from now on (RFC 9449 section 8).
    pub fn dpop_nonce(&self) -> String {
        self.holders.nonce(self.clock.now())
    }

    /// What keeps this broker from doing its work now; nothing when it is ready.
    pub async fn hindrances(&self) -> Vec<&'static str> {
        let mut hindrances = Vec::new();
        if let Err(error) = self.store.check_writable().await {
            tracing::warn!(%error, "the store is not writable");
            hindrances.push("the store cannot be written");
        }
        if !self.can_mail_leave().await {
            hindrances.push("mail cannot leave");
        }
        hindrances
    }

    async fn can_mail_leave(&self) -> bool {
        if let Err(error) = self.mailer.check().await {
            tracing::warn!(%error, "the mail server cannot be reached");
            return false;
        }
        match self.outbox.is_stuck().await {
            Ok(is_stuck) => !is_stuck,
            Err(error) => {
                tracing::warn!(%error, "the mails that wait could not be read");
                true
            }
        }
    }
}
