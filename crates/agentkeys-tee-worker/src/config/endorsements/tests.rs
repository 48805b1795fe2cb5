use super::*;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

#[test]
fn certificates_are_shown_in_the_order_of_their_files() {
    let folder = Folder::new();
    let two = folder.write("two.pem", &format!("A comment\n{CERTIFICATE}{CERTIFICATE}"));
    let one = folder.write("one.pem", &CERTIFICATE.replace("MAA=", "MAE="));

    let read = EndorsementFiles { ek_chain: vec![two, one], ..EndorsementFiles::default() }.read().unwrap();

    let chain = ["MAA=", "MAA=", "MAE="].map(str::to_owned).to_vec();
    assert_eq!(read, Endorsements { chain, ..Endorsements::default() });
}

#[test]
fn a_file_that_is_something_else_is_refused_by_setting_and_name() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing");
    let key = folder.write("key.pem", &CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"));
    let many = folder.write("many.pem", &CERTIFICATE.repeat(5));
    let cut = folder.write("cut.pem", &CERTIFICATE[..40]);
    let chain = |file: &PathBuf| EndorsementFiles { vcek_chain: vec![file.clone()], ..EndorsementFiles::default() };
    let table = [
        (chain(&missing), VCEK_CHAIN, "missing could not be read"),
        (chain(&key), VCEK_CHAIN, "key.pem has no certificate"),
        (chain(&cut), VCEK_CHAIN, "cut.pem has no certificate"),
        (chain(&many), VCEK_CHAIN, "5 certificates"),
    ];

    for (files, setting, reason) in table {
        let refused = files.read().unwrap_err().to_string();

        assert!(refused.starts_with(setting) && refused.contains(reason), "{refused}");
    }
}

#[test]
fn what_another_platform_shows_is_refused() {
    let files = EndorsementFiles { vcek_chain: vec!["vcek.pem".into()], ..EndorsementFiles::default() };

    assert!(files.check(AttesterKind::SevSnp).is_ok());
    for attester in [AttesterKind::Tpm2, AttesterKind::Tdx] {
        assert!(files.check(attester).unwrap_err().to_string().starts_with(VCEK_CHAIN), "{attester:?}");
    }
}
