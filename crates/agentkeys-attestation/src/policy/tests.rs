use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use proptest::prelude::*;

use super::*;
use crate::testing::Worker;

const TPM: &str = r#"
[[accept]]
backend = "tpm2"
release = "0.4.0"
bank = "sha256"
pcr = { 4 = ["A4"], 7 = ["A7"], 11 = ["A4"], 12 = ["00"] }
anchor = { ek_pub_sha256 = ["EE"] }
"#;
const SNP: &str = r#"
[[accept]]
backend = "sev-snp"
release = "0.4.0"
measurement = ["MM"]
min_tcb = { bootloader = 3, tee = 0, snp = 8, microcode = 115 }
"#;
const TDX: &str = r#"
[[accept]]
backend = "tdx"
release = "0.4.0"
mr_td = ["MM"]
rtmr = { 1 = ["MM"], 2 = ["MM"] }
"#;
const NITRO: &str = r#"
[[accept]]
backend = "nitro"
release = "0.4.0"
pcr = { 0 = ["MM"] }
anchor = { root = "aws-nitro-g1" }
"#;
const AZURE: &str = r#"
[[accept]]
backend = "azure-vtpm"
release = "0.4.0"
bank = "sha256"
pcr = { 4 = ["A4"], 11 = ["A4"], 12 = ["00"] }
tdx = { mr_td = ["MM"] }
"#;
const HEAD: &str = "version = 3\nmin_release = \"0.4.0\"\nrevoked = []\n";

/// A whole policy, its digests written out.
fn whole(text: &str) -> String {
    let digests = [("\"A4\"", 32, 4), ("\"A7\"", 32, 7), ("\"00\"", 32, 0), ("\"EE\"", 32, 14), ("\"MM\"", 48, 9)];
    digests.into_iter().fold(text.to_owned(), |text, (short, length, byte)| {
        text.replace(short, &format!("\"{}\"", hex::encode(vec![byte; length])))
    })
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(&whole(text))
}

#[test]
fn every_backend_is_read() {
    let policy = parse(&[HEAD, TPM, SNP, TDX, NITRO, AZURE].concat()).unwrap();

    assert_eq!(policy.accept.len(), 5);
    assert_eq!((policy.version, policy.reattest.as_secs()), (3, 600));
    assert!(!policy.allow_dev && !policy.allow_any_message);
}

#[test]
fn what_is_unknown_empty_or_open_is_refused_by_name() {
    let without =
        |text: &str, line: &str| text.lines().filter(|other| !other.starts_with(line)).collect::<Vec<_>>().join("\n");
    let cases = [
        (HEAD.to_owned(), "accept"),
        (format!("{HEAD}accept = []"), "accept"),
        (format!("{}{TPM}", HEAD.replace("[]", "[\"12\"]")), "revoked"),
        (format!("{HEAD}[freshness]\nreattest_seconds = 0\n{TPM}"), "freshness.reattest_seconds"),
        (format!("{HEAD}[log]\norigin = \"two words\"\n{TPM}"), "log.origin"),
        (format!("{HEAD}[identity]\npub = \"02\"\n{TPM}"), "identity.pub"),
        (format!("version = 3\nmin_release = \"0.4\"\nrevoked = []\n{TPM}"), "min_release"),
        (format!("{HEAD}{}", TPM.replace("tpm2", "tpm3")), "accept[0].backend"),
        (format!("{HEAD}{}", without(TPM, "backend")), "accept[0].backend"),
        (format!("{HEAD}{TPM}surprise = 1"), "accept[0]"),
        (format!("{HEAD}{}", TPM.replace("sha256\"\n", "sha1\"\n")), "accept[0].bank"),
        (format!("{HEAD}{}", TPM.replace(", 12 = [\"00\"]", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", TPM.replace(" 4 = [\"A4\"],", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", TPM.replace(" 11 = [\"A4\"],", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", AZURE.replace(" 4 = [\"A4\"],", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", AZURE.replace(" 11 = [\"A4\"],", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", AZURE.replace(", 12 = [\"00\"]", "")), "accept[0].pcr"),
        (format!("{HEAD}{}", TPM.replace("[\"A7\"]", "[]")), "accept[0].pcr.7"),
        (format!("{HEAD}{}", TPM.replace("\"A7\"", "\"A\"")), "accept[0].pcr.7"),
        (format!("{HEAD}{}", TPM.replace("7 =", "16 =")), "accept[0].pcr.16"),
        (format!("{HEAD}{}", TPM.replace("7 =", "23 =")), "accept[0].pcr.23"),
        (format!("{HEAD}{}", TPM.replace("7 =", "24 =")), "accept[0].pcr.24"),
        (format!("{HEAD}{}", TPM.replace("7 =", "07 =")), "accept[0].pcr.07"),
        (format!("{HEAD}{}", TPM.replace("ek_pub_sha256 = [\"EE\"]", "")), "accept[0].anchor"),
        (format!("{HEAD}{}", TPM.replace("[\"EE\"]", "[]")), "accept[0].anchor.ek_pub_sha256"),
        (format!("{HEAD}{}", TPM.replace("ek_pub_sha256 = [\"EE\"]", "ek_ca = \"none\"")), "accept[0].anchor.ek_ca"),
        (format!("{HEAD}{}", without(SNP, "release")), "accept[0].release"),
        (format!("{HEAD}{}", SNP.replace("[\"MM\"]", "[]")), "accept[0].measurement"),
        (format!("{HEAD}{}", without(SNP, "min_tcb")), "accept[0]"),
        (format!("{HEAD}{SNP}debug = true"), "accept[0].debug"),
        (format!("{HEAD}{SNP}chip_id = []"), "accept[0].chip_id"),
        (format!("{HEAD}{}", without(TDX, "rtmr")), "accept[0].rtmr"),
        (format!("{HEAD}{TDX}tcb_status = []"), "accept[0].tcb_status"),
        (format!("{HEAD}{TDX}tcb_status = [\"Revoked\"]"), "accept[0]"),
        (format!("{HEAD}{}", TDX.replace("2 = ", "4 = ")), "accept[0].rtmr.4"),
        (format!("{HEAD}{}", NITRO.replace("0 = ", "1 = ")), "accept[0].pcr"),
        (format!("{HEAD}{}", NITRO.replace("aws-nitro-g1", "aws-nitro-g2")), "accept[0].anchor"),
        (format!("{HEAD}{}", without(AZURE, "tdx")), "accept[0]"),
        (
            format!(
                "{HEAD}{AZURE}sev_snp = {{ measurement = [\"MM\"], min_tcb = {{ bootloader = 0, tee = 0, snp = 0, microcode = 0 }} }}"
            ),
            "accept[0]",
        ),
    ];

    for (text, field) in cases {
        let Err(PolicyError::Invalid { field: named, .. }) = parse(&text) else { panic!("{text} is taken") };

        assert_eq!(named, field, "{text}");
    }
}

#[test]
fn that_nothing_is_revoked_must_be_said_where_no_list_comes_with_the_evidence() {
    const SNP_IN_AZURE: &str =
        "sev_snp = { measurement = [\"MM\"], min_tcb = { bootloader = 0, tee = 0, snp = 0, microcode = 0 } }";
    let azure_snp = AZURE.replace("tdx = { mr_td = [\"MM\"] }", SNP_IN_AZURE);
    let silent = HEAD.replace("revoked = []\n", "");

    for entry in [TPM, SNP, &azure_snp] {
        let refused = parse(&format!("{silent}{TDX}{entry}")).unwrap_err();

        assert!(refused.to_string().contains("`revoked` is missing"), "{refused}");
        assert!(parse(&format!("{HEAD}{TDX}{entry}")).unwrap().revoked.is_empty(), "{entry}");
    }
    assert!(parse(&[&silent, TDX, NITRO, AZURE].concat()).is_ok());
}

#[test]
fn a_policy_cannot_leave_out_the_register_that_only_the_firmware_extends() {
    let refused = parse(&format!("{HEAD}{}", TPM.replace(" 4 = [\"A4\"],", ""))).unwrap_err();

    assert!(refused.to_string().contains("must pin register 4, which the firmware alone extends"), "{refused}");
}

#[test]
fn an_unknown_setting_is_named() {
    let refused = parse(&format!("witnesses = 1\n{HEAD}{TPM}")).unwrap_err();

    assert!(refused.to_string().contains("witnesses"), "{refused}");
}

#[test]
fn a_policy_may_accept_development_signers_alone_and_only_then_debugging() {
    assert!(parse(&format!("{HEAD}allow_dev = true")).unwrap().accept.is_empty());
    assert!(parse(&format!("{HEAD}allow_dev = true\n{SNP}debug = true")).is_ok());
}

#[test]
fn only_what_the_release_key_signed_is_taken() {
    let pair = || {
        let pkcs8 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
        ReleaseKeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
    };
    let (ours, stranger) = (pair(), pair());
    let key = ours.public().unwrap();
    let text = Worker::new().policy_text();
    let signature = ours.sign(text.as_bytes()).unwrap();
    let by_stranger = stranger.sign(text.as_bytes()).unwrap();
    let changed = text.replace("version = 7", "version = 8");

    assert!(Policy::verify_signed(text.as_bytes(), &format!("{signature}\n"), &key).is_ok());
    for (text, signature) in [(&changed, &signature), (&text, &by_stranger), (&text, &String::new()), (&text, &text)] {
        assert_eq!(Policy::verify_signed(text.as_bytes(), signature, &key), Err(PolicyError::Signature));
    }
}

#[test]
fn a_release_key_is_read_from_hex_and_from_pem() {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n";
    const HEX: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

    let key = ReleaseKey::parse(HEX).unwrap();

    assert_eq!(ReleaseKey::parse(PEM), Ok(key));
    for wrong in ["", "04", &HEX.replace("046b", "046c"), &PEM.replace("PUBLIC", "PRIVATE")] {
        assert_eq!(ReleaseKey::parse(wrong), Err(PolicyError::Key), "{wrong}");
    }
}

#[test]
fn releases_are_compared_as_numbers() {
    let release = |text: &str| text.parse::<Release>();

    assert!(release("0.10.0").unwrap() > release("0.9.12").unwrap());
    for wrong in ["", "1.2", "1.2.3.4", "1.2.x", "01.2.3", "1..3", "1.2.3-rc", "+1.2.3", "1.2.99999999999"] {
        assert!(release(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", at in 0..2000_usize, line in "[a-z_]{1,8} ?= ?(\"[0-9a-f]{0,8}\"|[0-9]{1,3}|\\[\\]|\\{\\})") {
        let _ = Policy::parse(&text);
        let mut changed = whole(&[HEAD, TPM, SNP, TDX, NITRO, AZURE].concat());
        let at = at.min(changed.len());
        changed.insert_str(at, &format!("\n{line}\n"));
        let _ = Policy::parse(&changed);
        let _ = ReleaseKey::parse(&text);
    }
}
