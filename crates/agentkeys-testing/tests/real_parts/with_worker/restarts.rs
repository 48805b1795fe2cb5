//! What a worker makes of a machine that starts anew, and of a disk that somebody has turned back.

use std::{fs, path::Path, sync::Arc};

use agentkeys_client::{
    AttestationPolicy, Binding, ClientError, Flow, Http, KeptAttestations, Places, ProfileName, SignerClient,
    SignerTrust,
};
use agentkeys_testing::System;

use crate::worker::machine::copy_folder;

/// Puts a copy in the place of what is there.
fn turn_back(folder: &Path, to: &Path) {
    fs::remove_dir_all(folder).unwrap();
    copy_folder(to, folder);
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_wallet_and_its_devices_outlive_the_machine_and_clients_go_on() {
    let mut system = System::start_with_worker().await;
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    let before = system.flow().connect_wallet(&ada, &mut ()).await.unwrap();
    let devices = system.flow().signer.devices(&ada).await.unwrap();

    system.worker_mut().kill().await;
    system.worker_mut().restart().await;

    let flow = system.flow();
    assert_eq!(flow.connect_wallet(&ada, &mut ()).await.unwrap(), before);
    assert_eq!(flow.signer.devices(&ada).await.unwrap().revision, devices.revision);
    flow.prove_wallet(&ada, before, &mut ()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_log_that_was_cut_off_is_refused() {
    let mut system = System::start_with_worker().await;
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    system.flow().connect_wallet(&ada, &mut ()).await.unwrap();
    let aside = tempfile::tempdir().unwrap();
    let log = system.worker().machine().state().join("log");
    system.worker_mut().kill().await;
    copy_folder(&log, aside.path());
    system.worker_mut().restart().await;
    system.worker_mut().kill().await;

    turn_back(&log, aside.path());

    let said = system.worker_mut().refuses_to_restart().await;
    assert!(said.contains("cut off"), "{said}");
}

/// The clients of somebody who has never seen the worker, and remembers it in `folder`.
fn newcomer(system: &System, folder: &Path) -> Flow {
    let machine = system.worker().machine();
    let kept = KeptAttestations::of(&Places::new(folder, None, None, None), &ProfileName::default());
    let policy = AttestationPolicy::load(&machine.policy(), Some(&machine.release_public_key()), kept).unwrap();
    let trust = SignerTrust::Policy(Arc::new(policy));
    let signer = SignerClient::new(&Http::default(), machine.url().parse().unwrap(), trust).unwrap();
    Flow { signer, ..system.flow() }
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_machine_that_was_turned_back_with_its_tpm_is_refused_by_who_has_seen_it_later() {
    let mut system = System::start_with_worker().await;
    let ada = system.sign_in("ada", Binding::DeviceKey).await;
    let wallet = system.flow().connect_wallet(&ada, &mut ()).await.unwrap();
    let (aside, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = system.worker().machine().state();
    let tpm = system.worker().machine().tpm().state().join("tpm2-00.permall");
    system.worker_mut().kill().await;
    copy_folder(&state, aside.path());
    let remembered = fs::read(&tpm).unwrap();
    for _ in 0..2 {
        system.worker_mut().restart().await;
        system.flow().signer.derive_address(&ada, ada.omni_account).await.unwrap();
        system.worker_mut().kill().await;
    }

    turn_back(&state, aside.path());
    fs::write(&tpm, remembered).unwrap();
    system.worker_mut().restart().await;
    // A log that is as long as before shows nothing by its length.
    for _ in 0..4 {
        newcomer(&system, memory.path()).prove_wallet(&ada, wallet, &mut ()).await.unwrap();
    }
    let refused = system.flow().signer.derive_address(&ada, ada.omni_account).await.unwrap_err();

    assert!(matches!(&refused, ClientError::AttestationInvalid { check, .. } if check == "boot_counter"), "{refused}");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn the_sealed_secret_from_before_a_raise_is_refused_after_it() {
    let mut system = System::start_with_worker().await;
    let sealed = system.worker().machine().state().join("master.sealed");
    let before = fs::read(&sealed).unwrap();
    system.worker_mut().kill().await;
    system.worker().machine().approve(1);
    system.worker_mut().restart().await;
    assert!(system.worker().log().contains("the minimum release raised"));
    system.worker_mut().kill().await;
    assert_ne!(fs::read(&sealed).unwrap(), before);

    fs::write(&sealed, before).unwrap();

    let said = system.worker_mut().refuses_to_restart().await;
    assert!(!said.contains("first boot"), "{said}");
}

#[tokio::test]
#[ignore = "needs swtpm: cargo xtask test"]
async fn a_state_folder_that_is_gone_is_no_new_beginning() {
    let mut system = System::start_with_worker().await;
    system.worker_mut().kill().await;

    fs::remove_dir_all(system.worker().machine().state()).unwrap();

    let said = system.worker_mut().refuses_to_restart().await;
    assert!(!said.contains("first boot"), "{said}");
}
