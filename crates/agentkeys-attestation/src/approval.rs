//! The release key's word about an image, given where the key is and not where the image was built.

use std::collections::BTreeMap;

use agentkeys_tpm::{Approval, ApprovalError, CAPPED_PCR, PcrValues, capped};
use serde::Deserialize;

use crate::{Release, ReleaseKeyPair};

/// Why what was written down of an image cannot be approved of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The values at start and those of a quote are not of one image.
    #[error("`capped` is not what becomes of `pcrs`")]
    Capped,
    /// It is not of this form.
    #[error("it is not the `pcrs.json` of an image: {0}")]
    Form(String),
}

/// What a TPM shows when it has started an image: the `pcrs.json` beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRegisters {
    release: Release,
    at_start: PcrValues,
    image_sha256: String,
}

impl ImageRegisters {
    /// Reads what was written down when the image was built.
    pub fn parse(json: &str) -> Result<Self, ImageError> {
        let document: Document = serde_json::from_str(json).map_err(|error| ImageError::Form(error.to_string()))?;
        if document.bank != "sha256" {
            return Err(ImageError::Form("`bank` is not sha256".to_owned()));
        }
        let release = document.release.parse().map_err(|error| ImageError::Form(format!("`release`: {error}")))?;
        let (at_start, shown) = (registers("pcrs", &document.pcrs)?, registers("capped", &document.capped)?);
        let mut expected = at_start.clone();
        if let Some(register) = expected.get_mut(&CAPPED_PCR) {
            *register = capped(register);
        }
        if shown != expected {
            return Err(ImageError::Capped);
        }
        Ok(Self { release, at_start, image_sha256: document.image_sha256 })
    }

    /// The release that the image is of.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The registers while the worker can unseal.
    pub fn at_start(&self) -> &PcrValues {
        &self.at_start
    }

    /// The digest of the image that this was written down of.
    pub fn image_sha256(&self) -> &str {
        &self.image_sha256
    }
}

impl ReleaseKeyPair {
    /// Approves of an image for the seal, for all epochs up to its own.
    pub fn approve(&self, image: &ImageRegisters, epoch: u32) -> Result<Approval, ApprovalError> {
        Approval::sign(image.at_start.clone(), &image.release.to_string(), epoch, self.pair())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    release: String,
    bank: String,
    pcrs: BTreeMap<u8, String>,
    capped: BTreeMap<u8, String>,
    #[serde(rename = "kernel")]
    _kernel: String,
    image_sha256: String,
}

fn registers(field: &str, values: &BTreeMap<u8, String>) -> Result<PcrValues, ImageError> {
    let decode = |(register, value): (&u8, &String)| {
        let mut bytes = [0; 32];
        let decoded = hex::decode_to_slice(value, &mut bytes);
        decoded
            .map(|()| (*register, bytes))
            .map_err(|_| ImageError::Form(format!("`{field}.{register}`: 64 hex digits")))
    };
    values.iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use agentkeys_tpm::SEALED_PCRS;
    use serde_json::{Value, json};

    use super::*;

    /// What is written down of an image.
    fn written() -> Value {
        let at_start: BTreeMap<u8, String> =
            SEALED_PCRS.into_iter().map(|register| (register, hex::encode([register; 32]))).collect();
        let mut shown = at_start.clone();
        shown.insert(CAPPED_PCR, hex::encode(capped(&[CAPPED_PCR; 32])));
        json!({
            "release": "0.1.0",
            "bank": "sha256",
            "pcrs": at_start,
            "capped": shown,
            "kernel": "linux-image-6.1_amd64",
            "image_sha256": "00",
        })
    }

    fn key() -> ReleaseKeyPair {
        ReleaseKeyPair::from_pem(&ReleaseKeyPair::generate_pem().unwrap()).unwrap()
    }

    #[test]
    fn an_approval_is_of_the_registers_at_start_and_by_the_key() {
        let (key, image) = (key(), ImageRegisters::parse(&written().to_string()).unwrap());

        let approval = key.approve(&image, 2).unwrap();

        assert_eq!((approval.release(), approval.epoch()), ("0.1.0", 2));
        assert_eq!(approval.pcrs(), &PcrValues::from(SEALED_PCRS.map(|register| (register, [register; 32]))));
        let public = agentkeys_tpm::ReleaseKey::from_sec1(key.public().unwrap().as_sec1()).unwrap();
        assert_eq!(approval.verify(&public), Ok(()));
    }

    #[test]
    fn what_is_wrong_anywhere_is_not_approved_of() {
        for (path, value) in [
            ("/bank", json!("sha1")),
            ("/release", json!("0.1")),
            ("/pcrs/4", json!("00")),
            ("/pcrs/11", json!(hex::encode(capped(&[CAPPED_PCR; 32])))),
            ("/capped/4", json!(hex::encode([0; 32]))),
            ("/capped", json!({})),
            ("/kernel", json!(6)),
        ] {
            let mut document = written();
            *document.pointer_mut(path).unwrap() = value;

            assert!(ImageRegisters::parse(&document.to_string()).is_err(), "{path}");
        }
        let mut more = written();
        more["comment"] = json!("?");
        assert!(ImageRegisters::parse(&more.to_string()).is_err());
    }
}
