//! There is no way to give the worker a master secret but the shares of its own.

use std::{fs, process::Command};

use crate::{WORKER, run};

/// The words by which the development signer gets its secret.
const WORDS: [&str; 3] = ["DEV_KEY_SERVICE", "dev_key_service", "DevKeyService"];

#[test]
fn the_binary_knows_no_variable_for_a_master_secret() {
    let binary = fs::read(WORKER).unwrap();

    for word in WORDS {
        assert!(!binary.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    // The same search finds what is there.
    assert!(binary.windows(13).any(|window| window == b"AGENTKEYS_TPM"));
}

#[test]
fn the_development_signer_is_no_part_of_it() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();

    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("agentkeys-signer"), "{tree}");
    assert!(!tree.contains("agentkeys-mock-server"), "{tree}");
}

#[test]
fn no_flag_takes_a_secret() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();

    for word in ["secret <", "seed", "mnemonic", "private"] {
        assert!(!help.contains(word), "{word}: {help}");
    }
}
