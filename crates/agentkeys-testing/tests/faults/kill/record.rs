use std::{collections::BTreeSet, fs, path::Path};

use agentkeys_signer::signing_log;
use agentkeys_store::{AuditStore, BrokenChain, RecordedEntry, SqliteStore, verify_chain};
use serde_json::Value;

use super::ledger::Fact;
use crate::bench::Bench;

/// What broker and signer have recorded.
pub(super) struct Record {
    entries: Vec<RecordedEntry>,
    /// The messages by their Keccak-256.
    signings: Vec<String>,
}

/// What is wrong with a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Broken(BrokenChain),
    Lost(Vec<Fact>),
    Twice(String),
}

impl Record {
    /// Reads both records, and checks the signer's chain.
    pub(super) async fn read(bench: &Bench) -> Self {
        let store = SqliteStore::open(&bench.broker_state().join("agentkeys.db")).unwrap();
        let entries = store.entries_after(0, u32::MAX).await.unwrap();
        Self { entries, signings: signings(&bench.parts_state().join("signing.log")) }
    }

    /// Looks for what was acknowledged, for a broken chain and for what was done twice.
    pub(super) fn check(&self, acknowledged: &BTreeSet<Fact>) -> Result<(), Fault> {
        verify_chain([0; 32], &self.entries).map_err(Fault::Broken)?;
        let recorded = self.facts();
        let lost: Vec<Fact> = acknowledged.difference(&recorded).cloned().collect();
        if !lost.is_empty() {
            return Err(Fault::Lost(lost));
        }
        // Every code goes to an address of its own, so that no address signs in twice.
        let mut seen = BTreeSet::new();
        for entry in self.entries.iter().filter(|entry| matches!(entry.action.as_str(), "sign_in" | "mint_oidc_jwt")) {
            if !seen.insert(&entry.subject) {
                return Err(Fault::Twice(entry.subject.clone()));
            }
        }
        Ok(())
    }

    fn facts(&self) -> BTreeSet<Fact> {
        let signed = self.signings.iter().map(|message| Fact::Signed { message: message.clone() });
        self.entries.iter().filter_map(fact).chain(signed).collect()
    }
}

fn fact(entry: &RecordedEntry) -> Option<Fact> {
    let after = |mark: &str| entry.subject.split(mark).nth(1).unwrap_or_default().to_owned();
    let account = || entry.account.map(|account| account.to_string()).unwrap_or_default();
    let session = || entry.session.map(|session| session.to_string()).unwrap_or_default();
    if entry.outcome != "done" {
        return None;
    }
    Some(match entry.action.as_str() {
        "link_wallet" => Fact::LinkedWallet { account: account(), address: after("wallet:") },
        "mint_oidc_jwt" => Fact::Minted { jti: after("jti:") },
        "prove_wallet" => Fact::ProvedWallet { session: session(), address: after("wallet:") },
        "revoke_session" => Fact::RevokedSession { session: after("session:") },
        "sign_in" => Fact::SignedIn { session: session() },
        "unlink_wallet" => Fact::UnlinkedWallet { account: account(), address: after("wallet:") },
        _ => return None,
    })
}

/// The messages in a signing log that is in order.
fn signings(path: &Path) -> Vec<String> {
    let verified = signing_log::verify(path).unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert_eq!((verified.torn, verified.entries), (0, text.lines().count() as u64));
    let message = |line| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    text.lines().map(message).collect()
}

mod tests {
    use agentkeys_api::SigningOutcome;
    use agentkeys_crypto::keccak256;
    use agentkeys_signer::{self as signer, SigningLog, SigningRecord};
    use agentkeys_store::{Action, Entry, Outcome};
    use agentkeys_types::{EvmAddress, OmniAccount, SessionId, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// A record of three mints and three signings as the servers write it, and what they acknowledged.
    async fn three_of_each() -> (Record, BTreeSet<Fact>) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("agentkeys.db")).unwrap();
        let log = SigningLog::open(&folder.path().join("signing.log")).unwrap();
        let mut acknowledged = BTreeSet::new();
        for number in 0..3_u8 {
            let jti = hex::encode([number; 16]);
            let entry = Entry {
                at: NOW,
                action: Action::MintOidcJwt,
                outcome: Outcome::Done,
                account: Some(OmniAccount::from_bytes([number; 32])),
                session: Some(SessionId::from_bytes([number; 16])),
                subject: format!("wallet:0x00 aud:sts.amazonaws.com jti:{jti}"),
                source: None,
            };
            store.append(entry, vec![]).await.unwrap();
            acknowledged.insert(Fact::Minted { jti });
            let message = keccak256(&[number]);
            let signing = signer::Entry {
                time: NOW,
                account: OmniAccount::from_bytes([number; 32]),
                session: SessionId::from_bytes([number; 16]),
                event: signer::Event::Signing {
                    address: EvmAddress::from_bytes([number; 20]),
                    message,
                    outcome: SigningOutcome::Allowed,
                },
            };
            log.append(signing).await.unwrap();
            acknowledged.insert(Fact::Signed { message: hex::encode(message) });
        }
        let entries = store.entries_after(0, 10).await.unwrap();
        (Record { entries, signings: signings(&folder.path().join("signing.log")) }, acknowledged)
    }

    #[tokio::test]
    async fn a_record_with_everything_passes() {
        let (record, acknowledged) = three_of_each().await;

        assert_eq!(record.check(&acknowledged), Ok(()));
    }

    #[tokio::test]
    async fn an_acknowledged_entry_cut_off_at_the_end_is_found() {
        let (mut record, acknowledged) = three_of_each().await;

        record.entries.pop();

        // The chain cannot tell: what remains is in order.
        assert_eq!(verify_chain([0; 32], &record.entries).map(|_| ()), Ok(()));
        let lost = Fact::Minted { jti: hex::encode([2; 16]) };
        assert_eq!(record.check(&acknowledged), Err(Fault::Lost(vec![lost])));
    }

    #[tokio::test]
    async fn an_acknowledged_entry_removed_from_the_middle_is_found() {
        let (mut record, acknowledged) = three_of_each().await;

        record.entries.remove(1);

        assert_eq!(record.check(&acknowledged), Err(Fault::Broken(BrokenChain(2))));
    }

    #[tokio::test]
    async fn an_acknowledged_signing_that_is_missing_is_found() {
        let (mut record, acknowledged) = three_of_each().await;

        let message = record.signings.pop().unwrap();

        assert_eq!(record.check(&acknowledged), Err(Fault::Lost(vec![Fact::Signed { message }])));
    }

    #[tokio::test]
    async fn an_entry_that_stands_there_twice_is_found() {
        let (mut record, acknowledged) = three_of_each().await;
        let mut again = record.entries[2].clone();
        let subject = again.subject.clone();

        again.sequence = 4;
        again.hash = again.link(&record.entries[2].hash);
        record.entries.push(again);

        assert_eq!(record.check(&acknowledged), Err(Fault::Twice(subject)));
    }
}
