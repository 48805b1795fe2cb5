use std::thread::{self, JoinHandle};

use rustix::fs::{CWD, FileType, Mode};

use super::*;

mod verified;

const REPORT_DATA: ReportData<'_> = ReportData {
    nonce: &[1; 32],
    tls_spki_sha256: &[2; 32],
    exporter: &[3; 32],
    identity_pub: &[4; 33],
    log_vkey: "log",
    log_checkpoint: "checkpoint",
    boot_counter: 5,
    signs_any_message: false,
};

/// A folder for a report as the kernel has it.
struct Kernel {
    folder: tempfile::TempDir,
    asked: JoinHandle<Vec<u8>>,
}

impl Kernel {
    /// One whose generation goes from 4 to `after` once it was asked.
    fn new(provider: &str, after: &'static str, auxiliary: Option<&[u8]>) -> Self {
        Self::answering(provider, after, auxiliary, b"a report")
    }

    fn answering(
        provider: &str,
        after: &'static str,
        auxiliary: Option<&[u8]>,
        report: impl AsRef<[u8]> + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let attribute = |name: &str| folder.path().join(name);
        fs::write(attribute("provider"), format!("{provider}\n")).unwrap();
        fs::write(attribute("generation"), "4\n").unwrap();
        if let Some(auxiliary) = auxiliary {
            fs::write(attribute("auxblob"), auxiliary).unwrap();
        }
        // Pipes, so that one thing happens after the other.
        for pipe in ["inblob", "outblob"] {
            rustix::fs::mknodat(CWD, attribute(pipe), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let (question, generation, answer) = (attribute("inblob"), attribute("generation"), attribute("outblob"));
        let asked = thread::spawn(move || {
            let asked = fs::read(question).unwrap();
            fs::write(generation, after).unwrap();
            fs::write(answer, report).unwrap();
            asked
        });
        Self { folder, asked }
    }

    fn read(&self, tsm: &ConfigfsTsm) -> io::Result<Report> {
        tsm.read(self.folder.path(), &REPORT_DATA.sha512())
    }
}

#[test]
fn a_report_is_asked_for_with_all_that_is_bound() {
    let kernel = Kernel::new("sev_guest", "5\n", None);

    let read = kernel.read(&ConfigfsTsm::sev_snp(kernel.folder.path())).unwrap();

    assert_eq!((read.report.as_slice(), read.auxiliary.as_slice()), (&b"a report"[..], &b""[..]));
    assert_eq!(kernel.asked.join().unwrap(), REPORT_DATA.sha512());
}

#[test]
fn a_report_that_somebody_else_wrote_into_is_refused() {
    let kernel = Kernel::new("tdx_guest", "6\n", None);

    let read = kernel.read(&ConfigfsTsm::tdx(kernel.folder.path(), Path::new("missing")));

    assert!(read.is_err_and(|error| error.to_string().contains("somebody else")));
}

#[test]
fn a_report_of_another_technology_is_refused() {
    let kernel = Kernel::new("tdx_guest", "5\n", None);

    let read = kernel.read(&ConfigfsTsm::sev_snp(kernel.folder.path()));

    assert!(read.is_err_and(|error| error.to_string().contains("`tdx_guest`")));
}

#[test]
fn where_the_kernel_has_no_reports_there_is_no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let tsm = ConfigfsTsm::tdx(&folder.path().join("missing"), &folder.path().join("missing"));

    assert_eq!(tsm.vouch(&REPORT_DATA).unwrap_err(), AttestError::Unavailable);
}

/// A table of ARK, ASK and VCEK, as a host puts it beside a report.
fn table() -> Vec<u8> {
    let entry = |guid: &str, offset: u32, length: u32| {
        let guid = hex::decode(guid.replace('-', "")).unwrap();
        [&guid[..], &offset.to_le_bytes(), &length.to_le_bytes()].concat()
    };
    let table = [
        entry("c0b406a4-a803-4952-9743-3fb6014cd0ae", 120, 3),
        entry("4ab7b379-bbac-4fe4-a02f-05aef327c782", 123, 3),
        entry("63da758d-e664-4564-adc5-f4b93be8accd", 126, 4),
        entry("00000000-0000-0000-0000-000000000001", 126, 4),
        vec![0; 24],
        b"ARKASKVCEK".to_vec(),
    ];
    table.concat()
}

#[test]
fn certificates_come_out_of_the_hosts_table_with_the_chips_first() {
    assert_eq!(snp_certificates(&table()), [&b"VCEK"[..], b"ASK", b"ARK"]);
}

#[test]
fn what_is_configured_vouches_where_the_host_has_put_nothing() {
    let own = Endorsements { chain: vec!["own".to_owned()], ..Endorsements::default() };
    let tsm = ConfigfsTsm::sev_snp(Path::new("/nowhere")).endorsed(own.clone());

    assert_eq!(tsm.endorsements(b""), own);
    let hosts = ["VCEK", "ASK", "ARK"].map(|name| BASE64_STANDARD.encode(name)).to_vec();
    assert_eq!(tsm.endorsements(&table()), Endorsements { chain: hosts, ..own });
}

#[test]
fn a_table_that_points_outside_of_itself_has_no_certificates() {
    let mut table = [0_u8; 48];
    table[..16].copy_from_slice(&hex::decode("63da758de6644564adc5f4b93be8accd").unwrap());
    table[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    table[20..24].copy_from_slice(&u32::MAX.to_le_bytes());

    assert!(snp_certificates(&table).is_empty());
    assert!(snp_certificates(b"short").is_empty());
}
