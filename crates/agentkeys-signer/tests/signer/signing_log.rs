//! What stands in the log before a signature leaves.

use std::{fs, io::Write, os::unix::fs::PermissionsExt};

use agentkeys_api::SigningOutcome;
use agentkeys_crypto::keccak256;
use agentkeys_signer::{Entry, Event, LogError, SigningLog, SigningRecord, signing_log::verify};
use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};
use serde_json::{Value, json};

use crate::bench::{ADA, Bench};

fn entry(number: u8) -> Entry {
    Entry {
        time: Timestamp::from_unix(i64::from(number)),
        account: OmniAccount::from_bytes([number; 32]),
        session: SessionId::from_bytes([number; 16]),
        event: Event::Signing {
            address: EvmAddress::from_bytes([number; 20]),
            message: [number; 32],
            outcome: SigningOutcome::Allowed,
        },
    }
}

#[tokio::test]
async fn every_signing_is_on_disk_when_the_signature_arrives_and_nothing_secret_with_it() {
    let bench = Bench::start().await;
    let claims = bench.claims(ADA);
    let token = bench.broker.issue(&claims);

    bench.derive(&token, ADA).await.unwrap();
    let signature = bench.sign(&token, ADA, b"attack at dawn").await.unwrap()["signature"].to_string();

    let log = fs::read_to_string(bench.log()).unwrap();
    let mut line: Value = serde_json::from_str(&log).unwrap();
    line.as_object_mut().unwrap().remove("hash");
    assert_eq!(
        line,
        json!({
            "time": "2027-01-15T08:00:00Z",
            "account": ADA,
            "address": "0x74144a5f826537a8610B136552c6fFEc9D37A6dE",
            "message": hex::encode(keccak256(b"attack at dawn")),
            "session": claims.sid,
            "outcome": "allowed",
        })
    );
    for secret in [&token[4..], &signature[1..40], "attack", &hex::encode("attack")] {
        assert!(!log.contains(secret));
    }
}

#[tokio::test]
async fn file_and_folder_are_private_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer/signing.log");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    drop(SigningLog::open(&path).unwrap());
    let modes = (mode(&path), mode(path.parent().unwrap()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    assert_eq!(modes, (0o600, 0o700));
    assert!(matches!(SigningLog::open(&path), Err(LogError::File(_))));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.log");
    for round in 0..4 {
        let log = SigningLog::open(&path).unwrap();
        let acknowledged = futures(&log, 16).await;
        assert_eq!(acknowledged, 16);
        drop(log);
        assert_eq!(verify(&path).unwrap().entries, 16 * (round + 1));
        // A kill in the middle of a write leaves any part of a line.
        let whole = fs::read(&path).unwrap();
        let line = whole.split_inclusive(|byte| *byte == b'\n').next().unwrap();
        let part = &line[..=usize::try_from(round).unwrap() * 100];
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(part).unwrap();
        assert_eq!(verify(&path).unwrap().torn, part.len() as u64);
    }
}

async fn futures(log: &SigningLog, count: u8) -> usize {
    let mut done = 0;
    for number in 0..count / 2 {
        let (one, two) = tokio::join!(log.append(entry(number)), log.append(entry(number)));
        done += usize::from(one.is_ok()) + usize::from(two.is_ok());
    }
    done
}

#[tokio::test]
async fn a_log_that_was_changed_stops_the_signer_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.log");
    let log = SigningLog::open(&path).unwrap();
    futures(&log, 4).await;
    drop(log);

    let changed = fs::read_to_string(&path).unwrap().replacen("allowed", "refused", 1);
    fs::write(&path, changed).unwrap();

    assert!(matches!(SigningLog::open(&path), Err(LogError::Broken { line: 1 })));
}

#[tokio::test]
async fn a_log_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.log");
    let _first = SigningLog::open(&path).unwrap();

    assert!(matches!(SigningLog::open(&path), Err(LogError::InUse)));
}
