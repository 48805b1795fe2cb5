//! Tokens that pass through broker and signer.

use std::{sync::Arc, time::Duration};

use agentkeys_client::Session;
use agentkeys_testing::{Device, System};
use agentkeys_types::SystemClock;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{assert_clean, forms, forms_of_session, needles::Needles, plant::plant_and_find, say, wait_until_clean};

/// How often the token is used, at each of the routes.
const USES: usize = 200;
/// Over how many connections to each server.
const CONNECTIONS: usize = 4;
/// For how long a server may hold what it was sent last, while the client keeps the connection open.
const KEPT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_token_leaves_nothing_behind_in_broker_and_signer() {
    let system = System::start_with("[limits]\nmints_per_account_and_minute = 100000\n").await;
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let session = walked.session;
    let wallet = system.flow().prove_wallet(&session, walked.wallet, &mut ()).await.unwrap();
    let clients = [(); CONNECTIONS].map(|()| Callers::new(&system, &session));

    let mut web_identity = String::new();
    for Callers { broker, signer } in &clients {
        // After a large one, a connection has larger buffers.
        let large = json!({"audience": "a".repeat(60_000)});
        broker.call(wallet.token.expose(), Method::POST, "/v1/mint-oidc-jwt", &large, 400).await;
        signer.call(session.token.expose(), Method::POST, "/dev/sign-message", &large, 400).await;
        for _ in 0..USES / CONNECTIONS {
            use_session(broker, signer, &session).await;
            let audience = json!({"audience": "sts.amazonaws.com"});
            broker.call(session.token.expose(), Method::POST, "/v1/mint-oidc-jwt", &audience, 403).await;
            let minted = broker.call(wallet.token.expose(), Method::POST, "/v1/mint-oidc-jwt", &audience, 200).await;
            minted["jwt"].as_str().unwrap().clone_into(&mut web_identity);
        }
    }

    let mut secrets = forms_of_session(&session);
    secrets.extend(forms::of_token("wallet session token", wallet.token.expose()));
    secrets.extend(forms::of_token("last web identity", &web_identity));
    let needles = Needles::new(secrets);
    for (name, process) in system.processes() {
        wait_until_clean(&format!("{name}, connections open"), process, &needles, KEPT).await;
    }
    drop(clients);
    for (name, process) in system.processes() {
        assert_clean(name, process, &needles);
    }
    for (name, process) in system.processes() {
        plant_and_find(process, &needles);
        say(&format!("{name}: what was planted on heap, stack and in a register was found"));
    }
}

/// Every way to use a session, and one that leads nowhere.
async fn use_session(broker: &Caller, signer: &Caller, session: &Session) {
    let token = session.token.expose();
    for path in ["/v1/session", "/v1/sessions", "/v1/identities", "/v1/wallet/links"] {
        broker.call(token, Method::GET, path, &Value::Null, 200).await;
    }
    broker.call(token, Method::DELETE, "/v1/nowhere", &Value::Null, 404).await;
    let account = session.omni_account;
    let message = json!({"omni_account": account, "message_hex": "00"});
    signer.call(token, Method::POST, "/dev/derive-address", &json!({"omni_account": account}), 200).await;
    signer.call(token, Method::POST, "/dev/sign-message", &message, 200).await;
    signer.call(token, Method::GET, "/nowhere", &Value::Null, 404).await;
}

/// The owner of a session, with a connection to each server.
struct Callers {
    broker: Caller,
    signer: Caller,
}

impl Callers {
    fn new(system: &System, session: &Session) -> Self {
        let caller = |server| {
            let device = Device::with_key(session.device_key.clone().unwrap(), Arc::new(SystemClock));
            Caller { http: Client::builder().no_proxy().build().unwrap(), server, device }
        };
        Self { broker: caller(system.broker_url()), signer: caller(system.signer_url()) }
    }
}

/// One connection to one server.
struct Caller {
    http: Client,
    server: String,
    device: Device,
}

impl Caller {
    /// Calls with a token and a proof, and gives the answer, which has this status.
    async fn call(&self, token: &str, method: Method, path: &str, body: &Value, status: u16) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.server));
        let request = if body.is_null() { request } else { request.json(body) };
        self.device.send(request, Some(token)).await.expect(status).body
    }
}
