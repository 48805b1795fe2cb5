//! A person who signs in again on the same machine.

use agentkeys_api::ErrorCode;
use agentkeys_client::Binding;
use agentkeys_testing::System;

use super::refusal;

const A_WEEK: u64 = 7 * 24 * 3600;

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn who_signs_in_again_with_the_key_of_the_machine_needs_no_recovery_and_no_place() {
    let system = System::start_with_worker().await;
    let signer = system.flow().signer;
    let first = system.sign_in("ada", Binding::DeviceKey).await;
    signer.derive_address(&first, first.omni_account).await.unwrap();
    signer.set_recovery_wait(&first, A_WEEK).await.unwrap();
    let before = signer.devices(&first).await.unwrap();
    let key = first.kept_key(&first.broker_url).unwrap().clone();

    let again = system.sign_in("ada", Binding::KeptKey(key)).await;
    let elsewhere = system.sign_in("ada", Binding::DeviceKey).await;

    assert_ne!(again.session_id, first.session_id);
    assert_eq!(signer.devices(&again).await.unwrap(), before);
    system.flow().connect_wallet(&again, &mut ()).await.unwrap();
    signer.derive_address(&first, first.omni_account).await.unwrap();
    let waiting = signer.derive_address(&elsewhere, elsewhere.omni_account).await;
    assert_eq!(refusal(waiting), ErrorCode::DeviceWaiting, "another key is another device");
}
