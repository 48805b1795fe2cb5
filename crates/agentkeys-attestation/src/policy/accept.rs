use std::collections::{BTreeMap, BTreeSet};

use agentkeys_api::attestation::Backend;

use super::Release;

/// One kind of worker that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accept {
    /// On a TPM 2.0.
    Tpm2(AcceptTpm2),
    /// On an Azure confidential machine.
    AzureVtpm(AcceptAzureVtpm),
    /// Under AMD SEV-SNP.
    SevSnp(AcceptSevSnp),
    /// Under Intel TDX.
    Tdx(AcceptTdx),
    /// In an AWS Nitro Enclave.
    Nitro(AcceptNitro),
}

impl Accept {
    /// What vouches.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Tpm2(_) => Backend::Tpm2,
            Self::AzureVtpm(_) => Backend::AzureVtpm,
            Self::SevSnp(_) => Backend::SevSnp,
            Self::Tdx(_) => Backend::Tdx,
            Self::Nitro(_) => Backend::Nitro,
        }
    }

    /// The release that has these measurements.
    pub fn release(&self) -> Release {
        match self {
            Self::Tpm2(entry) => entry.release,
            Self::AzureVtpm(entry) => entry.release,
            Self::SevSnp(entry) => entry.release,
            Self::Tdx(entry) => entry.release,
            Self::Nitro(entry) => entry.release,
        }
    }

    /// Whether nothing but the policy tells which certificates are revoked: Intel's collateral has lists, and AWS's
    /// certificates live for hours.
    pub(super) fn has_no_list_of_its_maker(&self) -> bool {
        match self {
            Self::Tpm2(_) | Self::SevSnp(_) => true,
            Self::AzureVtpm(entry) => matches!(entry.hardware, AzureHardware::SevSnp(_)),
            Self::Tdx(_) | Self::Nitro(_) => false,
        }
    }

    pub(crate) fn as_tpm2(&self) -> Option<&AcceptTpm2> {
        if let Self::Tpm2(entry) = self { Some(entry) } else { None }
    }

    pub(crate) fn as_azure_vtpm(&self) -> Option<&AcceptAzureVtpm> {
        if let Self::AzureVtpm(entry) = self { Some(entry) } else { None }
    }

    pub(crate) fn as_sev_snp(&self) -> Option<&AcceptSevSnp> {
        if let Self::SevSnp(entry) = self { Some(entry) } else { None }
    }

    pub(crate) fn as_tdx(&self) -> Option<&AcceptTdx> {
        if let Self::Tdx(entry) = self { Some(entry) } else { None }
    }

    pub(crate) fn as_nitro(&self) -> Option<&AcceptNitro> {
        if let Self::Nitro(entry) = self { Some(entry) } else { None }
    }
}

/// The values that each register may have; registers that are not listed are not judged.
pub type PcrValues<const N: usize> = BTreeMap<u8, BTreeSet<[u8; N]>>;

/// A worker whose measured boot a TPM quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptTpm2 {
    /// The release that has these measurements.
    pub release: Release,
    /// The registers of the SHA-256 bank: always 4 (what the firmware started), 11 (the image) and 12 (the kernel's
    /// command line) among them.
    pub pcr: PcrValues<32>,
    /// Who vouches for the TPM: one of these is enough.
    pub anchor: TpmAnchor,
}

/// Who vouches for a TPM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TpmAnchor {
    /// The SHA-256 of certificates that may stand above an endorsement key's; the worker sends them.
    pub ek_ca_sha256: BTreeSet<[u8; 32]>,
    /// Such certificates themselves, in DER.
    pub ek_ca: Vec<Vec<u8>>,
    /// The SHA-256 of endorsement keys (`SubjectPublicKeyInfo`).
    pub ek_pub_sha256: BTreeSet<[u8; 32]>,
    /// The names of attestation keys.
    pub ak_name: BTreeSet<Vec<u8>>,
}

/// A worker whose measured boot the vTPM of an Azure confidential machine quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptAzureVtpm {
    /// The release that has these measurements.
    pub release: Release,
    /// The registers of the SHA-256 bank: always 4 (what the firmware started), 11 (the image) and 12 (the kernel's
    /// command line) among them.
    pub pcr: PcrValues<32>,
    /// The hardware that vouches for the vTPM.
    pub hardware: AzureHardware,
}

/// The hardware that vouches for an Azure vTPM, with what Microsoft's firmware measures there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureHardware {
    /// AMD SEV-SNP.
    SevSnp(AcceptSevSnp),
    /// Intel TDX.
    Tdx(AcceptTdx),
}

/// A guest under AMD SEV-SNP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptSevSnp {
    /// The release that has this measurement.
    pub release: Release,
    /// The launch measurements.
    pub measurement: BTreeSet<[u8; 48]>,
    /// The oldest firmware that is accepted.
    pub min_tcb: SnpTcb,
    /// Whether the host may debug the guest.
    pub debug: bool,
    /// The chips that it may run on; nothing for any chip.
    pub chip_id: Option<BTreeSet<[u8; 64]>>,
}

/// The security versions of AMD's firmware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnpTcb {
    /// The FMC, which only Turin and later have.
    pub fmc: u8,
    /// The boot loader.
    pub bootloader: u8,
    /// The PSP's operating system.
    pub tee: u8,
    /// The SNP firmware.
    pub snp: u8,
    /// The microcode.
    pub microcode: u8,
}

/// A guest under Intel TDX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptTdx {
    /// The release that has these measurements.
    pub release: Release,
    /// The measurements of the initial contents.
    pub mr_td: BTreeSet<[u8; 48]>,
    /// The runtime registers, 0 to 3; never empty for a worker of its own.
    pub rtmr: PcrValues<48>,
    /// What Intel may say of the platform.
    pub tcb_status: BTreeSet<TcbStatus>,
    /// Whether the host may debug the guest.
    pub debug: bool,
}

/// What Intel says of a platform's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub enum TcbStatus {
    /// Nothing is missing.
    UpToDate,
    /// The firmware is new enough; software must mitigate.
    SWHardeningNeeded,
    /// The settings are not the recommended ones.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSWHardeningNeeded,
    /// Updates are missing.
    OutOfDate,
    /// Updates are missing and the settings are not the recommended ones.
    OutOfDateConfigurationNeeded,
}

/// An AWS Nitro Enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptNitro {
    /// The release that has these measurements.
    pub release: Release,
    /// The registers, 0 (the image) always among them.
    pub pcr: PcrValues<48>,
    /// Who vouches.
    pub root: NitroRoot,
}

/// Who vouches for a Nitro document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NitroRoot {
    /// The root of the AWS Nitro Attestation PKI, G1.
    AwsG1,
    /// A certificate for tests, in DER: no hardware vouches. Only a policy that allows development signers has one.
    Test(Vec<u8>),
}
