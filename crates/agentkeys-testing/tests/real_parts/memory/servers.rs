//! Tokens that pass through broker and signer.

use std::time::Duration;

use agentkeys_testing::System;
use reqwest::{Client, Method};
use serde_json::json;

use super::{assert_clean, needles::Needles, plant::plant_and_find, say, wait_until_clean};

/// How often the token is used, at each of the routes.
const USES: usize = 200;
/// Over how many connections to each server.
const CONNECTIONS: usize = 4;
/// For how long a server may hold what it was sent last, while the client keeps the connection open.
const KEPT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_token_leaves_nothing_behind_in_broker_and_signer() {
    let system = System::start().await;
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let session = walked.session;
    let wallet = system.flow().prove_wallet(&session, walked.wallet, &mut ()).await.unwrap();
    let needles = Needles::of_tokens(&[
        ("session token", session.token.expose()),
        ("wallet session token", wallet.token.expose()),
    ]);
    let clients = [(); CONNECTIONS].map(|()| Client::builder().no_proxy().build().unwrap());

    for client in &clients {
        // After a large one, a connection has larger buffers.
        let large = json!({"audience": "a".repeat(60_000)});
        for (server, path) in [(system.broker_url(), "/v1/mint-oidc-jwt"), (system.signer_url(), "/dev/sign-message")] {
            use_at(client, &server, session.token.expose(), &[(Method::POST, path, large.clone())]).await;
        }
        for _ in 0..USES / CONNECTIONS {
            let account = session.omni_account;
            use_at(
                client,
                &system.broker_url(),
                session.token.expose(),
                &[
                    (Method::GET, "/v1/session", json!(null)),
                    (Method::GET, "/v1/sessions", json!(null)),
                    (Method::GET, "/v1/identities", json!(null)),
                    (Method::GET, "/v1/wallet/links", json!(null)),
                    (Method::POST, "/v1/mint-oidc-jwt", json!({"audience": "sts.amazonaws.com"})),
                    (Method::DELETE, "/v1/nowhere", json!(null)),
                ],
            )
            .await;
            use_at(
                client,
                &system.broker_url(),
                wallet.token.expose(),
                &[(Method::POST, "/v1/mint-oidc-jwt", json!({"audience": "sts.amazonaws.com"}))],
            )
            .await;
            use_at(
                client,
                &system.signer_url(),
                session.token.expose(),
                &[
                    (Method::POST, "/dev/derive-address", json!({"omni_account": account})),
                    (Method::POST, "/dev/sign-message", json!({"omni_account": account, "message_hex": "00"})),
                    (Method::GET, "/nowhere", json!(null)),
                ],
            )
            .await;
        }
    }

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

/// Uses a token at these paths, which answer or refuse.
async fn use_at(client: &Client, server: &str, token: &str, requests: &[(Method, &str, serde_json::Value)]) {
    for (method, path, body) in requests {
        let request = client.request(method.clone(), format!("{server}{path}")).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.unwrap();
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert!(!status.is_server_error(), "{path}: {status} {answer}");
    }
}
