//! `agentkeys-tee-worker share`: what the holder of a share does.

use std::fs;

use agentkeys_crypto::MasterSecret;
use agentkeys_tee_worker::{
    Backup,
    backup::{Collection, Progress, SealedShare, split, write},
};
use zeroize::Zeroizing;

use crate::{refusal, run};

const SECRET: [u8; 32] = [7; 32];

#[test]
fn two_holders_restore_the_secret_at_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let recipients = ["one", "two"].map(|name| {
        let printed = run(&["share", "keygen", &at(name)]);
        String::from_utf8(printed.stdout).unwrap().trim().to_owned()
    });
    let backup =
        Backup { recipients: recipients.to_vec(), threshold: 2, restore_identity: None, restore_without_log: false };
    let identity = MasterSecret::new(&SECRET).identity_public_key();
    write(folder.path(), &split(&SECRET, &identity, &backup).unwrap()).unwrap();
    let mut worker = Collection::new(&hex::encode(identity)).unwrap();
    let key = hex::encode(worker.public_key());

    let progress = [("share-1.json", "one"), ("share-2.json", "two")].map(|(share, own)| {
        let printed = run(&["share", "reseal", "--share", &at(share), "--key", &at(own), "--recipient", &key]);
        let share: SealedShare = serde_json::from_slice(&printed.stdout).unwrap();
        worker.add(&share).unwrap()
    });

    assert_eq!(progress[1], Progress::Complete(Zeroizing::new(SECRET)));
    let other = ["share", "reseal", "--share", &at("share-1.json"), "--key", &at("two"), "--recipient", &key];
    assert!(refusal(&other).contains("not sealed to this key"));
}

#[test]
fn a_key_is_never_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    run(&["share", "keygen", file.to_str().unwrap()]);
    let before = fs::read(&file).unwrap();

    refusal(&["share", "keygen", file.to_str().unwrap()]);

    assert_eq!(fs::read(&file).unwrap(), before);
}
