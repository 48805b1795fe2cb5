//! What a worker makes of a machine that starts anew, and of a disk that somebody has turned back.

use std::{fs, path::Path};

use agentkeys_client::Binding;
use agentkeys_testing::System;

/// A copy of all files below `from`, with their modes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Puts a copy in the place of what is there.
fn turn_back(folder: &Path, to: &Path) {
    fs::remove_dir_all(folder).unwrap();
    copy(to, folder);
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
    copy(&log, aside.path());
    system.worker_mut().restart().await;
    system.worker_mut().kill().await;

    turn_back(&log, aside.path());

    let said = system.worker_mut().refuses_to_restart().await;
    assert!(said.contains("cut off"), "{said}");
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
