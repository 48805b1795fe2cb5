//! `testdata/vectors.json`, which independent implementations made (`testdata/vectors.py`).

use std::fs;

use agentkeys_crypto::{EvmSignature, MasterSecret, SiweMessage};
use agentkeys_types::{ClientId, EvmAddress, Identity, OmniAccount};
use serde_json::Value;

#[test]
fn identities_become_the_same_accounts() {
    let vectors = Vectors::read();
    let client_id: ClientId = text(&vectors.0["client_id"]).parse().unwrap();

    for case in vectors.of("accounts", 14) {
        let identity_type = text(&case["identity_type"]).parse().unwrap();
        let identity = Identity::parse(identity_type, text(&case["written"])).unwrap();

        assert_eq!(identity.value(), case["value"], "{case}");
        assert_eq!(OmniAccount::anchored_by(&client_id, &identity).to_string(), case["omni_account"], "{case}");
    }
}

#[test]
fn accounts_have_the_same_wallets() {
    let vectors = Vectors::read();

    for case in vectors.of("accounts", 14) {
        let wallet = vectors.master_secret().derive_wallet(&account(case));

        assert_eq!(wallet.address().to_string(), case["wallet"], "{case}");
        assert_eq!(wallet.sign_eip191(b"hello").to_string(), case["hello_signature"], "{case}");
    }
}

#[test]
fn wallets_sign_the_same_bytes_and_their_signatures_name_them() {
    let vectors = Vectors::read();

    for case in vectors.of("eip191", 7) {
        let message = hex::decode(text(&case["message_hex"])).unwrap();
        let signature = EvmSignature::parse(text(&case["signature"])).unwrap();

        let signed = vectors.master_secret().derive_wallet(&account(case)).sign_eip191(&message);

        assert_eq!(signed.to_string(), case["signature"], "{case}");
        assert_eq!(signature.recover(&message).unwrap().to_string(), case["address"], "{case}");
    }
}

#[test]
fn addresses_have_the_same_checksums() {
    let vectors = Vectors::read();

    for case in vectors.of("eip55", 58) {
        let written: EvmAddress = text(case).parse().unwrap();
        let lowercase: EvmAddress = text(case).to_lowercase().parse().unwrap();

        assert_eq!(written.to_string(), text(case));
        assert_eq!(lowercase, written);
        assert!(with_one_case_changed(text(case)).parse::<EvmAddress>().is_err(), "{case}");
    }
}

#[test]
fn challenges_are_the_same_texts_with_the_same_signatures() {
    let vectors = Vectors::read();

    for case in vectors.of("siwe", 3) {
        let message = SiweMessage {
            domain: text(&case["domain"]),
            address: text(&case["address"]).parse().unwrap(),
            uri: text(&case["uri"]),
            chain_id: case["chain_id"].as_u64().unwrap(),
            nonce: text(&case["nonce"]),
            issued_at: text(&case["issued_at"]).parse().unwrap(),
            expires_at: text(&case["expiration_time"]).parse().unwrap(),
            account: account(case),
        }
        .to_string();

        let signed = vectors.master_secret().derive_wallet(&account(case)).sign_eip191(message.as_bytes());

        assert_eq!(message, case["message"]);
        assert_eq!(SiweMessage::parse(&message).unwrap().to_string(), message);
        assert_eq!(signed.to_string(), case["signature"], "{case}");
    }
}

/// The file as JSON.
struct Vectors(Value);

impl Vectors {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors.json");
        Self(serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
    }

    /// The cases of one kind, of which there must be no fewer than there were.
    fn of(&self, kind: &str, at_least: usize) -> &[Value] {
        let cases = self.0[kind].as_array().unwrap();
        assert!(cases.len() >= at_least, "only {} of {kind}", cases.len());
        cases
    }

    fn master_secret(&self) -> MasterSecret {
        let bytes = hex::decode(text(&self.0["master_secret"])).unwrap();
        MasterSecret::new(bytes.as_slice().try_into().unwrap())
    }
}

fn account(case: &Value) -> OmniAccount {
    text(&case["omni_account"]).parse().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The address with the case of its first letter changed, and of another one where that would leave one case only.
fn with_one_case_changed(address: &str) -> String {
    let letters: Vec<usize> =
        (2..address.len()).filter(|&index| address.as_bytes()[index].is_ascii_alphabetic()).collect();
    let changed = |index: usize| {
        let mut bytes = address.as_bytes().to_vec();
        bytes[index] ^= 0x20;
        String::from_utf8(bytes).unwrap()
    };
    let is_mixed = |text: &String| {
        let digits = &text[2..];
        digits.bytes().any(|byte| byte.is_ascii_lowercase()) && digits.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    letters.into_iter().map(changed).find(is_mixed).unwrap()
}
