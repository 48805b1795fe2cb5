//! The record of whose secret a machine has, and who can write it.

use agentkeys_testing::Swtpm;
use agentkeys_tpm::{NvRecord, TpmError, identity_record};

use super::{Releaser, interposer, open};

const OWN: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn record_of(releaser: &Releaser) -> NvRecord {
    identity_record(&releaser.key())
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_record_is_written_once_and_stays_over_power_cycles() {
    let (mut swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let (approval, record) = (releaser.approve(&mut tpm, 2), record_of(&releaser));

    let before = tpm.record(record).read().unwrap();
    tpm.record(record).write(&OWN, &approval).unwrap();
    drop(tpm);
    swtpm.power_cycle();
    let mut tpm = open(&swtpm);
    let again = tpm.record(record).write(&OTHER, &approval).unwrap_err();

    assert_eq!(before, None);
    let TpmError::Refused { cause, .. } = &again else { panic!("{again:?}") };
    assert_eq!(cause.kind(), 0x148, "it is locked: {again}");
    assert_eq!(tpm.record(record).read().unwrap(), Some(OWN));
    tpm.record(record).lock(&approval).unwrap();
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn another_system_cannot_write_a_record_that_it_has_deleted_and_made_anew() {
    let (swtpm, releaser, mallory) = (Swtpm::start(), Releaser::new(), Releaser::new());
    let mut tpm = open(&swtpm);
    let (approval, record) = (releaser.approve(&mut tpm, 0), record_of(&releaser));
    tpm.record(record).write(&OWN, &approval).unwrap();
    drop(tpm);
    interposer::delete_index(&swtpm, record.index());
    let mut tpm = open(&swtpm);
    tpm.extend_pcr(4, &[1; 32]).unwrap();

    let by_approval = tpm.record(record).write(&OTHER, &approval).unwrap_err();
    let by_another_key = mallory.approve(&mut tpm, 0);
    let by_another_key = tpm.record(record).write(&OTHER, &by_another_key).unwrap_err();
    drop(tpm);
    let owner = 0x4000_0001;
    let by_password =
        [record.index(), owner].map(|entity| interposer::write_index(&swtpm, entity, record.index(), &OTHER));

    assert!(matches!(by_approval, TpmError::Registers), "{by_approval:?}");
    let TpmError::Refused { cause, .. } = &by_another_key else { panic!("{by_another_key:?}") };
    assert_eq!(cause.kind(), 0x09D, "the policy is not fulfilled: {by_another_key}");
    // Another way to write it than by its policy was not defined.
    assert!(by_password.iter().all(|code| [0x149, 0x12F].contains(code)), "{by_password:#x?}");
    assert_eq!(open(&swtpm).record(record).read().unwrap(), None);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn an_index_with_another_policy_is_no_record() {
    let (swtpm, releaser, mallory) = (Swtpm::start(), Releaser::new(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = mallory.approve(&mut tpm, 0);
    tpm.record(record_of(&mallory)).write(&OTHER, &approval).unwrap();

    let refused = tpm.record(record_of(&releaser)).read().unwrap_err();

    assert!(matches!(refused, TpmError::ForeignIndex(0x0180_A6B2)), "{refused:?}");
}
