use std::sync::{Arc, Mutex};

use agentkeys_testing::{Answer, CommandSignIn, Device, Page, TestBrowser, TestProvider};
use agentkeys_types::SystemClock;
use reqwest::{Method, Url};
use serde_json::json;

use super::canary::Canary;
use crate::client::Client;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const MAILED: &str = "heidi@example.com";

/// Signs in with a browser in each way, links an identity, and makes the mistakes; gives every secret that it met.
pub(super) async fn walk(client: &Client, provider: &TestProvider) -> Vec<Canary> {
    let (mut canaries, tokens) = (Vec::new(), Arc::new(Mutex::new(Vec::new())));
    let kept = tokens.clone();
    provider.change_token(move |token| {
        kept.lock().unwrap().push(token.to_owned());
        token.to_owned()
    });
    provider.sign_in_as("g-1001", Some(("ada@example.com", true)));

    let token = Visit::new(client).command(&mut canaries).await;
    Visit::new(client).refused_command(&mut canaries).await;
    Visit::new(client).device(&mut canaries).await;
    Visit::new(client).mail(&mut canaries).await;
    provider.sign_in_as("g-1002", None);
    Visit::new(client).link(&token, &mut canaries).await;

    canaries.push(Canary::text("client secret", TestProvider::CLIENT_SECRET));
    let verifiers = provider.verifiers();
    assert!(verifiers.len() >= 3, "{verifiers:?}");
    canaries.extend(verifiers.iter().map(|verifier| Canary::hex("verifier for the provider", verifier)));
    canaries.extend(tokens.lock().unwrap().iter().map(|token| Canary::token("ID token", token)));
    canaries
}

/// Somebody at a browser, for one errand.
struct Visit<'c> {
    client: &'c Client,
    browser: TestBrowser,
}

impl<'c> Visit<'c> {
    fn new(client: &'c Client) -> Self {
        Self { client, browser: TestBrowser::new(&client.broker_url()) }
    }

    /// A command is signed in; its token.
    async fn command(self, canaries: &mut Vec<Canary>) -> String {
        let command = CommandSignIn::new(None);
        let page = self.browser.open(&command.path()).await.expect(200);
        let cookie = page.header("set-cookie").split([';', '=']).nth(1).unwrap().to_owned();
        let question = self.prove(&page, canaries).await;
        let sent = self.decide(&question, "approve").await.expect(303);
        let code = sent.brought("code").unwrap();

        self.misused(&command, &code).await;
        let signed_in = self.ask_token(&command.exchange(&code)).await.expect(200);
        let (code_of_another, token_of_another) = self.replayed(canaries).await;

        canaries.extend([
            Canary::hex("cookie", &cookie),
            Canary::hex("authorization code", &code),
            Canary::hex("replayed authorization code", &code_of_another),
            Canary::hex("state of the command", &command.state),
            Canary::hex("verifier of the command", &command.verifier),
            Canary::token("session token of a command", signed_in.text("access_token")),
            Canary::token("session token that fell", &token_of_another),
        ]);
        signed_in.text("access_token").to_owned()
    }

    /// The refusals of the token endpoint for a code that is still good.
    async fn misused(&self, command: &CommandSignIn, code: &str) {
        let verifier = CommandSignIn::new(None).verifier;
        let redirect_uri = "http://127.0.0.1:1/callback".to_owned();
        for other in [CommandSignIn { verifier, ..command.clone() }, CommandSignIn { redirect_uri, ..command.clone() }]
        {
            refused(&self.ask_token(&other.exchange(code)).await);
        }
        let device = Device::new(Arc::new(SystemClock));
        let request = self.client.broker(Method::POST, "/oauth/token").form(&command.exchange(code));
        refused(&device.send(request, None).await);
    }

    /// A code that comes twice, and the session that falls with it.
    async fn replayed(&self, canaries: &mut Vec<Canary>) -> (String, String) {
        let command = CommandSignIn::new(None);
        let page = self.browser.open(&command.path()).await.expect(200);
        let question = self.prove(&page, canaries).await;
        let sent = self.decide(&question, "approve").await.expect(303);
        let code = sent.brought("code").unwrap();
        let signed_in = self.ask_token(&command.exchange(&code)).await.expect(200);
        refused(&self.ask_token(&command.exchange(&code)).await);
        self.decide(&question, "approve").await.expect(400);
        (code, signed_in.text("access_token").to_owned())
    }

    /// A person refuses, and others come with what is theirs.
    async fn refused_command(self, canaries: &mut Vec<Canary>) {
        let command = CommandSignIn::new(None);
        let page = self.browser.open(&command.path()).await.expect(200);
        let question = self.prove(&page, canaries).await;
        let stranger = TestBrowser::new(&self.client.broker_url());
        stranger.open("/device").await.expect(200);
        stranger.submit(&question.form("/oauth/confirm"), &[("decision", "approve")]).await.expect(403);
        let sent = self.decide(&question, "refuse").await.expect(303);

        assert_eq!(sent.brought("error").as_deref(), Some("access_denied"));
        canaries.push(Canary::hex("state of a command that was refused", &command.state));
    }

    /// A device is signed in, after mistakes.
    async fn device(self, canaries: &mut Vec<Canary>) {
        let form = [("client_id", "agentkeys-cli"), ("client_name", "build-7")];
        let start = self.client.broker(Method::POST, "/oauth/device_authorization").form(&form);
        let started = self.client.send(start).await.unwrap().expect(200);
        let (device_code, user_code) = (started.text("device_code"), started.text("user_code"));
        let poll = [("grant_type", DEVICE_GRANT), ("client_id", "agentkeys-cli"), ("device_code", device_code)];
        for _ in 0..2 {
            refused(&self.ask_token(&poll).await);
        }
        let page = self.browser.open("/device").await.expect(200);
        self.browser.submit(&page.form("/device"), &[("user_code", "0000-0000")]).await.expect(400);
        let page = self.browser.submit(&page.form("/device"), &[("user_code", user_code)]).await.expect(200);
        let question = self.prove(&page, canaries).await;
        self.decide(&question, "approve").await.expect(200);
        let signed_in = self.ask_token(&poll).await.expect(200);
        refused(&self.ask_token(&poll).await);

        canaries.extend([
            Canary::hex("device code", device_code),
            Canary::text("user code", user_code),
            Canary::text("user code as typed", &user_code.replace('-', "")),
            Canary::token("session token of a device", signed_in.text("access_token")),
        ]);
    }

    /// A command is signed in by a code that a mail brings to the page.
    async fn mail(self, canaries: &mut Vec<Canary>) {
        let command = CommandSignIn::new(None);
        let page = self.browser.open(&command.path()).await.expect(200);
        let asks = self.browser.submit(&page.form("/oauth/sign-in/email"), &[("email", MAILED)]).await.expect(200);
        let code = self.client.mailed_code(MAILED).await.unwrap();
        let form = asks.form("/oauth/sign-in/code");
        self.browser.submit(&form, &[("code", "0000-0000")]).await.expect(400);
        let question = self.browser.submit(&form, &[("code", &code)]).await.expect(200);
        self.browser.submit(&form, &[("code", &code)]).await;
        let sent = self.decide(&question, "approve").await.expect(303);

        canaries.extend([
            Canary::text("code for a page", &code.replace('-', "")),
            Canary::text("code for a page as mailed", &code),
            Canary::hex("request of a page", form.field("request").unwrap()),
            // Never redeemed.
            Canary::hex("waiting authorization code", &sent.brought("code").unwrap()),
        ]);
    }

    /// An identity is linked.
    async fn link(self, token: &str, canaries: &mut Vec<Canary>) {
        let path = "/v1/identities/oauth/start";
        let started = self.client.post(path, token, &json!({"provider": "acme"})).await.unwrap().expect(201);
        let (request_id, url) = (started.text("request_id"), started.text("authorize_url"));
        let verify = json!({"request_id": request_id});
        let ask = || self.client.post("/v1/identities/oauth/verify", token, &verify);
        ask().await.unwrap().expect(202);
        let page = self.browser.open(url).await.expect(200);
        let question = self.prove(&page, canaries).await;
        self.decide(&question, "approve").await.expect(200);
        ask().await.unwrap().expect(201);
        assert!(ask().await.unwrap().status >= 400);

        canaries.push(Canary::hex("link request", request_id));
        canaries.push(Canary::hex("page of a link", &parameter(&url.parse().unwrap(), "request")));
    }

    /// Proves an identity at the provider; the page that asks for a decision.
    async fn prove(&self, page: &Page, canaries: &mut Vec<Canary>) -> Page {
        let form = page.form("/oauth/sign-in/provider");
        let there = self.browser.submit(&form, &[("provider", "acme")]).await.expect(303).location();
        let back = self.browser.open(there.as_str()).await.expect(302).location();
        let stranger = TestBrowser::new(&self.client.broker_url());
        stranger.open(back.as_str()).await.expect(403);
        let question = self.browser.open(back.as_str()).await.expect(200);
        // A callback counts once.
        self.browser.open(back.as_str()).await.expect(400);

        canaries.extend([
            Canary::hex("state at the provider", &parameter(&there, "state")),
            Canary::hex("nonce", &parameter(&there, "nonce")),
            Canary::hex("code of the provider", &parameter(&back, "code")),
            Canary::hex("proof of a form", form.field("form_proof").unwrap()),
        ]);
        question
    }

    async fn decide(&self, question: &Page, decision: &str) -> Page {
        self.browser.submit(&question.form("/oauth/confirm"), &[("decision", decision)]).await
    }

    async fn ask_token(&self, form: &[(&str, &str)]) -> Answer {
        self.client.send(self.client.broker(Method::POST, "/oauth/token").form(form)).await.unwrap()
    }
}

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 400, "{answer:?}");
}

fn parameter(url: &Url, name: &str) -> String {
    let pair = url.query_pairs().find(|(known, _)| known == name);
    pair.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}
