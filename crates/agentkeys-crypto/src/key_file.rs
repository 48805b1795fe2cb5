//! Private keys as files: a line that says what the key is for, and PKCS#8 in PEM (RFC 7468).

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{Algorithm, KeyError, Purpose, SigningKey, private_file};

/// Stands before the purpose, outside of the PEM block, where RFC 7468 section 2 leaves room for explanations.
const EXPLANATION: &str = "AgentKeys signing key; purpose: ";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// What fills a line of 64 characters.
const BYTES_PER_LINE: usize = 48;

/// Reads a private key.
///
/// # Errors
///
/// When the file is not private, does not say that its key is for `purpose`, or holds something else.
pub(crate) fn read(path: &Path, algorithm: Algorithm, purpose: Purpose) -> Result<SigningKey, KeyError> {
    let file = path.display().to_string();
    let bytes = private_file::read(path).map_err(|error| KeyError::File(file.clone(), error))?;
    let wanted = match algorithm {
        Algorithm::Es256 => "a P-256 private key in PKCS#8 PEM",
        Algorithm::Rs256 => "an RSA private key of at least 2048 bits in PKCS#8 PEM",
    };
    let content = || KeyError::Content { file: file.clone(), wanted };
    let text = std::str::from_utf8(&bytes).map_err(|_| content())?;
    let (explanation, block) = text.split_once(BEGIN).ok_or_else(content)?;
    check_purpose(explanation, purpose, &file)?;
    let der = decode(block).ok_or_else(content)?;
    SigningKey::from_pkcs8(&der, algorithm, purpose).map_err(|_| content())
}

/// Makes a private key where there is none; returns once it is on disk.
pub(crate) fn create_if_missing(path: &Path, algorithm: Algorithm, purpose: Purpose) -> Result<(), KeyError> {
    let failed = |error| KeyError::File(path.display().to_string(), error);
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let der = SigningKey::generate_pkcs8(algorithm)?;
    match private_file::create_new(path, encode(&der, purpose).as_bytes()) {
        // Somebody else was quicker, and theirs counts.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map_err(failed),
    }
}

fn check_purpose(explanation: &str, wanted: Purpose, file: &str) -> Result<(), KeyError> {
    let found = explanation.lines().find_map(|line| line.strip_prefix(EXPLANATION)).map(str::trim_end);
    match found {
        Some(found) if found == wanted.to_string() => Ok(()),
        Some(found) => Err(KeyError::OtherPurpose { file: file.to_owned(), found: found.to_owned(), wanted }),
        None => Err(KeyError::NoPurpose { file: file.to_owned(), wanted: format!("{EXPLANATION}{wanted}") }),
    }
}

/// Into memory of the right size from the start: what grows leaves copies behind.
fn encode(der: &[u8], purpose: Purpose) -> Zeroizing<String> {
    let length = 128 + der.len().div_ceil(BYTES_PER_LINE) * 65;
    let mut text = Zeroizing::new(String::with_capacity(length));
    for part in [EXPLANATION, &purpose.to_string(), "\n", BEGIN, "\n"] {
        text.push_str(part);
    }
    for line in der.chunks(BYTES_PER_LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// The bytes of a block, from behind its first line.
fn decode(block: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (base64, _) = block.split_once(END)?;
    let mut digits = Zeroizing::new(String::with_capacity(base64.len()));
    base64.split_ascii_whitespace().for_each(|line| digits.push_str(line));
    let mut der = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(digits.len())));
    STANDARD.decode_vec(digits.as_str(), &mut der).ok()?;
    Some(der)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn write(path: &Path, text: &str) {
        private_file::remove(path).unwrap();
        private_file::create_new(path, text.as_bytes()).unwrap();
    }

    #[test]
    fn a_key_of_either_algorithm_is_read_as_it_was_made() {
        let folder = folder();

        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let path = folder.path().join(algorithm.as_str());
            create_if_missing(&path, algorithm, Purpose::Oidc).unwrap();
            let first = read(&path, algorithm, Purpose::Oidc).unwrap().public().kid.clone();
            create_if_missing(&path, algorithm, Purpose::Oidc).unwrap();

            assert_eq!(read(&path, algorithm, Purpose::Oidc).unwrap().public().kid, first);
        }
    }

    #[test]
    fn the_file_is_pem_whose_lines_are_those_of_the_specification() {
        let folder = folder();
        let path = folder.path().join("session.pem");
        create_if_missing(&path, Algorithm::Es256, Purpose::Session).unwrap();

        let text = fs::read_to_string(&path).unwrap();

        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["AgentKeys signing key; purpose: session", BEGIN]);
        assert_eq!(lines[2..].iter().map(|line| line.len()).collect::<Vec<_>>(), [64, 64, 56, END.len()]);
        assert!(text.len() <= 128 + 3 * 65);
    }

    #[test]
    fn a_file_without_a_purpose_or_with_another_one_is_refused_and_says_what_to_do() {
        let folder = folder();
        let path = folder.path().join("oidc.pem");
        create_if_missing(&path, Algorithm::Es256, Purpose::Session).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let refusal = || read(&path, Algorithm::Es256, Purpose::Oidc).unwrap_err().to_string();

        let swapped = refusal();
        assert!(swapped.contains("oidc.pem holds a key for `session`, not for `oidc`"), "{swapped}");
        write(&path, text.split_once('\n').unwrap().1);
        let plain = refusal();
        assert!(plain.contains("put `AgentKeys signing key; purpose: oidc` on a line before"), "{plain}");
        // Behind the block it says nothing.
        write(&path, &format!("{}AgentKeys signing key; purpose: oidc\n", text.split_once('\n').unwrap().1));
        assert_eq!(refusal(), plain);
    }

    #[test]
    fn what_is_no_key_of_the_algorithm_is_refused() {
        let folder = folder();
        let path = folder.path().join("oidc.pem");
        create_if_missing(&path, Algorithm::Es256, Purpose::Oidc).unwrap();
        let text = fs::read_to_string(&path).unwrap();

        assert!(matches!(read(&path, Algorithm::Rs256, Purpose::Oidc), Err(KeyError::Content { .. })));
        for text in
            [text.replace(END, ""), text.replace("MIGH", "MIGI"), text.replace("PRIVATE", "PUBLIC"), String::new()]
        {
            write(&path, &text);
            let refused = read(&path, Algorithm::Es256, Purpose::Oidc);
            assert!(matches!(refused, Err(KeyError::Content { .. })), "{refused:?}\n{text}");
        }
    }
}
