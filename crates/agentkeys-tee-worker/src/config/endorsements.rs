use std::{
    fs,
    path::{Path, PathBuf},
};

use agentkeys_api::attestation::Endorsements;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;

use super::{AttesterKind, ConfigError, refused};

const EK_CHAIN: &str = "endorsements.ek_chain";
const VCEK_CHAIN: &str = "endorsements.vcek_chain";

/// The most certificates that clients read.
const MOST_CERTIFICATES: usize = 4;
/// Files that vouch for the platform, sent along with evidence. Clients check them; nothing here trusts them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndorsementFiles {
    /// TPM: the certificates above that of the endorsement key, PEM, the issuer of that first.
    #[serde(default)]
    pub ek_chain: Vec<PathBuf>,
    /// SEV-SNP: the certificate of the chip's key (VCEK or VLEK) and those above it, PEM, in this order. They are shown
    /// where the host has put none beside a report.
    #[serde(default)]
    pub vcek_chain: Vec<PathBuf>,
}

impl EndorsementFiles {
    /// Refuses what the platform does not show.
    pub(super) fn check(&self, attester: AttesterKind) -> Result<(), ConfigError> {
        let named = [
            (EK_CHAIN, !self.ek_chain.is_empty(), AttesterKind::Tpm2, "tpm2"),
            (VCEK_CHAIN, !self.vcek_chain.is_empty(), AttesterKind::SevSnp, "sev-snp"),
        ];
        match named.iter().find(|(_, is_set, kind, _)| *is_set && *kind != attester) {
            Some((setting, .., name)) => {
                Err(refused(setting, &format!("it is for `attester = \"{name}\"`: take it away here")))
            }
            None => Ok(()),
        }
    }

    /// Reads them, as evidence shows them.
    pub fn read(&self) -> Result<Endorsements, ConfigError> {
        let mut chain = certificates(EK_CHAIN, &self.ek_chain)?;
        chain.append(&mut certificates(VCEK_CHAIN, &self.vcek_chain)?);
        Ok(Endorsements { chain, ..Endorsements::default() })
    }
}

fn certificates(setting: &'static str, files: &[PathBuf]) -> Result<Vec<String>, ConfigError> {
    let mut chain = Vec::new();
    for file in files {
        let text = read(setting, file)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let found = found.ok().filter(|found| !found.is_empty());
        let found = found.ok_or_else(|| refused(setting, &format!("{} has no certificate in PEM", file.display())))?;
        chain.extend(found.into_iter().map(|certificate| BASE64_STANDARD.encode(certificate)));
    }
    if chain.len() > MOST_CERTIFICATES {
        let reason = format!("{} certificates are more than the {MOST_CERTIFICATES} that clients read", chain.len());
        return Err(refused(setting, &reason));
    }
    Ok(chain)
}

fn read(setting: &'static str, file: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(file)
        .map_err(|error| refused(setting, &format!("{} could not be read ({error})", file.display())))
}

#[cfg(test)]
mod tests;
