use std::{path::Path, process::Command};

use agentkeys_api::paths;
use anyhow::Context;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    bare::{BareCrypto, disk_sync},
    bound::BoundToken,
    daemon, empty,
    load::{self, Measured, post},
    process::{Process, free_address},
    report::{self, line, micros, millis},
    system::System,
    walk, worker,
};

/// How many callers sign at once.
const SIGNERS: usize = 32;
/// How many callers mint at once.
const MINTERS: usize = 64;

/// Measures everything and prints it.
pub(crate) async fn run(bin: &Path, requests: usize) -> anyhow::Result<()> {
    let crypto = BareCrypto::measure()?;
    let system = System::start(bin).await?;
    let resting = (system.broker.resident()?, system.development.resident()?);
    let sync = disk_sync(system.state())?;
    line(&format!("disk sync (median of 200): {} ms", millis(sync)));
    line(&format!(
        "bare, CPU µs: secp256k1 sign {:.1}, ES256 sign {:.1}, ES256 verify {:.1}",
        micros(crypto.secp256k1_sign),
        micros(crypto.es256_sign),
        micros(crypto.es256_verify)
    ));
    line("");
    report::head();

    let empty = empty_post(system.state(), requests).await?;
    report::reported(&format!("empty JSON POST, {SIGNERS} callers"), &empty);

    let (token, account) = system.sign_in("ada@example.com").await?;
    let address = system.link_wallet(&token, &account).await?;
    let signed = sign_messages(&system, &token, &account, requests).await?;
    report::against_bound("sign-message, 32 callers", &signed, empty.cpu_each() + crypto.secp256k1_sign, 0.75);
    let behind = signed.latency(0.99).saturating_sub(empty.latency(0.99));

    let mint_bound = empty.cpu_each() + crypto.es256_sign;
    let wallet_token = system.prove_wallet(&token, &account, &address).await?;
    let mint = |system: &System, token: &str| post(system.broker.address, paths::MINT_OIDC_JWT, Some(token), "{}");
    let minted = load::median(&system.broker, MINTERS, requests, |_| mint(&system, &wallet_token)).await?;
    report::against_bound("mint, 64 callers", &minted, mint_bound, 0.6);
    let alone = load::median(&system.broker, 1, requests / 20, |_| mint(&system, &wallet_token)).await?;
    report::reported("mint, one caller alone", &alone);

    let (system, fresh) = mint_with_fresh_tokens(system, requests / 10).await?;
    report::against_bound("mint, tokens never seen before", &fresh, mint_bound + crypto.es256_verify, 0.6);
    proofs(&system, requests / 10).await?;
    sign_ins(&system, requests / 20).await?;

    line("");
    line(&format!("sign-message p99 is {} ms behind that of the empty POST (aim 10)", millis(behind)));
    line(&format!(
        "one mint alone takes {} ms: {:.2} disk syncs",
        millis(alone.latency(0.5)),
        alone.latency(0.5).as_secs_f64() / sync.as_secs_f64()
    ));
    line(&BoundToken::measure().await?.line(crypto.es256_verify));
    line(&format!(
        "resident at rest: broker {} KiB (aim 40960), development signer, mailbox and AWS stand-in together {} KiB (aim 25600)",
        resting.0, resting.1
    ));
    walk::eight_steps(&system, sync).await?;
    daemon::report(&system).await?;
    worker::report(&system, requests).await
}

async fn empty_post(state: &Path, requests: usize) -> anyhow::Result<Measured> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["empty-server", "--listen", &address.to_string()]);
    let server = Process::start(&mut command, address, &state.join("log")).await?;
    load::median(&server, SIGNERS, requests, |_| post(address, empty::PATH, None, "{}")).await
}

async fn sign_messages(system: &System, token: &str, account: &str, requests: usize) -> anyhow::Result<Measured> {
    let signer = &system.development;
    // As long as a SIWE message, and never the same one twice.
    let request = |index: usize| {
        let message = format!("{index:0>800x}");
        let body = json!({"omni_account": account, "message_hex": message}).to_string();
        post(signer.address, paths::SIGN_MESSAGE, Some(token), &body)
    };
    load::median(signer, SIGNERS, requests, request).await
}

/// Mints once with each of `count` wallet session tokens, at a broker that has never seen any of them.
async fn mint_with_fresh_tokens(system: System, count: usize) -> anyhow::Result<(System, Measured)> {
    let (token, account) = system.sign_in("grace@example.org").await?;
    let address = system.link_wallet(&token, &account).await?;
    let proofs = stream::iter(0..count).map(|_| system.prove_wallet(&token, &account, &address)).buffer_unordered(32);
    let tokens: Vec<String> = proofs.collect::<Vec<_>>().await.into_iter().collect::<anyhow::Result<_>>()?;
    let system = system.restart_broker().await?;
    let requests = tokens.iter().map(|token| post(system.broker.address, paths::MINT_OIDC_JWT, Some(token), "{}"));
    let measured = load::send(&system.broker, MINTERS, requests.collect()).await?;
    Ok((system, measured))
}

/// SIWE: the start of a proof and its end, at the broker.
async fn proofs(system: &System, count: usize) -> anyhow::Result<()> {
    let (token, account) = system.sign_in("alan@example.com").await?;
    let address = system.link_wallet(&token, &account).await?;
    let start = json!({"address": address}).to_string();
    let started = load::median(&system.broker, SIGNERS, count, |_| {
        post(system.broker.address, paths::WALLET_START, Some(&token), &start)
    });
    report::reported("SIWE start, 32 callers", &started.await?);
    let signed = stream::iter(0..count).map(|_| system.signed_challenge(&token, &account, &address));
    let signed: Vec<_> = signed.buffer_unordered(32).collect().await;
    let request = |answer: anyhow::Result<Value>| {
        anyhow::Ok(post(system.broker.address, paths::WALLET_VERIFY, Some(&token), &answer?.to_string()))
    };
    let requests = signed.into_iter().map(request).collect::<anyhow::Result<_>>()?;
    report::reported("SIWE verify, 32 callers", &load::send(&system.broker, SIGNERS, requests).await?);
    Ok(())
}

/// E-mail: the start of a sign-in, mail delivery included, and its end.
async fn sign_ins(system: &System, count: usize) -> anyhow::Result<()> {
    let start = |index: usize| {
        let body = json!({"email": format!("start{index}@example.com")}).to_string();
        post(system.broker.address, paths::EMAIL_START, None, &body)
    };
    let started = load::send(&system.broker, SIGNERS, (0..count).map(start).collect()).await?;
    report::reported("e-mail start, 32 callers", &started);
    let mut requests = Vec::new();
    for index in 0..count {
        let answer = system.mailed_code(&format!("verify{index}@example.com")).await.context("e-mail start")?;
        requests.push(post(system.broker.address, paths::EMAIL_VERIFY, None, &answer.to_string()));
    }
    report::reported("e-mail verify, 32 callers", &load::send(&system.broker, SIGNERS, requests).await?);
    Ok(())
}
