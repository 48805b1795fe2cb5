use std::{
    future::Future,
    time::{Duration, Instant},
};

use agentkeys_api::{MintOidcJwt, WalletChallenge, WalletLinked, WalletStart, WalletVerify};
use agentkeys_crypto::DeviceKey;
use agentkeys_types::{AgentName, AwsCredentials, EvmAddress, OidcJwt, OmniAccount, Timestamp, WalletSessionToken};

use crate::{
    BrokerClient, ClientError, CodePrompt, EmailSignIn, Http, Role, ServerUrl, Session, SignerClient, StsClient,
    http::Credential, request_session_token, siwe,
};

/// One of the eight steps from a sign-in to AWS credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The person signs in.
    SignIn = 1,
    /// The signer derives the account's wallet.
    Derive = 2,
    /// The broker links it to the account.
    Link = 3,
    /// The broker gives a challenge.
    Challenge = 4,
    /// The signer signs it.
    Sign = 5,
    /// The broker verifies the signature and gives a wallet session.
    Verify = 6,
    /// The broker mints a web-identity JWT.
    Mint = 7,
    /// AWS gives credentials for it.
    Assume = 8,
}

impl Step {
    /// Its place among the eight.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What has happened once it is done.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "signed in",
            Self::Derive => "wallet derived",
            Self::Link => "wallet linked",
            Self::Challenge => "sign-in challenge received",
            Self::Sign => "challenge signed by the signer",
            Self::Verify => "wallet proved, session for it issued",
            Self::Mint => "OIDC JWT minted",
            Self::Assume => "temporary AWS credentials",
        }
    }
}

/// Is told of each step when it is done.
pub trait Observer: Send {
    /// `step` is done and took `elapsed`; `detail` says what came of it, without secrets, or is empty.
    fn step(&mut self, step: Step, elapsed: Duration, detail: &str);
}

/// Does not care.
impl Observer for () {
    fn step(&mut self, _: Step, _: Duration, _: &str) {}
}

/// A wallet that proved itself to the broker a moment ago.
#[derive(Clone, Debug)]
pub struct WalletProof {
    /// The token for minting: minutes long, and never leaves this process's memory.
    pub token: WalletSessionToken,
    /// The device key that it is bound to, as its session is.
    pub device_key: Option<DeviceKey>,
    /// The wallet.
    pub address: EvmAddress,
    /// The account that it is proved for.
    pub account: OmniAccount,
    /// When the proof is over.
    pub expires_at: Timestamp,
}

impl WalletProof {
    pub(crate) fn credential(&self) -> Credential<'_> {
        Credential::new(self.token.expose(), self.device_key.as_ref())
    }
}

/// Where the eight steps lead.
#[derive(Clone, Debug)]
pub struct Walked {
    /// The person's session.
    pub session: Session,
    /// Their wallet.
    pub wallet: EvmAddress,
    /// Their credentials.
    pub credentials: AwsCredentials,
}

/// The way from a sign-in to AWS credentials, over three servers.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Knows the account.
    pub broker: BrokerClient,
    /// Holds the wallet.
    pub signer: SignerClient,
    /// Gives the credentials, at each role's own STS.
    pub sts: StsClient,
}

impl Flow {
    /// The way from the broker at `broker_url`, over `signer`, to the STS of each role.
    pub fn new(http: &Http, broker_url: ServerUrl, signer: SignerClient) -> Self {
        Self { broker: BrokerClient::new(http, broker_url), signer, sts: StsClient::new(http) }
    }

    /// All eight steps.
    pub async fn walk(
        &self,
        sign_in: &EmailSignIn,
        prompt: &mut dyn CodePrompt,
        role: &Role,
        observer: &mut dyn Observer,
    ) -> Result<Walked, ClientError> {
        let session = self.sign_in(sign_in, prompt, observer).await?;
        let wallet = self.derive_wallet(&session, observer).await?;
        self.link_wallet(&session, wallet, observer).await?;
        let challenge = self.start_challenge(&session, wallet, observer).await?;
        let signature = self.sign_challenge(&session, wallet, &challenge, observer).await?;
        let proof = self.verify_challenge(&session, challenge, signature, observer).await?;
        let jwt = self.mint_oidc_jwt(&proof, observer).await?;
        let credentials = self.assume_role(&proof, &jwt, role, None, observer).await?;
        Ok(Walked { session, wallet, credentials })
    }

    /// Steps 2 and 3: the session's wallet, linked to its account. Needed once, harmless when repeated.
    pub async fn connect_wallet(
        &self,
        session: &Session,
        observer: &mut dyn Observer,
    ) -> Result<EvmAddress, ClientError> {
        let wallet = self.derive_wallet(session, observer).await?;
        self.link_wallet(session, wallet, observer).await?;
        Ok(wallet)
    }

    /// Steps 4 to 6: a fresh proof by a linked wallet.
    pub async fn prove_wallet(
        &self,
        session: &Session,
        wallet: EvmAddress,
        observer: &mut dyn Observer,
    ) -> Result<WalletProof, ClientError> {
        let challenge = self.start_challenge(session, wallet, observer).await?;
        let signature = self.sign_challenge(session, wallet, &challenge, observer).await?;
        self.verify_challenge(session, challenge, signature, observer).await
    }

    /// Steps 4 to 8: fresh credentials by a linked wallet.
    pub async fn fetch_credentials(
        &self,
        session: &Session,
        wallet: EvmAddress,
        role: &Role,
        observer: &mut dyn Observer,
    ) -> Result<AwsCredentials, ClientError> {
        let proof = self.prove_wallet(session, wallet, observer).await?;
        let jwt = self.mint_oidc_jwt(&proof, observer).await?;
        self.assume_role(&proof, &jwt, role, None, observer).await
    }

    /// Step 1.
    pub async fn sign_in(
        &self,
        sign_in: &EmailSignIn,
        prompt: &mut dyn CodePrompt,
        observer: &mut dyn Observer,
    ) -> Result<Session, ClientError> {
        let (session, elapsed) = timed(request_session_token(&self.broker, sign_in, prompt)).await?;
        observer.step(Step::SignIn, elapsed, &session.identity.value);
        Ok(session)
    }

    /// Step 2.
    pub async fn derive_wallet(
        &self,
        session: &Session,
        observer: &mut dyn Observer,
    ) -> Result<EvmAddress, ClientError> {
        let derived = self.signer.derive_address(session.at(self.broker.url())?, session.omni_account);
        let (wallet, elapsed) = timed(derived).await?;
        observer.step(Step::Derive, elapsed, &wallet.to_string());
        Ok(wallet)
    }

    /// Step 3.
    pub async fn link_wallet(
        &self,
        session: &Session,
        wallet: EvmAddress,
        observer: &mut dyn Observer,
    ) -> Result<WalletLinked, ClientError> {
        let (linked, elapsed) = timed(self.broker.link_wallet(session.at(self.broker.url())?, wallet)).await?;
        observer.step(Step::Link, elapsed, "");
        Ok(linked)
    }

    /// Step 4.
    pub async fn start_challenge(
        &self,
        session: &Session,
        wallet: EvmAddress,
        observer: &mut dyn Observer,
    ) -> Result<WalletChallenge, ClientError> {
        let request = WalletStart { address: wallet, chain_id: None };
        let (challenge, elapsed) = timed(self.broker.start_wallet(session.at(self.broker.url())?, &request)).await?;
        observer.step(Step::Challenge, elapsed, "");
        Ok(challenge)
    }

    /// Step 5. What is not this wallet's own proof for this account at this broker never reaches the signer.
    pub async fn sign_challenge(
        &self,
        session: &Session,
        wallet: EvmAddress,
        challenge: &WalletChallenge,
        observer: &mut dyn Observer,
    ) -> Result<String, ClientError> {
        siwe::check(challenge, session.omni_account, wallet, self.broker.url())?;
        let message = challenge.siwe_message.as_bytes();
        let signed = self.signer.sign_message(session.at(self.broker.url())?, session.omni_account, message);
        let (signed, elapsed) = timed(signed).await?;
        observer.step(Step::Sign, elapsed, "");
        Ok(signed.signature)
    }

    /// Step 6.
    pub async fn verify_challenge(
        &self,
        session: &Session,
        challenge: WalletChallenge,
        signature: String,
        observer: &mut dyn Observer,
    ) -> Result<WalletProof, ClientError> {
        let request = WalletVerify { request_id: challenge.request_id, signature };
        let (proved, elapsed) = timed(self.broker.verify_wallet(session.at(self.broker.url())?, &request)).await?;
        observer.step(Step::Verify, elapsed, "");
        Ok(WalletProof {
            token: proved.session_token,
            device_key: session.device_key.clone(),
            address: proved.address,
            account: proved.account,
            expires_at: proved.expires_at,
        })
    }

    /// Step 7.
    pub async fn mint_oidc_jwt(
        &self,
        proof: &WalletProof,
        observer: &mut dyn Observer,
    ) -> Result<OidcJwt, ClientError> {
        let request = MintOidcJwt::default();
        let (minted, elapsed) = timed(self.broker.mint_oidc_jwt(proof, &request)).await?;
        observer.step(Step::Mint, elapsed, "");
        Ok(minted.jwt)
    }

    /// Step 8, for `agent` if the JWT names one. The role session has a name, so that AWS's own logs show whose it is.
    pub async fn assume_role(
        &self,
        proof: &WalletProof,
        jwt: &OidcJwt,
        role: &Role,
        agent: Option<&AgentName>,
        observer: &mut dyn Observer,
    ) -> Result<AwsCredentials, ClientError> {
        let session_name = role.session_name.fill(proof.address, agent);
        let (credentials, elapsed) = timed(self.sts.assume_role_with_web_identity(role, &session_name, jwt)).await?;
        observer.step(Step::Assume, elapsed, &credentials.access_key_id);
        Ok(credentials)
    }
}

/// Runs a step and takes its time.
async fn timed<T>(step: impl Future<Output = Result<T, ClientError>>) -> Result<(T, Duration), ClientError> {
    let started = Instant::now();
    let outcome = step.await?;
    Ok((outcome, started.elapsed()))
}
