//! swtpm: a TPM 2.0 in software, for the client of TPMs.

mod attesting;
pub(crate) mod interposer;
mod record;

use std::{sync::mpsc, thread};

use agentkeys_testing::Swtpm;
use agentkeys_tpm::{
    Approval, CAPPED_PCR, Credential, Name, NvCounter, PcrSelection, ReleaseKey, SEALED_PCRS, SealPolicy, SealedSecret,
    Tpm, TpmError, capped,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use self::interposer::Interposer;

const SECRET: &[u8; 32] = b"the secret of secrets, 32 bytes.";

/// Who makes releases.
struct Releaser(EcdsaKeyPair);

impl Releaser {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn key(&self) -> ReleaseKey {
        ReleaseKey::from_sec1(self.0.public_key().as_ref()).unwrap()
    }

    /// Approves of what has been started now.
    fn approve(&self, tpm: &mut Tpm, epoch: u32) -> Approval {
        Approval::sign(tpm.pcrs(sealed_registers()).unwrap(), "0.1.0", epoch, &self.0).unwrap()
    }

    /// What it takes to unseal from `epoch` on, as the counter stands.
    fn policy(&self, epoch: u32, counter_value: u64) -> SealPolicy {
        SealPolicy { release_key: self.key(), epoch, counter: NvCounter::MIN_RELEASE, counter_value }
    }

    /// Seals what an approval of the same epoch unseals.
    fn seal(&self, tpm: &mut Tpm, epoch: u32) -> SealedSecret {
        let mut counter = tpm.counter(NvCounter::MIN_RELEASE);
        let value = counter.read().unwrap().unwrap_or_else(|| counter.increment().unwrap());
        tpm.seal(SECRET, &self.policy(epoch, value)).unwrap()
    }
}

fn sealed_registers() -> PcrSelection {
    PcrSelection::of(SEALED_PCRS).unwrap()
}

fn open(swtpm: &Swtpm) -> Tpm {
    Tpm::open(&swtpm.path()).unwrap()
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_sealed_secret_outlives_a_power_cycle() {
    let (mut swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let kept = releaser.seal(&mut tpm, 0).to_bytes();

    drop(tpm);
    swtpm.power_cycle();
    let unsealed = open(&swtpm).unseal(&SealedSecret::parse(&kept).unwrap(), &approval).unwrap();

    assert_eq!(*unsealed, SECRET);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn another_tpm_refuses_to_unseal() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);
    let other = swtpm.other();

    let refused = open(&other).unseal(&sealed, &approval);

    assert!(matches!(refused, Err(TpmError::SealedElsewhere)), "{refused:?}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_sealed_object_that_was_changed_is_refused() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let mut kept = releaser.seal(&mut tpm, 0).to_bytes();
    // Inside of the private part, behind version, epoch, counter, its value, the parent's name and a size.
    kept[1 + 4 + 4 + 8 + Name::LENGTH + 2 + 40] ^= 1;

    let refused = tpm.unseal(&SealedSecret::parse(&kept).unwrap(), &approval);

    assert!(matches!(refused, Err(TpmError::SealedElsewhere)), "{refused:?}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_machine_that_has_started_something_else_refuses_to_unseal() {
    for register in SEALED_PCRS {
        let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
        let mut tpm = open(&swtpm);
        let approval = releaser.approve(&mut tpm, 0);
        let sealed = releaser.seal(&mut tpm, 0);

        tpm.extend_pcr(register, &[1; 32]).unwrap();
        let refused = tpm.unseal(&sealed, &approval);

        assert!(matches!(refused, Err(TpmError::Registers)), "{register}: {refused:?}");
    }
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn an_approval_by_another_key_unseals_nothing() {
    let (swtpm, releaser, mallory) = (Swtpm::start(), Releaser::new(), Releaser::new());
    let mut tpm = open(&swtpm);
    let sealed = releaser.seal(&mut tpm, 0);
    let approval = mallory.approve(&mut tpm, 0);

    let refused = tpm.unseal(&sealed, &approval).unwrap_err();

    let TpmError::Refused { cause, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(cause.kind(), 0x09D, "the policy is not fulfilled: {refused}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_forged_approval_unseals_nothing() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let sealed = releaser.seal(&mut tpm, 0);
    let mut document = serde_json::to_value(releaser.approve(&mut tpm, 0)).unwrap();
    tpm.extend_pcr(CAPPED_PCR, &[1; 32]).unwrap();
    let now = tpm.pcrs(sealed_registers()).unwrap();
    document["pcrs"]["11"] = hex::encode(now[&CAPPED_PCR]).into();

    let refused = tpm.unseal(&sealed, &serde_json::from_value(document).unwrap()).unwrap_err();

    let TpmError::Refused { cause, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(cause.kind(), 0x09B, "the signature is not valid: {refused}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn an_older_release_unseals_nothing_after_the_minimum_was_raised() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let (older, newer) = (releaser.approve(&mut tpm, 0), releaser.approve(&mut tpm, 1));
    let first = releaser.seal(&mut tpm, 0);

    let secret = tpm.unseal(&first, &newer).unwrap();
    let second = tpm.seal(&secret, &releaser.policy(1, first.counter_value() + 1)).unwrap();
    let raised = tpm.counter(NvCounter::MIN_RELEASE).increment().unwrap();

    assert_eq!(raised, second.counter_value());
    assert_eq!(*tpm.unseal(&second, &newer).unwrap(), SECRET);
    let without = tpm.unseal(&second, &older);
    assert!(matches!(without, Err(TpmError::OldRelease)), "{without:?}");
    for approval in [&older, &newer] {
        let former = tpm.unseal(&first, approval);
        assert!(matches!(former, Err(TpmError::CounterMoved)), "{former:?}");
    }
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn what_the_disk_says_about_epoch_and_counter_changes_nothing() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let older = releaser.approve(&mut tpm, 0);
    let mut kept = releaser.seal(&mut tpm, 1).to_bytes();
    kept[1..5].copy_from_slice(&0_u32.to_be_bytes());

    let refused = tpm.unseal(&SealedSecret::parse(&kept).unwrap(), &older).unwrap_err();

    let TpmError::Refused { cause, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(cause.kind(), 0x09D, "the policy is not fulfilled: {refused}");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn nothing_unseals_again_after_the_cap_until_the_machine_starts_anew() {
    let (mut swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);
    let before = tpm.pcrs(sealed_registers()).unwrap();

    tpm.unseal(&sealed, &approval).unwrap();
    tpm.cap().unwrap();
    let refused = tpm.unseal(&sealed, &approval);
    let after = tpm.pcrs(sealed_registers()).unwrap();
    drop(tpm);
    swtpm.power_cycle();
    let unsealed = open(&swtpm).unseal(&sealed, &approval).unwrap();

    assert!(matches!(refused, Err(TpmError::Registers)), "{refused:?}");
    assert_eq!(after[&CAPPED_PCR], capped(&before[&CAPPED_PCR]));
    assert_eq!(*unsealed, SECRET);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_counter_only_goes_up_without_power_and_when_it_is_made_again() {
    let mut swtpm = Swtpm::start();
    let mut tpm = open(&swtpm);

    let before = (tpm.counter(NvCounter::LOG).exists().unwrap(), tpm.counter(NvCounter::LOG).read().unwrap());
    let first = tpm.counter(NvCounter::LOG).increment().unwrap();
    let second = tpm.counter(NvCounter::LOG).increment().unwrap();
    drop(tpm);
    swtpm.power_cycle();
    let mut tpm = open(&swtpm);

    assert_eq!(before, (false, None));
    assert_eq!(second, first + 1);
    assert_eq!(tpm.counter(NvCounter::LOG).read().unwrap(), Some(second));
    drop(tpm);
    interposer::delete_index(&swtpm, NvCounter::LOG.index());
    assert!(open(&swtpm).counter(NvCounter::LOG).increment().unwrap() > second, "made again, it goes on");
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn losing_power_in_the_middle_locks_nobody_out() {
    let (mut swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);
    drop(tpm);

    for _ in 0..10 {
        let mut tpm = open(&swtpm);
        thread::scope(|scope| {
            let (begun, has_begun) = mpsc::channel();
            let working = scope.spawn(|| {
                let begun = begun;
                loop {
                    let worked = tpm.unseal(&sealed, &approval).and_then(|_| tpm.quote(&[], sealed_registers()));
                    let _ = begun.send(());
                    if let Err(error) = worked {
                        return error;
                    }
                }
            });
            has_begun.recv().unwrap();
            swtpm.power_cycle();
            let error = working.join().unwrap();
            assert!(matches!(error, TpmError::Transport { .. } | TpmError::Broken), "{error:?}");
        });
    }

    let mut tpm = open(&swtpm);
    assert_eq!(*tpm.unseal(&sealed, &approval).unwrap(), SECRET);
    tpm.quote(&[], sealed_registers()).unwrap();
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn fifty_failures_leave_nothing_loaded() {
    let (swtpm, releaser, mallory) = (Swtpm::start(), Releaser::new(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);
    let forged = mallory.approve(&mut tpm, 0);
    let wrong = Credential { credential_blob: vec![0; 66], encrypted_secret: vec![0; 256] };

    for _ in 0..50 {
        assert!(tpm.unseal(&sealed, &forged).is_err());
        assert!(tpm.activate(&wrong).is_err());
    }

    assert_eq!(*tpm.unseal(&sealed, &approval).unwrap(), SECRET);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn what_a_killed_client_has_left_loaded_is_thrown_out() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    interposer::leave_three_keys_loaded(&swtpm);

    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);

    assert_eq!(*tpm.unseal(&sealed, &approval).unwrap(), SECRET);
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn the_secret_is_never_on_the_way_in_the_clear() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let interposer = Interposer::listening(&swtpm);
    let mut tpm = Tpm::open(&interposer.path()).unwrap();
    let approval = releaser.approve(&mut tpm, 0);

    let sealed = releaser.seal(&mut tpm, 0);
    let unsealed = tpm.unseal(&sealed, &approval).unwrap();
    drop(tpm);
    let heard = interposer.heard();

    assert_eq!(*unsealed, SECRET);
    assert!(heard.len() > 1000 && !heard.windows(8).any(|part| part == &SECRET[..8]));
}

#[test]
#[ignore = "needs swtpm: cargo xtask test"]
fn a_secret_that_was_changed_on_its_way_is_refused() {
    let (swtpm, releaser) = (Swtpm::start(), Releaser::new());
    let mut tpm = open(&swtpm);
    let approval = releaser.approve(&mut tpm, 0);
    let sealed = releaser.seal(&mut tpm, 0);
    drop(tpm);
    // Behind tag, size, code, and the sizes of the parameters and of the first one.
    let interposer = Interposer::flipping(&swtpm, 0x015E, 2 + 4 + 4 + 4 + 2);

    let refused = Tpm::open(&interposer.path()).unwrap().unseal(&sealed, &approval);

    assert!(matches!(refused, Err(TpmError::Tampered(_))), "{refused:?}");
}
