//! Policies: digests of what must be shown before an object may be used (TPM 2.0 Library, Part 3, section 23),
//! computed without a TPM.

use crate::{
    approval::ReleaseKey,
    structures::{Name, NvCounter, NvRecord, PcrSelection, sha256},
    writer::Writer,
};

/// The digest of a policy.
pub type PolicyDigest = [u8; 32];

/// The policy of nothing: what a session starts with.
pub const NO_POLICY: PolicyDigest = [0; 32];

const CC_POLICY_NV: u32 = 0x0149;
const CC_POLICY_SECRET: u32 = 0x0151;
const CC_POLICY_AUTHORIZE: u32 = 0x016A;
const CC_POLICY_PCR: u32 = 0x017F;

/// How the value of an index is compared (`TPM_EO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Comparison {
    /// It is this.
    Equal = 0x0000,
    /// It is this or more, unsigned.
    AtLeast = 0x0007,
}

impl Comparison {
    pub(crate) fn code(self) -> u16 {
        self as u16
    }
}

/// `before`, and then: the registers have values with this digest.
pub fn policy_pcr(before: PolicyDigest, selection: PcrSelection, pcr_digest: [u8; 32]) -> PolicyDigest {
    let selection = selection.write(Writer::new());
    sha256(&[&before, &CC_POLICY_PCR.to_be_bytes(), selection.as_slice(), &pcr_digest])
}

/// The key with this name has approved of what was shown until here, for `policy_ref`.
///
/// It takes the place of whatever was shown before.
pub fn policy_authorize(key: &Name, policy_ref: &[u8]) -> PolicyDigest {
    update(NO_POLICY, CC_POLICY_AUTHORIZE, key.as_bytes(), policy_ref)
}

/// `before`, and then: the bytes from `offset` on at the index with this name compare so to `operand`.
pub fn policy_nv(
    before: PolicyDigest,
    index: &Name,
    operand: &[u8],
    offset: u16,
    comparison: Comparison,
) -> PolicyDigest {
    let arguments = sha256(&[operand, &offset.to_be_bytes(), &comparison.code().to_be_bytes()]);
    sha256(&[&before, &CC_POLICY_NV.to_be_bytes(), &arguments, index.as_bytes()])
}

/// `before`, and then: the password of the entity with this name was given. Of a hierarchy, the name is its handle.
pub fn policy_secret(before: PolicyDigest, entity: &[u8], policy_ref: &[u8]) -> PolicyDigest {
    update(before, CC_POLICY_SECRET, entity, policy_ref)
}

fn update(before: PolicyDigest, command: u32, name: &[u8], policy_ref: &[u8]) -> PolicyDigest {
    sha256(&[&sha256(&[&before, &command.to_be_bytes(), name]), policy_ref])
}

/// What the release key says that it approves of: registers of a release from this epoch on.
pub fn policy_ref(epoch: u32) -> Vec<u8> {
    [&b"agentkeys/master/v1"[..], &epoch.to_be_bytes()].concat()
}

/// What it takes to unseal the master secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealPolicy {
    /// Who approves of releases.
    pub release_key: ReleaseKey,
    /// The oldest epoch whose releases may unseal.
    pub epoch: u32,
    /// The counter that ends the validity of what was sealed for an older epoch.
    pub counter: NvCounter,
    /// What that counter must be.
    pub counter_value: u64,
}

impl SealPolicy {
    /// Its digest.
    pub fn digest(&self) -> PolicyDigest {
        seal_policy(&self.release_key, self.epoch, self.counter, self.counter_value)
    }
}

/// The registers are as the release key approves of for `epoch`, and `counter` has this value.
pub fn seal_policy(release_key: &ReleaseKey, epoch: u32, counter: NvCounter, counter_value: u64) -> PolicyDigest {
    let approved = policy_authorize(&release_key.name(), &policy_ref(epoch));
    policy_nv(approved, &counter.name(), &counter_value.to_be_bytes(), 0, Comparison::Equal)
}

/// Where a machine records whose master secret it has: every release of the key may write it, and nothing else.
pub fn identity_record(release_key: &ReleaseKey) -> NvRecord {
    NvRecord::under(policy_authorize(&release_key.name(), &policy_ref(0)))
}

#[cfg(test)]
mod tests {
    //! Against what `tpm2_policypcr`, `tpm2_policyauthorize`, `tpm2_policynv` and `tpm2_nvreadpublic` of tpm2-tools
    //! 5.4 have said about a TPM whose registers are zero.

    use std::collections::BTreeSet;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;
    use crate::structures::{Attributes, EccPoint, KeyParameters, PcrValues, Pcrs, Public, Scheme};

    const POINT: &str = "04900f1c8c1869d83c27dce6625b9b8dbe216ce5c0c29241e42c7b501a44753f63\
                         8fef25996b584b518bd8edbe3ecf471ad80cddf16624bc8f71f60618bcff1651";

    fn digest(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(&hex::decode(text).unwrap()).unwrap()
    }

    fn key() -> Name {
        name("000b5573c6d45fe42a88b57cad717c83a0ca092e75076473efe84d6911e432ac2a14")
    }

    #[test]
    fn a_policy_of_registers_is_that_of_a_tpm() {
        let zeros: PcrValues = [4, 7, 11, 12].map(|register| (register, [0; 32])).into();

        let policy = policy_pcr(NO_POLICY, zeros.selection().unwrap(), zeros.digest());

        assert_eq!(policy, digest("46aab8ca147b449e79085b0d027b05733dd200c7b8105a993997410596e63d7f"));
    }

    #[test]
    fn an_approved_policy_is_that_of_a_tpm() {
        let policy = policy_authorize(&key(), &policy_ref(3));

        assert_eq!(policy, digest("674475f4b48bfb924b834e163892afa51b290e3149ee6ea08bed9e340275144c"));
    }

    #[test]
    fn a_policy_of_a_counter_is_that_of_a_tpm() {
        let index = NvCounter::MIN_RELEASE.name();

        let policy = policy_nv(NO_POLICY, &index, &1_u64.to_be_bytes(), 0, Comparison::Equal);

        assert_eq!(index, name("000b41432a1d164ba5a40daba4ebdd8ac8c96f01111b854886ac8bde1e58c23da77b"));
        assert_eq!(policy, digest("f050bf13bb4d93ad19c43d580acf5b4fc64a3f51b1d1cd6962a6f16249347ae2"));
    }

    #[test]
    fn a_policy_upon_another_is_that_of_a_tpm() {
        let approved = policy_authorize(&key(), &policy_ref(3));

        let policy = policy_nv(approved, &NvCounter::MIN_RELEASE.name(), &1_u64.to_be_bytes(), 0, Comparison::Equal);

        assert_eq!(policy, digest("a54d302769f1c124d6ae6a9d4107213598b444375c9d2df4359724f7b866acf3"));
    }

    #[test]
    fn the_name_of_a_loaded_key_is_that_of_a_tpm() {
        let attributes = Attributes::all(&[Attributes::USER_WITH_AUTH, Attributes::DECRYPT, Attributes::SIGN]);
        let point = EccPoint::from_sec1(&hex::decode(POINT).unwrap()).unwrap();
        let parameters = KeyParameters::P256 { protects: false, scheme: Scheme::Null, point };

        assert_eq!(Public { attributes, auth_policy: Vec::new(), parameters }.name(), key());
    }

    /// TCG EK Credential Profile, template L-1.
    #[test]
    fn the_policy_of_a_hierarchys_password_is_that_of_endorsement_keys() {
        let policy = policy_secret(NO_POLICY, &0x4000_000B_u32.to_be_bytes(), &[]);

        assert_eq!(policy, digest("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"));
    }

    #[test]
    fn the_policy_of_a_seal_differs_by_key_epoch_and_counter() {
        let another = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let one = ReleaseKey::from_sec1(&hex::decode(POINT).unwrap()).unwrap();
        let other = ReleaseKey::from_sec1(another.public_key().as_ref()).unwrap();
        let policies = [
            seal_policy(&one, 0, NvCounter::MIN_RELEASE, 1),
            seal_policy(&other, 0, NvCounter::MIN_RELEASE, 1),
            seal_policy(&one, 1, NvCounter::MIN_RELEASE, 1),
            seal_policy(&one, 0, NvCounter::LOG, 1),
            seal_policy(&one, 0, NvCounter::MIN_RELEASE, 2),
        ];

        let different: BTreeSet<_> = policies.into_iter().collect();

        assert_eq!(different.len(), policies.len());
        assert_ne!(identity_record(&one).name(), identity_record(&other).name());
    }
}
