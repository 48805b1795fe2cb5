//! A TPM that answers whatever it likes.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use proptest::prelude::*;

use super::{Link, SealedSecret, Tpm, TpmError, objects};
use crate::{
    Approval, Credential, Name, NvCounter, PcrSelection, PcrValues, ReleaseKey, SEALED_PCRS, SealPolicy, writer::Writer,
};

/// Gives one answer after the other, and then none any more.
struct Hostile {
    answers: VecDeque<Vec<u8>>,
    answering: Vec<u8>,
}

impl Hostile {
    fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { answers: answers.into_iter().collect(), answering: Vec::new() }
    }
}

impl Write for Hostile {
    fn write(&mut self, command: &[u8]) -> io::Result<usize> {
        self.answering = self.answers.pop_front().unwrap_or_default();
        Ok(command.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Hostile {
    /// In small pieces, as a socket may.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.answering.len().min(room.len()).min(7);
        room[..count].copy_from_slice(&self.answering[..count]);
        self.answering.drain(..count);
        Ok(count)
    }
}

fn answer(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    let length = 10 + u32::try_from(body.len()).unwrap();
    Writer::new().u16(tag).u32(length).u32(code).bytes(body).to_vec()
}

/// Answers as likely as possible to be taken for some.
fn answers() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = objects::attestation_template().to_bytes();
    let storage = objects::storage_template().to_bytes();
    let small = prop_oneof![Just(0), Just(1), Just(4), Just(8), Just(32), any::<u8>()];
    let body = prop_oneof![
        proptest::collection::vec(small, 0..128),
        Just(Writer::new().u32(0x8000_0000).u32(200).sized(&key).bytes(&[0; 198]).to_vec()),
        Just(Writer::new().u32(0x8000_0000).u32(200).sized(&storage).bytes(&[0; 198]).to_vec()),
    ];
    let tag = prop_oneof![Just(0x8001), Just(0x8002)];
    let code = prop_oneof![9 => Just(0), 1 => any::<u32>()];
    proptest::collection::vec((tag, code, body).prop_map(|(tag, code, body)| answer(tag, code, &body)), 0..24)
}

fn tpm(answers: &[Vec<u8>]) -> Tpm {
    Tpm { link: Link::over(Hostile::new(answers.to_vec())), broken: false }
}

fn approval() -> Approval {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let pcrs: PcrValues = SEALED_PCRS.map(|register| (register, [0; 32])).into();
    Approval::sign(pcrs, "0.1.0", 0, &pair).unwrap()
}

fn sealed(release_key: &ReleaseKey) -> SealedSecret {
    let policy =
        SealPolicy { release_key: release_key.clone(), epoch: 0, counter: NvCounter::MIN_RELEASE, counter_value: 1 };
    let public = crate::Public { auth_policy: policy.digest().to_vec(), ..objects::storage_template() };
    let name = objects::storage_template().name();
    let head = Writer::new().u8(1).u32(0).u32(NvCounter::MIN_RELEASE.index()).u64(1).bytes(name.as_bytes());
    SealedSecret::parse(head.sized(&[0; 90]).sized(&public.to_bytes()).as_slice()).unwrap()
}

proptest! {
    #[test]
    fn no_answers_make_a_client_panic_or_hang(answers in answers()) {
        let registers = PcrSelection::of(0..24).unwrap();
        let approval = approval();
        let credential = Credential { credential_blob: vec![1; 66], encrypted_secret: vec![2; 256] };
        let sealed = sealed(approval.release_key());

        let _ = Tpm::over(Link::over(Hostile::new(answers.clone())));
        let _ = tpm(&answers).random();
        let _ = tpm(&answers).pcrs(registers);
        let _ = tpm(&answers).quote(&[], registers);
        let _ = tpm(&answers).unseal(&sealed, &approval);
        let _ = tpm(&answers).attestation_key();
        let _ = tpm(&answers).endorsement_key();
        let _ = tpm(&answers).ek_certificate();
        let _ = tpm(&answers).activate(&credential);
        let _ = tpm(&answers).counter(NvCounter::LOG).increment();
    }

    #[test]
    fn an_answer_of_another_length_than_it_says_ends_the_connection(size in any::<u32>(), body in any::<Vec<u8>>()) {
        prop_assume!(usize::try_from(size) != Ok(10 + body.len()));
        let wrong = Writer::new().u16(0x8001).u32(size).u32(0).bytes(&body).to_vec();
        let mut tpm = tpm(&[wrong, answer(0x8001, 0, &[0, 32])]);

        let first = tpm.random();
        let second = tpm.random();

        prop_assert!(matches!(first, Err(TpmError::Transport { .. })), "{first:?}");
        prop_assert!(matches!(second, Err(TpmError::Broken)), "{second:?}");
    }
}

#[test]
fn random_bytes_may_come_in_several_answers() {
    let part = |byte: u8| answer(0x8001, 0, Writer::new().sized(&[byte; 16]).as_slice());

    let random = tpm(&[part(1), part(2)]).random().unwrap();

    assert_eq!(*random, [[1; 16], [2; 16]].concat()[..]);
}

#[test]
fn more_random_bytes_than_asked_for_are_refused() {
    let answer = answer(0x8001, 0, Writer::new().sized(&[7; 33]).as_slice());

    let refused = tpm(&[answer]).random();

    assert!(matches!(refused, Err(TpmError::Malformed { .. })), "{refused:?}");
}

#[test]
fn a_counter_whose_index_is_taken_is_not_used() {
    let foreign = Writer::new().u32(NvCounter::LOG.index()).u16(0x000B).u32(0x0006_0006).sized(&[]).u16(8);
    let body = Writer::new().sized(foreign.as_slice()).sized(Name::of(foreign.as_slice()).as_bytes());

    let refused = tpm(&[answer(0x8001, 0, body.as_slice())]).counter(NvCounter::LOG).increment();

    assert!(matches!(refused, Err(TpmError::ForeignIndex(0x0180_A6B1))), "{refused:?}");
}
