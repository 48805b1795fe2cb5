//! Policies: digests of what must be shown before an object may be used (TPM 2.0 Library, Part 3, section 23),
//! computed without a TPM.

use crate::{
    approval::ReleaseKey,
    structures::{Name, NvCounter, PcrSelection, sha256},
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
