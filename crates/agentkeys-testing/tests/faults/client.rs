use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use agentkeys_testing::{Answer, CodesRead};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Where the servers listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers {
    pub(crate) broker: SocketAddr,
    pub(crate) signer: SocketAddr,
    pub(crate) aws: SocketAddr,
}

/// Asks the servers, which may go away at any time.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    servers: Servers,
    refusals: Arc<Mutex<Vec<u8>>>,
    codes: CodesRead,
}

/// There was no answer, or one that says that a server is going down: nothing is known of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) token: String,
    pub(crate) session_id: String,
    pub(crate) account: String,
}

/// A challenge and its right answer.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) token: String,
    pub(crate) request_id: String,
    pub(crate) signature: String,
}

impl Client {
    pub(crate) fn new(servers: Servers) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, servers, refusals: Arc::default(), codes: CodesRead::default() }
    }

    /// A request to the broker.
    pub(crate) fn broker(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.servers.broker))
    }

    /// The URL of the broker.
    pub(crate) fn broker_url(&self) -> String {
        format!("http://{}", self.servers.broker)
    }

    /// A request to the signer.
    pub(crate) fn signer(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.servers.signer))
    }

    /// A request to the AWS stand-in.
    pub(crate) fn aws(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.servers.aws))
    }

    /// Sends a request, and reads what comes back to its end.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Lost> {
        let (answer, _) = self.send_for_text(request).await?;
        Ok(answer)
    }

    /// As [`Client::send`], for bodies that are not JSON.
    pub(crate) async fn send_for_text(&self, request: RequestBuilder) -> Result<(Answer, String), Lost> {
        let response = request.send().await.map_err(|_| Lost)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.map_err(|_| Lost)?;
        if status >= 400 {
            self.refusals.lock().unwrap().extend_from_slice(format!("{status} {headers:?}\n{text}\n").as_bytes());
        }
        Ok((Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() }, text))
    }

    /// Heads and bodies of all refusals so far.
    pub(crate) fn refusals(&self) -> Vec<u8> {
        self.refusals.lock().unwrap().clone()
    }

    /// Gets a path of the broker.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Result<Answer, Lost> {
        self.send(self.broker(Method::GET, path).bearer_auth(token)).await
    }

    /// Deletes a path of the broker.
    pub(crate) async fn delete(&self, path: &str, token: &str) -> Result<Answer, Lost> {
        self.send(self.broker(Method::DELETE, path).bearer_auth(token)).await
    }

    /// Posts JSON to a path of the broker.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Answer, Lost> {
        self.send(self.broker(Method::POST, path).bearer_auth(token).json(body)).await
    }

    /// Asks for a code for `email`.
    pub(crate) async fn start_sign_in(&self, email: &str) -> Result<Answer, Lost> {
        let body = json!({"email": email, "client_name": "fault bench"});
        self.send(self.broker(Method::POST, "/v1/auth/email/start").json(&body)).await
    }

    /// The code of a mail to `email` that is on its way, and was not read before.
    pub(crate) async fn mailed_code(&self, email: &str) -> Result<String, Lost> {
        loop {
            let request = self.signer(Method::GET, "/mail").query(&[("to", email)]);
            let mails = self.send(request.header("accept", "application/json")).await?.expect(200);
            let texts = mails.body.as_array().expect("a list of mails").iter();
            if let Some(code) = self.codes.newest(texts.filter_map(|mail| mail["text"].as_str())) {
                return Ok(code);
            }
            // Where the broker is gone, none will come.
            self.send(self.broker(Method::GET, "/healthz")).await?;
        }
    }

    /// Answers with a code.
    pub(crate) async fn verify_code(&self, request_id: &str, code: &str) -> Result<Answer, Lost> {
        let body = json!({"request_id": request_id, "code": code});
        self.send(self.broker(Method::POST, "/v1/auth/email/verify").json(&body)).await
    }

    /// Asks for a code and reads it: the request id and the code.
    pub(crate) async fn request_code(&self, email: &str) -> Result<(String, String), Lost> {
        let started = self.start_sign_in(email).await?.acknowledged(202)?;
        Ok((started.text("request_id").to_owned(), self.mailed_code(email).await?))
    }

    /// Signs in.
    pub(crate) async fn sign_in(&self, email: &str) -> Result<SignedIn, Lost> {
        let (request_id, code) = self.request_code(email).await?;
        let answer = self.verify_code(&request_id, &code).await?.acknowledged(200)?;
        Ok(SignedIn::read(&answer))
    }

    /// Has the signer derive the wallet.
    pub(crate) async fn derive_address(&self, who: &SignedIn) -> Result<Answer, Lost> {
        let request = self.signer(Method::POST, "/dev/derive-address").bearer_auth(&who.token);
        self.send(request.json(&json!({"omni_account": who.account}))).await
    }

    /// Has the signer sign.
    pub(crate) async fn sign(&self, who: &SignedIn, message: &[u8]) -> Result<Answer, Lost> {
        let body = json!({"omni_account": who.account, "message_hex": hex::encode(message)});
        self.send(self.signer(Method::POST, "/dev/sign-message").bearer_auth(&who.token).json(&body)).await
    }

    /// Links a wallet.
    pub(crate) async fn link(&self, who: &SignedIn, address: &str) -> Result<Answer, Lost> {
        self.post("/v1/wallet/link", &who.token, &json!({"address": address})).await
    }

    /// Asks for a challenge for a linked wallet of the signer's, and has it signed.
    pub(crate) async fn challenge(&self, who: &SignedIn, address: &str) -> Result<Challenge, Lost> {
        let asked = self.post("/v1/auth/wallet/start", &who.token, &json!({"address": address})).await?;
        let asked = asked.acknowledged(200)?;
        let signed = self.sign(who, asked.text("siwe_message").as_bytes()).await?.acknowledged(200)?;
        Ok(Challenge {
            token: who.token.clone(),
            request_id: asked.text("request_id").to_owned(),
            signature: signed.text("signature").to_owned(),
        })
    }

    /// Answers a challenge.
    pub(crate) async fn answer(&self, challenge: &Challenge) -> Result<Answer, Lost> {
        let body = json!({"request_id": challenge.request_id, "signature": challenge.signature});
        self.post("/v1/auth/wallet/verify", &challenge.token, &body).await
    }

    /// Mints a web-identity JWT.
    pub(crate) async fn mint(&self, wallet_token: &str) -> Result<Answer, Lost> {
        self.post("/v1/mint-oidc-jwt", wallet_token, &json!({})).await
    }
}

impl SignedIn {
    pub(crate) fn read(answer: &Answer) -> Self {
        Self {
            token: answer.text("session_token").to_owned(),
            session_id: answer.text("session_id").to_owned(),
            account: answer.text("omni_account").to_owned(),
        }
    }
}

/// Tells what was acknowledged from what is in doubt.
pub(crate) trait Acknowledged: Sized {
    /// The answer, if it has this status; lost, if it says that a server is going down.
    fn acknowledged(self, status: u16) -> Result<Self, Lost>;
}

impl Acknowledged for Answer {
    fn acknowledged(self, status: u16) -> Result<Self, Lost> {
        if self.status == 503 { Err(Lost) } else { Ok(self.expect(status)) }
    }
}
