use agentkeys_tpm::{CAPPED_PCR, PcrValues, extend};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::pe::Pe;

/// The sections that systemd-stub measures, in its order (version 252).
const MEASURED_SECTIONS: [&str; 4] = [".linux", ".osrel", ".cmdline", ".initrd"];
/// UEFI's own variables, and those of the signature databases.
const GLOBAL_VARIABLE: [u8; 16] = *b"\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c";
const IMAGE_SECURITY_DATABASE: [u8; 16] = *b"\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f";

/// What a TPM shows after a machine has started an image, by the registers' numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measurement {
    /// While the worker can unseal.
    pub(super) at_start: PcrValues,
    /// Ever after: what a quote shows.
    pub(super) capped: PcrValues,
}

/// A register while things are measured into it.
#[derive(Clone, Copy, Default)]
struct Register([u8; 32]);

impl Measurement {
    /// What firmware and stub will measure of `uki`, on a machine that boots it by itself and has no keys for Secure
    /// Boot.
    pub(super) fn predict(uki: &Pe) -> Result<Self> {
        let kernel = uki.section(".linux").context("the image has no kernel")?;
        let kernel = Pe::parse(kernel.to_vec()).context("the kernel")?;
        let booted = booted(uki.authenticode()?, kernel.authenticode()?);
        let mut sections = Register::default();
        for name in MEASURED_SECTIONS {
            if let Some(content) = uki.section(name) {
                sections = sections.and_digest(digest_of_name(name)).and(content);
            }
        }
        let registers = [(4, booted), (7, without_secure_boot()), (11, sections), (12, Register::default())];
        let at_start = PcrValues::from(registers.map(|(number, Register(value))| (number, value)));
        let mut capped = at_start.clone();
        capped.insert(CAPPED_PCR, agentkeys_tpm::capped(&sections.0));
        Ok(Self { at_start, capped })
    }
}

impl Register {
    /// The register after something more was measured.
    fn and(self, measured: &[u8]) -> Self {
        self.and_digest(Sha256::digest(measured).into())
    }

    fn and_digest(self, digest: [u8; 32]) -> Self {
        Self(extend(&self.0, &digest))
    }
}

/// What firmware measures when it starts a program from a disk, and that program another.
fn booted(uki: [u8; 32], kernel: [u8; 32]) -> Register {
    let boot = Register::default().and(b"Calling EFI Application from Boot Option").and(&[0; 4]);
    boot.and_digest(uki).and_digest(kernel)
}

/// What the stub measures of a section's name.
fn digest_of_name(section: &str) -> [u8; 32] {
    Sha256::digest(format!("{section}\0")).into()
}

/// What firmware measures where nobody has enrolled a key: that Secure Boot is off, and that each list is empty.
fn without_secure_boot() -> Register {
    let off = &[0][..];
    let variables = [
        (GLOBAL_VARIABLE, "SecureBoot", off),
        (GLOBAL_VARIABLE, "PK", &[]),
        (GLOBAL_VARIABLE, "KEK", &[]),
        (IMAGE_SECURITY_DATABASE, "db", &[]),
        (IMAGE_SECURITY_DATABASE, "dbx", &[]),
    ];
    let measured = variables.into_iter().fold(Register::default(), |pcr, (vendor, name, value)| {
        // UEFI_VARIABLE_DATA of the TCG PC Client Platform Firmware Profile.
        let mut event = vendor.to_vec();
        event.extend((name.len() as u64).to_le_bytes());
        event.extend((value.len() as u64).to_le_bytes());
        event.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        event.extend(value);
        pcr.and(&event)
    });
    measured.and(&[0; 4])
}

#[cfg(test)]
mod tests {
    use agentkeys_tpm::EventLog;

    use super::*;
    use crate::image::pe::tests::empty;

    #[test]
    fn firmware_without_keys_measures_what_machines_show() {
        let shown = "65caf8dd1e0ea7a6347b635d2b379c93b9a1351edc2afc3ecda700e534eb3068";

        assert_eq!(hex::encode(without_secure_boot().0), shown);
    }

    #[test]
    fn a_real_boot_was_measured_by_the_same_rules() {
        let log = EventLog::parse(include_bytes!("../../../testdata/vm/event-log.bin")).unwrap();
        let digests = |register| {
            let events = log.events().iter().filter(move |event| event.register == register);
            events.map(|event| event.digest).collect::<Vec<_>>()
        };
        let measured = log.replay();

        let [_, _, uki, kernel] = digests(4)[..] else { panic!("{:?}", digests(4)) };
        let names: Vec<_> = digests(11).into_iter().step_by(2).collect();

        assert_eq!(booted(uki, kernel).0, measured[&4]);
        assert_eq!(without_secure_boot().0, measured[&7]);
        assert_eq!(names, MEASURED_SECTIONS.map(digest_of_name));
        assert!(!measured.contains_key(&12));
    }

    #[test]
    fn a_byte_of_the_initramfs_changes_what_firmware_and_stub_measure_and_nothing_else() {
        let kernel = empty();
        let measure = |initramfs: &[u8]| {
            let stub = Pe::parse(empty()).unwrap();
            let uki = stub.with_sections(&[(".cmdline", b"quiet"), (".linux", &kernel), (".initrd", initramfs)]);
            Measurement::predict(&uki.unwrap()).unwrap()
        };

        let (good, changed) = (measure(b"worker"), measure(b"walker"));

        let differ = |pcr: u8| good.at_start[&pcr] != changed.at_start[&pcr];
        assert_eq!([4, 7, 11, 12].map(differ), [true, false, true, false]);
        assert_ne!(good.capped[&11], good.at_start[&11]);
        assert_eq!(good.capped[&4], good.at_start[&4]);
    }
}
