use agentkeys_crypto::{MasterSecret, Wallet};
use agentkeys_types::{OmniAccount, SessionToken, WalletSessionToken};
use serde_json::{Value, json};

use crate::{Answer, Device};

/// Somebody who is signed in, with a wallet of their own.
#[derive(Debug)]
pub struct Person {
    http: reqwest::Client,
    base: String,
    token: SessionToken,
    device: Option<Device>,
    wallet_token: Option<WalletSessionToken>,
    session_id: String,
    account: OmniAccount,
    wallet: Wallet,
}

impl Person {
    /// Whoever got this sign-in reply from the broker at `base`.
    pub(crate) fn new(http: reqwest::Client, base: String, device: Option<Device>, signed_in: &Answer) -> Self {
        let account: OmniAccount = signed_in.text("omni_account").parse().expect("an account");
        Self {
            http,
            base,
            token: SessionToken::new(signed_in.text("session_token").to_owned()),
            device,
            wallet_token: None,
            session_id: signed_in.text("session_id").to_owned(),
            account,
            wallet: MasterSecret::new(&[7; 32]).derive_wallet(&account),
        }
    }

    /// The same person at another broker of the deployment.
    pub fn visit(&mut self, base: String) {
        self.base = base;
    }

    /// The device that the session is bound to.
    ///
    /// # Panics
    ///
    /// When it is bound to none.
    pub fn device(&self) -> &Device {
        self.device.as_ref().expect("a device")
    }

    /// Goes on with the token of a renewed session.
    pub fn renewed(&mut self, renewal: &Answer) {
        self.token = SessionToken::new(renewal.text("session_token").to_owned());
    }

    /// The 30-day session token.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    /// The wallet session token.
    ///
    /// # Panics
    ///
    /// When no wallet was proved.
    pub fn wallet_token(&self) -> &str {
        self.wallet_token.as_ref().expect("a proved wallet").expose()
    }

    /// Names the 30-day session.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The account.
    pub fn account(&self) -> OmniAccount {
        self.account
    }

    /// The wallet's address in EIP-55 form.
    pub fn address(&self) -> String {
        self.wallet.address().to_string()
    }

    /// The wallet's EIP-191 signature.
    pub fn sign(&self, message: &str) -> String {
        self.wallet.sign_eip191(message.as_bytes()).to_string()
    }

    /// Gets a path with the session token.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path)), self.token()).await
    }

    /// Deletes a path with the session token.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.http.delete(self.url(path)), self.token()).await
    }

    /// Posts JSON with the session token.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.url(path)).json(body), self.token()).await
    }

    /// Puts JSON with the session token.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.put(self.url(path)).json(body), self.token()).await
    }

    /// Links the wallet.
    pub async fn link_wallet(&self) -> Answer {
        self.post("/v1/wallet/link", &json!({"address": self.address()})).await
    }

    /// Asks for a challenge for the wallet; returns the request id and the message.
    pub async fn challenge(&self) -> (String, String) {
        let challenge = self.post("/v1/auth/wallet/start", &json!({"address": self.address()})).await.expect(200);
        (challenge.text("request_id").to_owned(), challenge.text("siwe_message").to_owned())
    }

    /// Answers a challenge.
    pub async fn answer_challenge(&self, request_id: &str, signature: &str) -> Answer {
        self.post("/v1/auth/wallet/verify", &json!({"request_id": request_id, "signature": signature})).await
    }

    /// Links and proves the wallet.
    #[must_use]
    pub async fn prove_wallet(mut self) -> Self {
        self.link_wallet().await;
        let (request_id, message) = self.challenge().await;
        let proved = self.answer_challenge(&request_id, &self.sign(&message)).await.expect(200);
        self.wallet_token = Some(WalletSessionToken::new(proved.text("session_token").to_owned()));
        self
    }

    /// Mints a web-identity JWT with the wallet session.
    pub async fn mint(&self, body: &Value) -> Answer {
        self.send(self.http.post(self.url("/v1/mint-oidc-jwt")).json(body), self.wallet_token()).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder, token: &str) -> Answer {
        match &self.device {
            Some(device) => device.send(request, Some(token)).await,
            None => Answer::read(request.bearer_auth(token).send().await.expect("the broker answers")).await,
        }
    }
}
