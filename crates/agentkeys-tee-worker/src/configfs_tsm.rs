use std::{
    fs, io,
    path::{Path, PathBuf},
};

use agentkeys_api::attestation::{Backend, Endorsements, RawEvidence};
use agentkeys_crypto::{ReportData, random};
use agentkeys_signer::AttestError;
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{Platform, Vouched};

/// Where the kernel has it.
pub const REPORTS: &str = "/sys/kernel/config/tsm/report";

/// Reports of SEV-SNP and quotes of TDX, as the Linux kernel gives them: a folder for each report
/// (`Documentation/ABI/testing/configfs-tsm-report`).
#[derive(Debug)]
pub struct ConfigfsTsm {
    root: PathBuf,
    backend: Backend,
    provider: &'static str,
    /// Where Intel's collateral is, which the kernel does not have.
    collateral: Option<PathBuf>,
    endorsements: Endorsements,
}

/// What the kernel gave for one report.
struct Report {
    report: Vec<u8>,
    /// The certificates that the host has put beside it.
    auxiliary: Vec<u8>,
}

impl ConfigfsTsm {
    /// SEV-SNP, with its folder of reports.
    pub fn sev_snp(root: &Path) -> Self {
        Self::new(root, Backend::SevSnp, "sev_guest", None)
    }

    /// TDX, with its folder of reports, and the file with Intel's collateral for the machine, as JSON.
    ///
    /// The file is read anew for each report: its operator renews it before it expires. No client accepts a quote
    /// without it; it need not be trusted, since Intel has signed what is in it.
    pub fn tdx(root: &Path, collateral: &Path) -> Self {
        Self::new(root, Backend::Tdx, "tdx_guest", Some(collateral.to_owned()))
    }

    /// The same, which shows what vouches for its reports where the host has put nothing beside them.
    #[must_use]
    pub fn endorsed(self, endorsements: Endorsements) -> Self {
        Self { endorsements, ..self }
    }

    fn new(root: &Path, backend: Backend, provider: &'static str, collateral: Option<PathBuf>) -> Self {
        Self { root: root.to_owned(), backend, provider, collateral, endorsements: Endorsements::default() }
    }

    fn endorsements(&self, auxiliary: &[u8]) -> Endorsements {
        let mut endorsements = Endorsements { collateral: self.collateral(), ..self.endorsements.clone() };
        let found = snp_certificates(auxiliary);
        if !found.is_empty() {
            endorsements.chain = found.into_iter().map(|der| BASE64_STANDARD.encode(der)).collect();
        }
        endorsements
    }

    fn vouch_in_new_folder(&self, report_data: &[u8; 64]) -> io::Result<Vouched> {
        // A name of its own: whoever else asks has another folder.
        let folder = self.root.join(format!("agentkeys-{}", hex::encode(random::<8>())));
        fs::create_dir(&folder)?;
        let vouched = self.vouch_in(&folder, report_data);
        // In configfs, the folder goes with its attributes.
        let removed = fs::remove_dir(&folder);
        if let Err(error) = removed {
            tracing::debug!(%error, "a report's folder stays");
        }
        vouched
    }

    fn vouch_in(&self, folder: &Path, report_data: &[u8; 64]) -> io::Result<Vouched> {
        let Report { report, auxiliary } = self.read(folder, report_data)?;
        Ok(Vouched {
            report_data: hex::encode(report_data),
            evidence: RawEvidence { report: Some(BASE64_STANDARD.encode(report)), ..RawEvidence::default() },
            endorsements: self.endorsements(&auxiliary),
        })
    }

    fn collateral(&self) -> Option<String> {
        let file = self.collateral.as_deref()?;
        let read = fs::read_to_string(file);
        read.inspect_err(|error| {
            tracing::warn!(%error, file = %file.display(), "no collateral: clients will refuse the quote");
        })
        .ok()
    }

    fn read(&self, folder: &Path, report_data: &[u8; 64]) -> io::Result<Report> {
        let generation = || -> io::Result<u64> {
            let text = fs::read_to_string(folder.join("generation"))?;
            text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a generation is a number"))
        };
        let before = generation()?;
        fs::write(folder.join("inblob"), report_data)?;
        let provider = fs::read_to_string(folder.join("provider"))?;
        if provider.trim() != self.provider {
            let message = format!("the kernel's provider is `{}`, not `{}`", provider.trim(), self.provider);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let report = fs::read(folder.join("outblob"))?;
        let auxiliary = match fs::read(folder.join("auxblob")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        // Each write counts one further: somebody else's in between would have made it another report.
        if generation()? != before + 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "somebody else wrote into the report"));
        }
        Ok(Report { report, auxiliary })
    }
}

impl Platform for ConfigfsTsm {
    fn backend(&self) -> Backend {
        self.backend
    }

    fn vouch(&self, report_data: &ReportData<'_>) -> Result<Vouched, AttestError> {
        self.vouch_in_new_folder(&report_data.sha512()).map_err(|error| {
            tracing::error!(%error, "no report");
            AttestError::Unavailable
        })
    }
}

/// The certificates in the table that a host puts beside a SEV-SNP report, the one of the chip first (AMD GHCB
/// specification, section 4.1.8.1): entries of a GUID, an offset and a length, and an empty one at the end.
fn snp_certificates(table: &[u8]) -> Vec<&[u8]> {
    /// The GUIDs of VCEK, VLEK, ASK and ARK, as bytes of the table.
    const ORDER: [[u8; 16]; 4] = [
        guid(0x63da_758d, 0xe664, 0x4564, 0xadc5_f4b9_3be8_accd),
        guid(0xa807_4bc2, 0xa25a, 0x483e, 0xaae6_39c0_45a0_b8a1),
        guid(0x4ab7_b379, 0xbbac, 0x4fe4, 0xa02f_05ae_f327_c782),
        guid(0xc0b4_06a4, 0xa803, 0x4952, 0x9743_3fb6_014c_d0ae),
    ];
    let entries = table.chunks_exact(24).take_while(|entry| entry[..16] != [0; 16]);
    let number = |bytes: &[u8]| bytes.try_into().ok().and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok());
    let mut found: Vec<(usize, &[u8])> = entries
        .filter_map(|entry| {
            let place = ORDER.iter().position(|guid| entry[..16] == *guid)?;
            let (offset, length) = (number(&entry[16..20])?, number(&entry[20..24])?);
            Some((place, table.get(offset..offset.checked_add(length)?)?))
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, certificate)| certificate).collect()
}

/// A GUID as text has it, in the order of bytes in which the table has it (RFC 4122, as it is written).
const fn guid(first: u32, second: u16, third: u16, rest: u64) -> [u8; 16] {
    let (a, b, c, d) = (first.to_be_bytes(), second.to_be_bytes(), third.to_be_bytes(), rest.to_be_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}

#[cfg(test)]
mod tests;
