use std::collections::BTreeMap;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair, ParsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    policy::{NO_POLICY, PolicyDigest, policy_pcr, policy_ref},
    reader::Malformed,
    structures::{
        Attributes, EccPoint, KeyParameters, Name, PcrSelection, PcrValues, Pcrs, Public, Scheme, Signature,
        VerifyingKey, extend, sha256,
    },
};

/// The register into which the worker extends [`cap_digest`] once it has unsealed.
pub const CAPPED_PCR: u8 = 11;

/// The registers that the seal and the evidence are about: boot loader, Secure Boot, image, command line.
pub const SEALED_PCRS: [u8; 4] = [4, 7, 11, 12];

/// Those of them that an approval must name: boot loader, image, command line. No other system that a machine starts
/// can give the first one the value that this one has.
const NAMED: [u8; 3] = [4, CAPPED_PCR, 12];

/// The registers that every program can set back.
const RESETTABLE: [u8; 2] = [16, 23];

/// The highest epoch: a release has an approval for each up to its own.
const LAST_EPOCH: u32 = 1023;

/// What is extended into [`CAPPED_PCR`] after unsealing, so that nothing unseals again until the machine starts anew.
pub fn cap_digest() -> [u8; 32] {
    sha256(&[b"agentkeys/cap/v1"])
}

/// What [`CAPPED_PCR`] holds after it was capped.
pub fn capped(register: &[u8; 32]) -> [u8; 32] {
    extend(register, &cap_digest())
}

/// Why an approval is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// There is no approval for just each epoch up to the release's own.
    #[error("an approval must have one signature for each epoch from 0 to its own, which is at most {LAST_EPOCH}")]
    Epochs,
    /// It is by another key.
    #[error("the approval is by another release key")]
    Key,
    /// Something in it is not encoded as it should be.
    #[error("the approval is malformed: {0}")]
    Malformed(&'static str),
    /// It names registers that cannot bind anything.
    #[error("an approval must name registers 4, 11 and 12, and none of those that programs can reset (16 and 23)")]
    Registers,
    /// A signature is not by the release key over these registers.
    #[error("a signature of the approval is not valid")]
    Signature,
    /// The release key could not sign.
    #[error("the release key cannot sign")]
    Signing,
}

/// The public key of whoever makes releases, on NIST P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseKey(EccPoint);

impl ReleaseKey {
    /// The key with this uncompressed point (SEC1, 65 bytes), which is on the curve.
    pub fn from_sec1(sec1: &[u8]) -> Result<Self, Malformed> {
        let point = EccPoint::from_sec1(sec1)?;
        let on_curve = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, sec1);
        on_curve.map(|_| Self(point)).map_err(|_| Malformed("a release key is not on its curve"))
    }

    /// Its uncompressed point (SEC1).
    pub fn to_sec1(&self) -> [u8; 65] {
        self.0.to_sec1()
    }

    /// As a TPM loads it, to check what it has signed.
    pub fn public(&self) -> Public {
        let attributes = Attributes::all(&[Attributes::USER_WITH_AUTH, Attributes::SIGN]);
        let parameters = KeyParameters::P256 { protects: false, scheme: Scheme::Ecdsa, point: self.0.clone() };
        Public { attributes, auth_policy: Vec::new(), parameters }
    }

    /// Its name, which a policy knows it by.
    pub fn name(&self) -> Name {
        self.public().name()
    }

    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::P256(self.0.clone())
    }
}

/// The release key's word that registers with these values are of a release of its own.
///
/// It comes with the image. It says nothing until [`Approval::verify`] has accepted it, but to a TPM: that checks by
/// itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Approval {
    release: String,
    release_key: ReleaseKey,
    registers: ApprovedRegisters,
    /// One for each epoch, from 0 on.
    signatures: Vec<[u8; 64]>,
}

/// Values of registers that can bind something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ApprovedRegisters {
    values: PcrValues,
    selection: PcrSelection,
    policy: PolicyDigest,
}

impl ApprovedRegisters {
    fn new(values: PcrValues) -> Result<Self, ApprovalError> {
        let names = |register: &u8| values.contains_key(register);
        if !NAMED.iter().all(names) || RESETTABLE.iter().any(names) {
            return Err(ApprovalError::Registers);
        }
        let selection = values.selection().map_err(|_| ApprovalError::Registers)?;
        let policy = policy_pcr(NO_POLICY, selection, values.digest());
        Ok(Self { values, selection, policy })
    }

    /// What is hashed and signed for an epoch.
    fn signed(&self, epoch: u32) -> Vec<u8> {
        [&self.policy[..], &policy_ref(epoch)].concat()
    }
}

impl Approval {
    /// Approves of these registers, for all epochs up to `epoch`.
    ///
    /// `signer` makes signatures of a fixed length (`ECDSA_P256_SHA256_FIXED_SIGNING`).
    pub fn sign(pcrs: PcrValues, release: &str, epoch: u32, signer: &EcdsaKeyPair) -> Result<Self, ApprovalError> {
        let release_key = ReleaseKey::from_sec1(signer.public_key().as_ref()).map_err(|_| ApprovalError::Signing)?;
        if epoch > LAST_EPOCH {
            return Err(ApprovalError::Epochs);
        }
        let registers = ApprovedRegisters::new(pcrs)?;
        let random = SystemRandom::new();
        let sign = |epoch| {
            let signature = signer.sign(&random, &registers.signed(epoch)).map_err(|_| ApprovalError::Signing)?;
            signature.as_ref().try_into().map_err(|_| ApprovalError::Signing)
        };
        let signatures = (0..=epoch).map(sign).collect::<Result<_, _>>()?;
        Ok(Self { release: release.to_owned(), release_key, registers, signatures })
    }

    /// Checks that it is by `release_key`, for every epoch.
    pub fn verify(&self, release_key: &ReleaseKey) -> Result<(), ApprovalError> {
        if self.release_key != *release_key {
            return Err(ApprovalError::Key);
        }
        let key = release_key.verifying_key();
        for (epoch, signature) in (0..).zip(&self.signatures) {
            let verified = key.verify(&self.registers.signed(epoch), &Signature::EcdsaP256(*signature));
            verified.map_err(|_| ApprovalError::Signature)?;
        }
        Ok(())
    }

    /// The release that it is for.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The epoch of that release.
    pub fn epoch(&self) -> u32 {
        // There are at most as many as `LAST_EPOCH` allows, and at least one.
        u32::try_from(self.signatures.len()).unwrap_or(LAST_EPOCH).saturating_sub(1)
    }

    /// Who approves.
    pub fn release_key(&self) -> &ReleaseKey {
        &self.release_key
    }

    /// The registers that it approves of.
    pub fn pcrs(&self) -> &PcrValues {
        &self.registers.values
    }

    /// Whether the registers that it names have these values.
    pub fn matches(&self, pcrs: &PcrValues) -> bool {
        self.registers.values.iter().all(|(register, value)| pcrs.get(register) == Some(value))
    }

    /// Which registers it names.
    pub fn selection(&self) -> PcrSelection {
        self.registers.selection
    }

    /// The policy that it approves of.
    pub fn policy(&self) -> PolicyDigest {
        self.registers.policy
    }

    /// The signature for an epoch, unless the release is older.
    pub fn signature(&self, epoch: u32) -> Option<Signature> {
        let signature = self.signatures.get(usize::try_from(epoch).ok()?)?;
        Some(Signature::EcdsaP256(*signature))
    }
}

/// The file of an approval.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    release: String,
    epoch: u32,
    release_key: String,
    pcrs: BTreeMap<u8, String>,
    approvals: Vec<EpochApproval>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochApproval {
    epoch: u32,
    signature: String,
}

impl TryFrom<Document> for Approval {
    type Error = ApprovalError;

    fn try_from(document: Document) -> Result<Self, ApprovalError> {
        let sec1 = STANDARD.decode(&document.release_key).map_err(|_| ApprovalError::Malformed("release_key"))?;
        let release_key = ReleaseKey::from_sec1(&sec1).map_err(|_| ApprovalError::Malformed("release_key"))?;
        let mut pcrs = PcrValues::new();
        for (register, value) in document.pcrs {
            let mut bytes = [0; 32];
            hex::decode_to_slice(value, &mut bytes).map_err(|_| ApprovalError::Malformed("pcrs"))?;
            pcrs.insert(register, bytes);
        }
        let registers = ApprovedRegisters::new(pcrs)?;
        let epochs = document.approvals.iter().map(|approval| approval.epoch);
        if document.epoch > LAST_EPOCH || !epochs.eq(0..=document.epoch) {
            return Err(ApprovalError::Epochs);
        }
        let mut signatures = Vec::new();
        for approval in document.approvals {
            let signature = STANDARD.decode(approval.signature).ok().and_then(|bytes| bytes.try_into().ok());
            signatures.push(signature.ok_or(ApprovalError::Malformed("signature"))?);
        }
        Ok(Self { release: document.release, release_key, registers, signatures })
    }
}

impl From<Approval> for Document {
    fn from(approval: Approval) -> Self {
        let epoch = approval.epoch();
        let encode = |(epoch, signature)| EpochApproval { epoch, signature: STANDARD.encode(signature) };
        Self {
            release: approval.release,
            epoch,
            release_key: STANDARD.encode(approval.release_key.to_sec1()),
            pcrs: approval.registers.values.iter().map(|(register, value)| (*register, hex::encode(value))).collect(),
            approvals: (0..).zip(approval.signatures).map(encode).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    use serde_json::{Value, json};

    use super::*;

    fn pair() -> EcdsaKeyPair {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
    }

    fn pcrs() -> PcrValues {
        SEALED_PCRS.map(|register| (register, [register; 32])).into()
    }

    fn key(pair: &EcdsaKeyPair) -> ReleaseKey {
        ReleaseKey::from_sec1(pair.public_key().as_ref()).unwrap()
    }

    #[test]
    fn an_approval_reads_back_from_its_file_and_is_valid() {
        let pair = pair();
        let approval = Approval::sign(pcrs(), "0.1.0", 2, &pair).unwrap();

        let read: Approval = serde_json::from_str(&serde_json::to_string(&approval).unwrap()).unwrap();

        assert_eq!(read, approval);
        assert_eq!((read.release(), read.epoch()), ("0.1.0", 2));
        assert_eq!(read.verify(&key(&pair)), Ok(()));
        assert!(read.signature(2).is_some() && read.signature(3).is_none());
    }

    #[test]
    fn an_approval_of_other_registers_is_not_valid() {
        let pair = pair();
        let approval = Approval::sign(pcrs(), "0.1.0", 0, &pair).unwrap();
        let mut document = serde_json::to_value(&approval).unwrap();
        document["pcrs"]["4"] = json!(hex::encode([0; 32]));

        let forged: Approval = serde_json::from_value(document).unwrap();

        assert_eq!(forged.verify(&key(&pair)), Err(ApprovalError::Signature));
    }

    #[test]
    fn an_approval_by_another_key_is_not_valid() {
        let approval = Approval::sign(pcrs(), "0.1.0", 0, &pair()).unwrap();

        assert_eq!(approval.verify(&key(&pair())), Err(ApprovalError::Key));
    }

    #[test]
    fn an_approval_for_one_epoch_is_none_for_another() {
        let pair = pair();
        let mut document = serde_json::to_value(Approval::sign(pcrs(), "0.1.0", 1, &pair).unwrap()).unwrap();
        document["approvals"][1]["signature"] = document["approvals"][0]["signature"].clone();

        let forged: Approval = serde_json::from_value(document).unwrap();

        assert_eq!(forged.verify(&key(&pair)), Err(ApprovalError::Signature));
    }

    #[test]
    fn registers_that_can_be_reset_and_missing_ones_are_refused() {
        for register in RESETTABLE {
            let with = pcrs().into_iter().chain([(register, [0; 32])]).collect();

            assert_eq!(Approval::sign(with, "0.1.0", 0, &pair()), Err(ApprovalError::Registers));
        }
        for missing in [4, 11, 12] {
            let without = pcrs().into_iter().filter(|(register, _)| *register != missing).collect();

            assert_eq!(Approval::sign(without, "0.1.0", 0, &pair()), Err(ApprovalError::Registers), "{missing}");
        }
    }

    #[test]
    fn the_register_of_secure_boot_need_not_be_named() {
        let without = pcrs().into_iter().filter(|(register, _)| *register != 7).collect();

        assert!(Approval::sign(without, "0.1.0", 0, &pair()).is_ok());
    }

    #[test]
    fn a_file_that_is_wrong_anywhere_is_refused() {
        let whole = serde_json::to_value(Approval::sign(pcrs(), "0.1.0", 1, &pair()).unwrap()).unwrap();
        let wrongs: [(&str, Value); 9] = [
            ("/approvals/1/epoch", json!(0)),
            ("/approvals", json!([])),
            ("/approvals/0/signature", json!("AAAA")),
            ("/epoch", json!(2)),
            ("/epoch", json!(u32::MAX)),
            ("/pcrs/4", json!("00")),
            ("/pcrs", json!({"11": hex::encode([0; 32])})),
            ("/pcrs", ["4", "11", "12", "23"].map(|register| (register, hex::encode([0; 32]))).into_iter().collect()),
            ("/release_key", json!("AAAA")),
        ];

        for (path, value) in wrongs {
            let mut document = whole.clone();
            *document.pointer_mut(path).unwrap() = value;

            assert!(serde_json::from_value::<Approval>(document).is_err(), "{path}");
        }
        let mut more = whole;
        more["comment"] = json!("?");
        assert!(serde_json::from_value::<Approval>(more).is_err());
    }

    #[test]
    fn a_release_key_that_is_not_on_its_curve_is_refused() {
        let mut sec1 = key(&pair()).to_sec1();
        sec1[64] ^= 1;

        assert!(ReleaseKey::from_sec1(&sec1).is_err());
    }

    #[test]
    fn the_cap_changes_a_register_as_an_extend_does() {
        assert_eq!(capped(&[0; 32]), extend(&[0; 32], &cap_digest()));
        assert_ne!(capped(&[0; 32]), [0; 32]);
    }
}
