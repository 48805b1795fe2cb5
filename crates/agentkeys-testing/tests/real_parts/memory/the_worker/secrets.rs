use agentkeys_api::attestation::AttestationEvidence;
use agentkeys_client::Session;
use agentkeys_crypto::MasterSecret;
use aws_lc_rs::{
    digest::{SHA512, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Form, forms, holders::Opened};
use crate::{
    memory::server_keys::{address_of, derived_key, hmac_of},
    worker::machine::http,
};

/// What nobody but the worker is to know, and how it comes from the master secret.
pub(super) struct Secrets {
    identity: String,
    shares: Vec<Vec<u8>>,
    master_secret: [u8; 32],
    pseudo_random_key: [u8; 32],
    log_key_seed: [u8; 32],
}

impl Secrets {
    /// Those of the worker whose shares were opened.
    pub(super) fn of(opened: &Opened) -> Self {
        let master_secret = MasterSecret::new(&opened.secret);
        assert_eq!(hex::encode(master_secret.identity_public_key()), opened.identity, "the shares give its secret");
        Self {
            identity: opened.identity.clone(),
            shares: opened.shares.clone(),
            master_secret: opened.secret,
            pseudo_random_key: hmac_of(&[0; 32], &[&opened.secret]),
            log_key_seed: *master_secret.log_key_seed(),
        }
    }

    /// The public key by which it is known, in hex.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// The address of the wallet of a session's account.
    pub(super) fn address(&self, session: &Session) -> String {
        address_of(derived_key(&self.pseudo_random_key, session))
    }

    /// The worker there shows the public halves of what is looked for.
    pub(super) async fn assert_are_of(&self, worker: &str) {
        let request = http().get(format!("{worker}/attestation?nonce={}", "07".repeat(32)));
        let bound = request.send().await.unwrap().json::<AttestationEvidence>().await.unwrap().bound;
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.log_key_seed).unwrap();
        let log_key = [&[1], pair.public_key().as_ref()].concat();

        assert_eq!(bound.identity_pub, self.identity);
        assert!(bound.log_vkey.ends_with(&BASE64_STANDARD.encode(log_key)), "{}", bound.log_vkey);
    }

    /// The forms of all but the wallets' keys.
    pub(super) fn forms(&self) -> Vec<Form> {
        // What an Ed25519 key is made of (RFC 8032 section 5.1.5): the scalar, and the prefix.
        let expanded = digest(&SHA512, &self.log_key_seed);
        let (scalar, prefix) = expanded.as_ref().split_first_chunk::<32>().unwrap();
        let mut scalar = *scalar;
        scalar[0] &= 0xf8;
        scalar[31] = (scalar[31] & 0x7f) | 0x40;
        let identity_key = hmac_of(&self.pseudo_random_key, &[b"agentkeys/identity/v1", &[1]]);
        let named = [
            ("master secret", &self.master_secret),
            ("pseudo-random key", &self.pseudo_random_key),
            ("identity key", &identity_key),
            ("seed of the log key", &self.log_key_seed),
            ("scalar of the log key", &scalar),
            ("prefix of the log key", prefix.first_chunk().unwrap()),
        ];
        let mut forms: Vec<Form> = named.iter().flat_map(|(name, bytes)| forms::of_bytes(name, bytes)).collect();
        forms.push(self.coefficients());
        for share in &self.shares {
            // Behind its number.
            forms.extend(forms::of_bytes(&format!("share {}", share[0]), share[1..].try_into().unwrap()));
        }
        forms
    }

    /// What the shares differ by, as a form: with it, one share is the secret.
    pub(super) fn coefficients(&self) -> Form {
        let first = self.shares.iter().find(|share| share[0] == 1).unwrap();
        let coefficients = first[1..].iter().zip(&self.master_secret).map(|(share, secret)| share ^ secret);
        ("coefficients of the shares".to_owned(), coefficients.collect())
    }

    /// Those of the key of the wallet of a session's account.
    pub(super) fn of_wallet(&self, session: &Session) -> Vec<Form> {
        let name = format!("wallet key of {}", session.identity.value);
        forms::of_bytes(&name, &derived_key(&self.pseudo_random_key, session))
    }
}
