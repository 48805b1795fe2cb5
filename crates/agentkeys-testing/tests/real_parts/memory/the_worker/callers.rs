use agentkeys_api::paths;
use agentkeys_client::{Flow, Session};
use agentkeys_testing::Answer;
use agentkeys_types::{Clock, EvmAddress, SystemClock, TokenDigest};
use reqwest::Client;
use serde_json::{Value, json};

use super::{Form, forms};
use crate::worker::machine::http;

/// How many challenges of the broker each caller has signed, and how often each.
const CHALLENGES: usize = 15;
const SIGNINGS: usize = 5;
/// How many of its last proofs are looked for.
const PROOFS: usize = 8;

/// The owner of a session, with one connection to the worker.
pub(super) struct Caller<'s> {
    http: Client,
    url: String,
    session: &'s Session,
    nonce: Option<String>,
    /// All that it has sent.
    proofs: Vec<String>,
}

impl<'s> Caller<'s> {
    pub(super) fn new(worker: &str, session: &'s Session) -> Self {
        let url = format!("{worker}{}", paths::SIGN_MESSAGE);
        Self { http: http(), url, session, nonce: None, proofs: Vec::new() }
    }

    /// Has challenges for its wallet signed; and something else refused, which is large.
    pub(super) async fn have_signed(&mut self, flow: &Flow, wallet: EvmAddress) {
        let account = self.session.omni_account;
        // After a large one, a connection has larger buffers.
        let large = json!({"omni_account": account, "message_hex": "00".repeat(30_000)});
        self.send(&large, 400).await;
        for _ in 0..CHALLENGES {
            let challenge = flow.start_challenge(self.session, wallet, &mut ()).await.unwrap();
            let request = json!({"omni_account": account, "message_hex": hex::encode(&challenge.siwe_message)});
            let mut signature = String::new();
            for _ in 0..SIGNINGS {
                self.send(&request, 200).await.text("signature").clone_into(&mut signature);
            }
            flow.verify_challenge(self.session, challenge, signature, &mut ()).await.unwrap();
        }
    }

    /// Everything that opens something, of what it has sent.
    pub(super) fn forms(&self) -> Vec<Form> {
        let name = self.session.identity.value.as_str();
        // Answers carry entries of the log, which name the account as the token does.
        let mut forms = forms::of_signature(&format!("session token of {name}"), self.session.token.expose());
        for proof in self.proofs.iter().rev().take(PROOFS) {
            forms.extend(forms::of_token(&format!("proof by {name}"), proof));
        }
        forms
    }

    /// Sends a request, and again where the worker asks for a nonce of its own.
    async fn send(&mut self, body: &Value, status: u16) -> Answer {
        let answer = self.send_once(body).await;
        let answer = if answer.refusal().1 == "use_dpop_nonce" { self.send_once(body).await } else { answer };
        answer.expect(status)
    }

    async fn send_once(&mut self, body: &Value) -> Answer {
        let (key, token) = (self.session.device_key.as_ref().unwrap(), self.session.token.expose());
        let (digest, now) = (Some(TokenDigest::of(token)), SystemClock.now());
        let proof = key.prove("POST", &self.url, digest, self.nonce.as_deref(), now).unwrap();
        let request = self.http.post(&self.url).json(body);
        let request = request.header("authorization", format!("DPoP {token}")).header("dpop", &proof);
        self.proofs.push(proof);
        let answer = Answer::read(request.send().await.unwrap()).await;
        if let Some(nonce) = answer.headers.get("dpop-nonce") {
            self.nonce = Some(nonce.to_str().unwrap().to_owned());
        }
        answer
    }
}
