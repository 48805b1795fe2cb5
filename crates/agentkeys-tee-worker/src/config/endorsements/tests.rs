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

fn collateral_text() -> String {
    let parts = PARTS_OF_COLLATERAL.map(|part| format!("{part:?}: \"\""));
    format!("{{{}}}", parts.join(", "))
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
fn collateral_is_shown_as_it_is() {
    let folder = Folder::new();
    let collateral = Some(folder.write("collateral.json", &collateral_text()));

    let read = EndorsementFiles { collateral, ..EndorsementFiles::default() }.read().unwrap();

    assert_eq!(read.collateral, Some(collateral_text()));
}

#[test]
fn a_file_that_is_something_else_is_refused_by_setting_and_name() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing");
    let key = folder.write("key.pem", &CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"));
    let many = folder.write("many.pem", &CERTIFICATE.repeat(5));
    let cut = folder.write("cut.pem", &CERTIFICATE[..40]);
    let part = folder.write("part.json", &collateral_text().replace("root_ca_crl", "other"));
    let long =
        folder.write("long.json", &collateral_text().replace('{', &format!("{{{}", " ".repeat(LONGEST_COLLATERAL))));
    let chain = |file: &PathBuf| EndorsementFiles { vcek_chain: vec![file.clone()], ..EndorsementFiles::default() };
    let quote = |file: &PathBuf| EndorsementFiles { collateral: Some(file.clone()), ..EndorsementFiles::default() };
    let table = [
        (chain(&missing), VCEK_CHAIN, "missing could not be read"),
        (chain(&key), VCEK_CHAIN, "key.pem has no certificate"),
        (chain(&cut), VCEK_CHAIN, "cut.pem has no certificate"),
        (chain(&many), VCEK_CHAIN, "5 certificates"),
        (quote(&missing), COLLATERAL, "missing could not be read"),
        (quote(&key), COLLATERAL, "key.pem is not an object in JSON"),
        (quote(&part), COLLATERAL, "part.json has no `root_ca_crl`"),
        (quote(&long), COLLATERAL, "long.json is longer"),
    ];

    for (files, setting, reason) in table {
        let refused = files.read().unwrap_err().to_string();

        assert!(refused.starts_with(setting) && refused.contains(reason), "{refused}");
    }
}

#[test]
fn what_another_platform_shows_is_refused() {
    let files = EndorsementFiles { collateral: Some("collateral.json".into()), ..EndorsementFiles::default() };

    assert!(files.check(AttesterKind::Tdx).is_ok());
    for attester in [AttesterKind::Tpm2, AttesterKind::SevSnp] {
        assert!(files.check(attester).unwrap_err().to_string().starts_with(COLLATERAL), "{attester:?}");
    }
}
