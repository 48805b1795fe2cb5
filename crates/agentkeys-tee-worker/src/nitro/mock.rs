use std::{fmt, sync::Arc};

use agentkeys_signer::AttestError;
use agentkeys_types::Clock;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use ciborium::Value;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};

use super::NsmProvider;

/// The protected header of every document: ES384 (RFC 9053).
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// A security module under a root of its own, which signs documents like those of AWS.
pub struct MockNsm {
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
    root: Vec<u8>,
    pcrs: [[u8; 48]; 3],
    clock: Arc<dyn Clock>,
}

impl MockNsm {
    /// The root that its documents are verified under: never AWS's.
    pub const ANCHOR: &'static str = "mock-nsm-for-tests";

    /// One with a new root, that has measured these.
    ///
    /// # Panics
    ///
    /// When no key or certificate can be made.
    pub fn new(pcrs: [[u8; 48]; 3], clock: Arc<dyn Clock>) -> Self {
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let keys = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a P-384 key");
        let (root_key, key) = (keys(), keys());
        let mut root_params = params("mock NSM root, for tests only");
        root_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = root_params.self_signed(&root_key).expect("a certificate").der().to_vec();
        let issuer = Issuer::new(root_params, root_key);
        let certificate = params("mock NSM").signed_by(&key, &issuer).expect("a certificate").der().to_vec();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key.serialized_der()).expect("a key");
        Self { key, certificate, root, pcrs, clock }
    }

    /// Its root certificate, in DER.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    fn payload(&self, user_data: &[u8]) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        let pcrs = (0..).zip(self.pcrs).map(|(index, pcr): (u8, _)| (index.into(), Value::Bytes(pcr.to_vec())));
        Value::Map(vec![
            (text("module_id"), text("mock-enclave")),
            (text("digest"), text("SHA384")),
            (text("timestamp"), (self.clock.now().as_unix() * 1000).into()),
            (text("pcrs"), Value::Map(pcrs.collect())),
            (text("certificate"), Value::Bytes(self.certificate.clone())),
            (text("cabundle"), Value::Array(vec![Value::Bytes(self.root.clone())])),
            (text("public_key"), Value::Null),
            (text("user_data"), Value::Bytes(user_data.to_vec())),
            (text("nonce"), Value::Null),
        ])
    }
}

impl NsmProvider for MockNsm {
    fn anchor(&self) -> &'static str {
        Self::ANCHOR
    }

    fn document(&self, user_data: &[u8; 64]) -> Result<Vec<u8>, AttestError> {
        let encode = |value: &Value| {
            let mut bytes = Vec::new();
            ciborium::into_writer(value, &mut bytes).map_err(|_| AttestError::Unavailable)?;
            Ok(bytes)
        };
        let payload = Value::Bytes(encode(&self.payload(user_data))?);
        let protected = Value::Bytes(PROTECTED.to_vec());
        let signed =
            [Value::Text("Signature1".to_owned()), protected.clone(), Value::Bytes(Vec::new()), payload.clone()];
        let signature = self.key.sign(&SystemRandom::new(), &encode(&Value::Array(signed.into()))?);
        let signature = signature.map_err(|_| AttestError::Unavailable)?.as_ref().to_vec();
        encode(&Value::Array(vec![protected, Value::Map(Vec::new()), payload, Value::Bytes(signature)]))
    }
}

impl fmt::Debug for MockNsm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MockNsm(…)")
    }
}

#[cfg(test)]
mod tests {
    use agentkeys_types::SystemClock;

    use super::*;

    #[test]
    fn a_mock_never_names_the_root_of_aws() {
        let mock = MockNsm::new([[0; 48]; 3], Arc::new(SystemClock));

        assert_ne!(mock.anchor(), "aws-nitro-g1");
    }

    #[test]
    fn a_document_is_signed_over_what_it_binds() {
        let mock = MockNsm::new([[1; 48], [2; 48], [3; 48]], Arc::new(SystemClock));

        let document: Value = ciborium::from_reader(mock.document(&[7; 64]).unwrap().as_slice()).unwrap();

        let parts = document.into_array().unwrap();
        let payload = parts[2].as_bytes().unwrap();
        let signed = Value::Array(vec![
            Value::Text("Signature1".to_owned()),
            parts[0].clone(),
            Value::Bytes(Vec::new()),
            parts[2].clone(),
        ]);
        let mut bytes = Vec::new();
        ciborium::into_writer(&signed, &mut bytes).unwrap();
        let public = aws_lc_rs::signature::KeyPair::public_key(&mock.key);
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(
            &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED,
            public.as_ref(),
        );
        assert!(key.verify(&bytes, parts[3].as_bytes().unwrap()).is_ok());
        assert!(payload.windows(64).any(|window| window == [7; 64]));
    }
}
