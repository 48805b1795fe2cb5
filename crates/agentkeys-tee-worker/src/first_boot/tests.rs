use std::sync::Mutex;

use super::*;

/// A machine with a minimum release, which can be made to fail at a step.
#[derive(Debug, Default)]
struct Machine(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    record: Option<[u8; 32]>,
    minimum: u8,
    release: u8,
    closed: bool,
    dies_at: Option<&'static str>,
}

impl Machine {
    fn dying_at(&self, step: &'static str) {
        self.0.lock().unwrap().dies_at = Some(step);
    }

    fn power_cycle(&self) {
        let mut state = self.0.lock().unwrap();
        (state.closed, state.dies_at) = (false, None);
    }

    fn release(&self, release: u8) {
        self.0.lock().unwrap().release = release;
    }

    fn reach(&self, step: &'static str) -> Result<std::sync::MutexGuard<'_, State>, SealError> {
        let state = self.0.lock().unwrap();
        if state.dies_at == Some(step) {
            return Err(SealError::Platform(format!("power went at {step}")));
        }
        Ok(state)
    }
}

impl Sealer for Machine {
    fn has_record(&self) -> Result<bool, SealError> {
        Ok(self.reach("has_record")?.record.is_some())
    }

    fn record(&self, identity: &[u8; 32]) -> Result<(), SealError> {
        let mut state = self.reach("record")?;
        if state.closed || state.record.is_some() {
            return Err(SealError::Refused("closed".to_owned()));
        }
        state.record = Some(*identity);
        Ok(())
    }

    fn is_recorded(&self, identity: &[u8; 32]) -> Result<bool, SealError> {
        Ok(self.reach("is_recorded")?.record == Some(*identity))
    }

    fn random(&self) -> Result<Zeroizing<[u8; 32]>, SealError> {
        Ok(Zeroizing::new([1; 32]))
    }

    fn seal(&self, secret: &[u8; 32]) -> Result<SealedBlob, SealError> {
        let minimum = self.reach("seal")?.minimum;
        Ok(SealedBlob([&[minimum], secret.as_slice()].concat()))
    }

    fn unseal(&self, blob: &SealedBlob) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let state = self.reach("unseal")?;
        if state.closed || blob.0[0] != state.minimum {
            return Err(SealError::Refused("closed".to_owned()));
        }
        Ok(Zeroizing::new(blob.0[1..].try_into().unwrap()))
    }

    fn is_current(&self, blob: &SealedBlob) -> Result<bool, SealError> {
        let minimum = self.reach("is_current")?.minimum;
        Ok(blob.0.len() == 33 && blob.0[0] == minimum)
    }

    fn seal_next(&self, blob: &SealedBlob, secret: &[u8; 32]) -> Result<Option<SealedBlob>, SealError> {
        let state = self.reach("seal_next")?;
        let next = blob.0[0] + 1;
        Ok((state.release >= next).then(|| SealedBlob([&[next], secret.as_slice()].concat())))
    }

    fn raise(&self) -> Result<(), SealError> {
        self.reach("raise")?.minimum += 1;
        Ok(())
    }

    fn close(&self) -> Result<(), SealError> {
        self.0.lock().unwrap().closed = true;
        Ok(())
    }

    fn counter(&self) -> Result<Option<u64>, SealError> {
        Ok(None)
    }

    fn bump(&self) -> Result<Option<u64>, SealError> {
        Ok(None)
    }
}

/// What a start gives: the identity, and where it came from.
fn open_on(machine: &Machine, blobs: &Blobs) -> Result<([u8; 33], Origin<()>), MasterError> {
    let begin = |_: &MasterSecret| Ok(machine.reach("begin").map(drop)?);
    let (secret, origin) = open(machine, blobs, || generate(machine), begin)?;
    Ok((secret.identity_public_key(), origin))
}

#[test]
fn each_start_makes_unseals_or_refuses() {
    let table = [
        (false, Found::Nothing, Step::Make),
        (false, Found::CurrentBlob, Step::RefuseUnrecorded),
        (false, Found::OtherBlob, Step::RefuseUnrecorded),
        (true, Found::Nothing, Step::RefuseLost),
        (true, Found::CurrentBlob, Step::Unseal),
        (true, Found::OtherBlob, Step::RefuseNotCurrent),
    ];

    for (has_record, found, step) in table {
        assert_eq!(Step::of(has_record, found), step, "{has_record} {found:?}");
    }
}

#[test]
fn the_second_boot_has_the_secret_of_the_first() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());

    let (first, made) = open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    let (second, unsealed) = open_on(&machine, &blobs).unwrap();

    assert_eq!((made, unsealed), (Origin::FirstBoot(()), Origin::Unsealed));
    assert_eq!(first, second);
}

#[test]
fn a_lost_blob_is_never_made_anew() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    std::fs::remove_file(blobs.file()).unwrap();

    assert!(matches!(open_on(&machine, &blobs), Err(MasterError::Lost(_))));
    assert!(!blobs.file().exists());
}

#[test]
fn a_secret_that_somebody_else_has_sealed_is_refused() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    let own = private_file_of(&blobs);
    blobs.write(&machine.seal(&[7; 32]).unwrap()).unwrap();
    machine.release(1);

    assert!(matches!(open_on(&machine, &blobs), Err(MasterError::OtherIdentity(_))));
    machine.power_cycle();
    blobs.write(&own).unwrap();
    assert_eq!(open_on(&machine, &blobs).unwrap().1, Origin::Raised, "the minimum stayed as it was");
}

#[test]
fn a_blob_without_a_record_is_refused_and_begins_nothing() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    machine.0.lock().unwrap().record = None;

    let opened = open(&machine, &blobs, || generate(&machine), |_| -> Result<(), _> { panic!("a log has begun") });

    assert!(matches!(opened, Err(MasterError::Unrecorded(_))));
}

#[test]
fn the_sealer_is_closed_also_when_nothing_was_unsealed() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let refused = || Err(MasterError::Source("no".to_owned()));

    open(&machine, &Blobs::new(folder.path()), refused, |_| Ok(())).unwrap_err();

    assert!(machine.0.lock().unwrap().closed);
}

#[test]
fn two_secrets_are_never_the_same() {
    let machine = Machine::default();

    assert_ne!(generate(&machine).unwrap(), generate(&machine).unwrap());
}

#[test]
fn a_first_boot_that_was_cut_short_is_begun_again_in_an_empty_folder() {
    for (step, leaves_a_blob) in [("seal", false), ("begin", true), ("record", true)] {
        let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
        let blobs = Blobs::new(folder.path());
        machine.dying_at(step);
        open_on(&machine, &blobs).unwrap_err();
        machine.power_cycle();
        if leaves_a_blob {
            let refused = open_on(&machine, &blobs).unwrap_err();
            assert!(refused.to_string().contains("empty the state folder"), "{step}: {refused}");
            machine.power_cycle();
            std::fs::remove_file(blobs.file()).unwrap();
        }

        let (identity, made) = open_on(&machine, &blobs).unwrap();
        machine.power_cycle();

        assert_eq!(made, Origin::FirstBoot(()), "{step}");
        assert_eq!(open_on(&machine, &blobs).unwrap(), (identity, Origin::Unsealed), "{step}");
    }
}

#[test]
fn a_damaged_blob_hides_no_other_and_is_named_where_it_is_alone() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    let (identity, _) = open_on(&machine, &blobs).unwrap();
    let whole = private_file_of(&blobs);
    machine.power_cycle();
    std::fs::write(blobs.file(), "damaged").unwrap();
    let alone = open_on(&machine, &blobs).unwrap_err().to_string();
    machine.power_cycle();
    blobs.write_next(&whole).unwrap();

    let opened = open_on(&machine, &blobs).unwrap();

    assert!(alone.contains("master.sealed") && alone.contains("copy of that file restores it"), "{alone}");
    assert_eq!(opened, (identity, Origin::Unsealed));
    assert_eq!(private_file_of(&blobs), whole);
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    let (identity, _) = open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    std::fs::rename(blobs.file(), folder.path().join("master.sealed-next")).unwrap();
    std::fs::write(blobs.file(), "for all to read").unwrap();

    assert_eq!(open_on(&machine, &blobs).unwrap(), (identity, Origin::Unsealed));
}

#[test]
fn a_raise_that_was_cut_short_is_completed() {
    for step in ["unseal", "seal_next", "raise"] {
        let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
        let blobs = Blobs::new(folder.path());
        let (secret, _) = open_on(&machine, &blobs).unwrap();
        machine.power_cycle();
        machine.release(1);
        machine.dying_at(step);
        open_on(&machine, &blobs).unwrap_err();
        machine.power_cycle();

        let opened = open_on(&machine, &blobs).unwrap();

        assert_eq!(opened, (secret, Origin::Raised), "{step}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{step}");
    }
}

#[test]
fn a_raise_whose_last_file_was_not_renamed_counts() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    let (secret, _) = open_on(&machine, &blobs).unwrap();
    let old = private_file_of(&blobs);
    machine.power_cycle();
    machine.release(1);
    open_on(&machine, &blobs).unwrap();
    // As a crash between the two leaves it.
    let new = private_file_of(&blobs);
    blobs.write(&old).unwrap();
    blobs.write_next(&new).unwrap();
    machine.power_cycle();

    let opened = open_on(&machine, &blobs).unwrap();

    assert_eq!(opened, (secret, Origin::Unsealed));
    assert_eq!(private_file_of(&blobs), new);
}

#[test]
fn an_old_copy_of_the_blob_is_refused_once_the_minimum_is_raised() {
    let (machine, folder) = (Machine::default(), tempfile::tempdir().unwrap());
    let blobs = Blobs::new(folder.path());
    open_on(&machine, &blobs).unwrap();
    let old = private_file_of(&blobs);
    machine.power_cycle();
    machine.release(1);
    open_on(&machine, &blobs).unwrap();
    machine.power_cycle();
    blobs.write(&old).unwrap();

    assert!(matches!(open_on(&machine, &blobs), Err(MasterError::NotCurrent(_))));
}

fn private_file_of(blobs: &Blobs) -> SealedBlob {
    SealedBlob(std::fs::read(blobs.file()).unwrap())
}
