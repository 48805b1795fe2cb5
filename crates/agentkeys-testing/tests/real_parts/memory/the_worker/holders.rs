use std::{array, fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use blahaj::{Share, Sharks};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use serde_json::{Value, json};

/// What shares are sealed with (RFC 9180).
static SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;
/// How many of them restore the secret.
const THRESHOLD: u8 = 2;

/// Three who each have a key to a share of the master secret. They open what the worker wrote without its help.
pub(super) struct Holders([(HpkePublicKey, HpkePrivateKey); 3]);

/// What they find when they work together.
pub(super) struct Opened {
    pub(super) identity: String,
    pub(super) secret: [u8; 32],
    pub(super) shares: Vec<Vec<u8>>,
}

impl Holders {
    pub(super) fn new() -> Self {
        Self(array::from_fn(|_| SUITE.generate_key_pair().unwrap()))
    }

    /// The worker's settings that name them.
    pub(super) fn settings(&self) -> String {
        let recipients = self.0.each_ref().map(|(public, _)| hex::encode(&public.0));
        format!("[backup]\nrecipients = {recipients:?}\nthreshold = {THRESHOLD}\n")
    }

    /// Opens all shares that a worker with this state folder has exported, and puts two of them together.
    pub(super) fn open(&self, state: &Path) -> Opened {
        let sealed = self.read(state);
        let shares: Vec<_> = self.0.iter().zip(&sealed).map(|((_, key), share)| open(share, key)).collect();
        let [first, second] = [0, 2].map(|number| Share::try_from(shares[number].as_slice()).unwrap());
        let secret = Sharks(THRESHOLD).recover([&first, &second]).unwrap().try_into().unwrap();
        Opened { identity: sealed[0]["identity_pub"].as_str().unwrap().to_owned(), secret, shares }
    }

    /// As many shares as it takes, sealed anew for a worker that restores.
    pub(super) fn reseal(&self, state: &Path, worker: &str) -> Vec<Value> {
        let worker = HpkePublicKey(hex::decode(worker).unwrap());
        let sealed = self.0.iter().zip(self.read(state)).take(THRESHOLD.into());
        let resealed = sealed.map(|((_, key), mut share)| {
            let (opened, aad) = (open(&share, key), associated(&share));
            let (enc, ciphertext) = SUITE.seal(b"agentkeys/restore/v1", &aad, &opened, &worker).unwrap();
            share["enc"] = json!(BASE64_STANDARD.encode(enc.0));
            share["ciphertext"] = json!(BASE64_STANDARD.encode(ciphertext));
            share
        });
        resealed.collect()
    }

    fn read(&self, state: &Path) -> Vec<Value> {
        let file = |number: usize| fs::read(state.join(format!("backup/share-{number}.json"))).unwrap();
        (1..=self.0.len()).map(|number| serde_json::from_slice(&file(number)).unwrap()).collect()
    }
}

fn open(share: &Value, key: &HpkePrivateKey) -> Vec<u8> {
    let decode = |field: &str| BASE64_STANDARD.decode(share[field].as_str().unwrap()).unwrap();
    let enc = EncapsulatedSecret(decode("enc"));
    SUITE.open(&enc, b"agentkeys/backup/v1", &associated(share), &decode("ciphertext"), key).unwrap()
}

fn associated(share: &Value) -> Vec<u8> {
    let threshold = u8::try_from(share["threshold"].as_u64().unwrap()).unwrap();
    [share["identity_pub"].as_str().unwrap().as_bytes(), &[threshold]].concat()
}
