//! What of its callers a worker keeps: nothing that opens anything.

use std::{fs, path::Path};

use agentkeys_client::Binding;
use agentkeys_crypto::DeviceKey;
use agentkeys_testing::System;

/// Everything in the files below `folder`.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn has(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn neither_its_logs_nor_its_disk_have_a_token_or_a_device_key() {
    let system = System::start_with_worker().await;
    let flow = system.flow();
    let walked = system.walk("ada", &mut ()).await.unwrap();
    let unbound = system.sign_in("ada", Binding::None).await;
    // Those that are refused are looked at too.
    flow.signer.derive_address(&unbound, unbound.omni_account).await.unwrap_err();
    flow.signer.sign_message(&walked.session, walked.session.omni_account, b"hello").await.unwrap_err();

    let mut written = contents(&system.worker().machine().state());
    written.push(("its log".to_owned(), system.worker().log().into_bytes()));

    assert!(written.len() > 3, "there is something to look at");
    assert!(written.iter().any(|(_, bytes)| has(bytes, walked.session.omni_account.to_string().as_bytes())));
    for session in [&walked.session, &unbound] {
        let signature = session.token.expose().rsplit('.').next().unwrap();
        let key = session.device_key.as_ref().map(DeviceKey::expose_secret);
        let key_in_hex = key.map(hex::encode);
        let secrets = [Some(signature.as_bytes()), key, key_in_hex.as_deref().map(str::as_bytes)];
        for ((place, bytes), secret) in written.iter().flat_map(|place| secrets.map(|secret| (place, secret))) {
            assert!(secret.is_none_or(|secret| !has(bytes, secret)), "{place} has a secret");
        }
    }
}
