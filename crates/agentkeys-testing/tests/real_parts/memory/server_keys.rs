//! The keys that broker and signer hold for as long as they run.

use std::{collections::BTreeMap, fs, path::Path};

use agentkeys_client::{Session, Walked};
use agentkeys_crypto::keccak256;
use agentkeys_testing::{Process, System};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde_json::Value;

use super::{
    core_dump::CoreDump,
    forms::{self, Form},
    needles::Needles,
    say,
    scan::Scan,
};

/// How often each key is used.
const USES: usize = 50;
/// The keys that sign, and how AWS-LC holds each of them: once, as a number.
const HELD: [&str; 2] = ["oidc.pem, lowest byte first", "session.pem, lowest byte first"];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_broker_holds_each_key_that_signs_once_and_none_of_the_others() {
    let system = System::start().await;
    let [(_, broker), _] = system.processes();
    let before = key_files(&system.keys_folder());
    use_keys(&system).await;

    assert_held("broker", broker, &before, &HELD);
    assert_eq!(code_key_copies(&system, broker), 0);

    let signing = current_key(&system).await;
    let mut rotate = Process::command(Process::binary("agentkeys-broker"));
    rotate.args(["keys", "rotate", "--state"]).arg(system.keys_folder().parent().unwrap());
    assert!(rotate.output().await.unwrap().status.success());
    while current_key(&system).await == signing {
        tokio::task::yield_now().await;
    }
    let after = key_files(&system.keys_folder());
    use_keys(&system).await;

    let gone: Vec<_> = before.into_iter().filter(|(name, _)| !name.contains(".next")).collect();
    assert_held("broker, keys that signed before", broker, &gone, &[]);
    assert_held("broker, after a rotation", broker, &after, &HELD);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb and root: cargo xtask test"]
async fn a_signer_shows_neither_its_master_secret_nor_a_key_that_it_derived() {
    let system = System::start().await;
    let [_, (_, signer)] = system.processes();
    let Walked { session, wallet, .. } = use_keys(&system).await;

    let pseudo_random_key = hmac_of(&[0; 32], &[system.master_secret()]);
    let derived = derived_key(&pseudo_random_key, &session);
    let mut secrets = forms::of_bytes("master secret", system.master_secret());
    secrets.extend(forms::of_bytes("pseudo-random key", &pseudo_random_key));
    secrets.extend(forms::of_bytes("wallet key", &derived));

    assert_eq!(address_of(derived), wallet.to_string().to_lowercase(), "what is looked for is the wallet's key");
    assert_held("signer", signer, &secrets, &[]);
}

/// Signs with every key there is, many times.
async fn use_keys(system: &System) -> Walked {
    let walked = system.walk("ada", &mut ()).await.unwrap();
    for _ in 0..USES {
        let proof = system.flow().prove_wallet(&walked.session, walked.wallet, &mut ()).await.unwrap();
        system.flow().mint_oidc_jwt(&proof, &mut ()).await.unwrap();
    }
    walked
}

/// The forms of all keys in the folder, the next ones included.
fn key_files(folder: &Path) -> Vec<Form> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    let forms = files.flat_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        forms::of_key_file(name, &fs::read_to_string(&path).unwrap())
    });
    forms.collect()
}

/// How often the key of the sign-in codes is there.
fn code_key_copies(system: &System, broker: u32) -> usize {
    let key = fs::read(system.keys_folder().join("codes.key")).unwrap();
    let needles = Needles::new(forms::of_bytes("codes.key", key.as_slice().try_into().unwrap()));
    Scan::memory(broker, &needles).windows()
}

/// Which key signs session tokens.
async fn current_key(system: &System) -> Value {
    system.flow().broker.session_keys().await.unwrap()["keys"][0]["kid"].clone()
}

/// Memory and core hold each of `held` once, whole, and not one window of the others.
fn assert_held(name: &str, process: u32, secrets: &[Form], held: &[&str]) {
    let needles = Needles::new(secrets.to_vec());
    for scan in [Scan::memory(process, &needles), Scan::core(&CoreDump::take(process, &[]), &needles)] {
        say(&format!("{name}: {scan}"));
        let mut copies = BTreeMap::<_, usize>::new();
        for find in &scan.finds {
            *copies.entry(find.piece.secret.as_str()).or_default() += 1;
        }
        assert_eq!(copies, held.iter().map(|secret| (*secret, 1)).collect(), "{name}: {scan}");
    }
}

/// The key of the account's wallet: HKDF-Expand (RFC 5869 section 2.3) of one block.
pub(super) fn derived_key(pseudo_random_key: &[u8; 32], session: &Session) -> [u8; 32] {
    hmac_of(pseudo_random_key, &[b"agentkeys-evm-wallet-v1:", session.omni_account.as_bytes(), &[1]])
}

/// The address of the wallet with this private key, in small letters.
pub(super) fn address_of(key: [u8; 32]) -> String {
    let public = PublicKey::from_secret_key(SECP256K1, &SecretKey::from_byte_array(key).unwrap());
    format!("0x{}", hex::encode(&keccak256(&public.serialize_uncompressed()[1..])[12..]))
}

pub(super) fn hmac_of(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), &parts.concat()).as_ref().try_into().unwrap()
}
