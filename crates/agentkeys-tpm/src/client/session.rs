use aws_lc_rs::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    constant_time::verify_slices_are_equal,
    rand,
};
use zeroize::Zeroizing;

use super::{
    Tpm, TpmError,
    command::{Authorization, CONTINUE, Command, Reply, Request},
    objects::{NULL, Object},
};
use crate::{
    key_derivation::{decrypt_cfb, encrypt_cfb, hmac_sha256, kdf_a, kdf_e},
    reader::{Malformed, Reader},
    structures::{EccPoint, algorithm, sha256},
    writer::Writer,
};

/// The first parameter of the command is encrypted.
const DECRYPT: u8 = 0x20;
/// The first parameter of the answer is encrypted.
const ENCRYPT: u8 = 0x40;

/// What a session allows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The (empty) password of what is used.
    Hmac = 0,
    /// Its policy.
    Policy = 1,
}

/// What is secret in a command or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// The first parameter of the command.
    Command,
    /// The first parameter of the answer.
    Answer,
}

/// A session whose key only this end and the TPM know: it encrypts what is secret, and shows what was changed.
pub(super) struct Session {
    handle: u32,
    key: Zeroizing<[u8; 32]>,
    tpm_nonce: Vec<u8>,
}

impl Session {
    pub(super) fn handle(&self) -> u32 {
        self.handle
    }

    /// The key stream for one direction of one command.
    fn cipher(&self, newer: &[u8], older: &[u8]) -> (Zeroizing<[u8; 16]>, [u8; 16]) {
        let derived = kdf_a(self.key.as_slice(), "CFB", newer, older, 256);
        let (mut key, mut iv) = (Zeroizing::new([0; 16]), [0; 16]);
        key.copy_from_slice(&derived[..16]);
        iv.copy_from_slice(&derived[16..]);
        (key, iv)
    }
}

impl Tpm {
    /// Starts a session with a key that is agreed on with `salter`, a storage key of the TPM.
    pub(super) fn start_session(&mut self, kind: Kind, salter: &Object) -> Result<Session, TpmError> {
        let (salt, encrypted_salt) = agree_on_salt(&salter.point()?)?;
        let nonce = fresh_nonce()?;
        let handles = [salter.handle, NULL];
        let request = Request::new(Command::StartAuthSession).about(&handles);
        let reply = self.call(request, |request| {
            let request = request.sized(&nonce).sized(&encrypted_salt).u8(kind as u8);
            request.u16(algorithm::AES).u16(128).u16(algorithm::CFB).u16(algorithm::SHA256)
        })?;
        let tpm_nonce = reply.read(|reader| reader.sized(64)).map(<[u8]>::to_vec);
        match tpm_nonce {
            Ok(tpm_nonce) => {
                let key = kdf_a(salt.as_slice(), "ATH", &tpm_nonce, &nonce, 256);
                Ok(Session { handle: reply.handle(), key, tpm_nonce })
            }
            Err(error) => {
                self.flush(reply.handle())?;
                Err(error)
            }
        }
    }

    /// Starts a policy session without a key, for what needs no secrecy.
    pub(super) fn start_plain_policy(&mut self) -> Result<u32, TpmError> {
        let nonce = fresh_nonce()?;
        let request = Request::new(Command::StartAuthSession).about(&[NULL, NULL]);
        let reply = self.call(request, |request| {
            let request = request.sized(&nonce).sized(&[]).u8(Kind::Policy as u8);
            request.u16(algorithm::NULL).u16(algorithm::SHA256)
        })?;
        Ok(reply.handle())
    }

    /// Sends a command about one object, allowed by a session, and checks that its answer is the TPM's.
    pub(super) fn call_in(
        &mut self,
        session: &mut Session,
        command: Command,
        object: &Object,
        secrecy: Secrecy,
        parameters: &Writer,
    ) -> Result<Reply, TpmError> {
        let nonce = fresh_nonce()?;
        let mut parameters = Zeroizing::new(parameters.to_vec());
        let attributes = CONTINUE
            | match secrecy {
                Secrecy::Command => DECRYPT,
                Secrecy::Answer => ENCRYPT,
            };
        if secrecy == Secrecy::Command {
            let (key, iv) = session.cipher(&nonce, &session.tpm_nonce);
            let first = first_parameter(&mut parameters).ok_or(TpmError::Cryptography)?;
            encrypt_cfb(&key, &iv, first).map_err(|_| TpmError::Cryptography)?;
        }

        let hash = sha256(&[&command.code().to_be_bytes(), object.name.as_bytes(), &parameters]);
        let mac = hmac_sha256(session.key.as_slice(), &[&hash, &nonce, &session.tpm_nonce, &[attributes]]);
        let marshalled = Writer::new().u32(session.handle).sized(&nonce).u8(attributes).sized(&mac);
        let (handles, authorizations) = ([object.handle], [Authorization::Session(marshalled.as_slice())]);
        let request = Request::new(command).about(&handles).allowed(&authorizations);
        let mut reply = self.transact(&request, &parameters)?;

        let answered = Answered::parse(reply.sessions()).map_err(|source| TpmError::Malformed { command, source })?;
        let hash = sha256(&[&0_u32.to_be_bytes(), &command.code().to_be_bytes(), reply.parameters()]);
        let parts = [&hash[..], &answered.nonce, &nonce, &[answered.attributes]];
        let mac = hmac_sha256(session.key.as_slice(), &parts);
        verify_slices_are_equal(&mac, &answered.mac).map_err(|_| TpmError::Tampered(command))?;
        session.tpm_nonce = answered.nonce;

        if secrecy == Secrecy::Answer {
            if answered.attributes & ENCRYPT == 0 {
                return Err(reply.malformed("a secret came in the clear"));
            }
            let (key, iv) = session.cipher(&session.tpm_nonce, &nonce);
            let Some(first) = first_parameter(reply.parameters_mut()) else {
                return Err(reply.malformed("it ends early"));
            };
            decrypt_cfb(&key, &iv, first).map_err(|_| TpmError::Cryptography)?;
        }
        Ok(reply)
    }
}

/// What an answer says about its one session.
struct Answered {
    nonce: Vec<u8>,
    attributes: u8,
    mac: Vec<u8>,
}

impl Answered {
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let answered =
            Self { nonce: reader.sized(64)?.to_vec(), attributes: reader.u8()?, mac: reader.sized(32)?.to_vec() };
        reader.end()?;
        Ok(answered)
    }
}

/// The bytes of the first parameter, which has its size in front.
fn first_parameter(parameters: &mut [u8]) -> Option<&mut [u8]> {
    let (size, rest) = parameters.split_first_chunk_mut()?;
    rest.get_mut(..usize::from(u16::from_be_bytes(*size)))
}

/// A secret that the owner of the private key of `point` can compute too, out of the point that comes with it.
fn agree_on_salt(point: &EccPoint) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), TpmError> {
    let random = rand::SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| TpmError::Cryptography)?;
    let own_public = own.compute_public_key().map_err(|_| TpmError::Cryptography)?;
    let own_point = EccPoint::from_sec1(own_public.as_ref()).map_err(|_| TpmError::Cryptography)?;
    let (own_sec1, their_sec1) = (own_point.to_sec1(), point.to_sec1());
    let theirs = UnparsedPublicKey::new(&ECDH_P256, their_sec1);
    let salt = agree_ephemeral(own, theirs, TpmError::Cryptography, |agreed| {
        Ok(kdf_e(agreed, "SECRET", &own_sec1[1..33], &their_sec1[1..33]))
    })?;
    Ok((salt, own_point.write(Writer::new()).to_vec()))
}

fn fresh_nonce() -> Result<[u8; 32], TpmError> {
    let mut nonce = [0; 32];
    rand::fill(&mut nonce).map_err(|_| TpmError::Cryptography)?;
    Ok(nonce)
}
