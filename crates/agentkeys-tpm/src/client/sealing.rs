use zeroize::Zeroizing;

use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Request},
    error::Cause,
    objects::{OWNER, storage_template},
    session::{Kind, Secrecy, Session},
};
use crate::{
    approval::Approval,
    policy::{Comparison, SealPolicy, policy_ref},
    reader::{Malformed, Reader},
    structures::{Attributes, KeyParameters, Name, NvCounter, Pcrs, Public, sha256},
    writer::Writer,
};

/// The version of the form of [`SealedSecret`].
const VERSION: u8 = 1;
/// As many bytes as every TPM seals.
const LONGEST_SECRET: usize = 128;
/// As long as the parts of a sealed object may be.
const LONGEST_PART: usize = 1024;

/// A secret that only the TPM that sealed it can read, and only under its policy.
///
/// It says for which epoch and counter it was sealed. Whoever writes the disk can change that, and gains nothing by it:
/// the TPM knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    epoch: u32,
    counter: NvCounter,
    counter_value: u64,
    parent: Name,
    private: Vec<u8>,
    public: Public,
}

impl SealedSecret {
    /// Reads one, all of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Malformed("a sealed secret is of an unknown version"));
        }
        let sealed = Self {
            epoch: reader.u32()?,
            counter: NvCounter::at(reader.u32()?),
            counter_value: reader.u64()?,
            parent: Name::parse(reader.bytes(Name::LENGTH)?)?,
            private: reader.sized(LONGEST_PART)?.to_vec(),
            public: Public::parse(reader.sized(LONGEST_PART)?)?,
        };
        reader.end()?;
        Ok(sealed)
    }

    /// What to keep of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let writer = Writer::new().u8(VERSION).u32(self.epoch).u32(self.counter.index()).u64(self.counter_value);
        writer.bytes(self.parent.as_bytes()).sized(&self.private).sized(&self.public.to_bytes()).to_vec()
    }

    /// The oldest epoch whose releases may unseal it.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What the counter must be.
    pub fn counter_value(&self) -> u64 {
        self.counter_value
    }
}

impl Tpm {
    /// Seals a secret of up to 128 bytes, which goes to the TPM encrypted.
    pub fn seal(&mut self, secret: &[u8], policy: &SealPolicy) -> Result<SealedSecret, TpmError> {
        if secret.is_empty() || secret.len() > LONGEST_SECRET {
            return Err(TpmError::Secret);
        }
        self.with_primary(OWNER, &storage_template(), |tpm, storage| {
            let mut session = tpm.start_session(Kind::Hmac, storage)?;
            let sensitive = Writer::new().sized(&[]).sized(secret);
            let template = sealed_template(policy);
            let parameters = Writer::new().sized(sensitive.as_slice()).sized(&template.to_bytes()).sized(&[]).u32(0);
            let reply = tpm.holding(session.handle(), |tpm| {
                tpm.call_in(&mut session, Command::Create, storage, Secrecy::Command, &parameters)
            })?;
            let (private, public) = reply.read(|reader| {
                Ok((reader.sized(LONGEST_PART)?.to_vec(), Public::parse(reader.sized(LONGEST_PART)?)?))
            })?;
            if public.auth_policy != template.auth_policy || public.attributes != template.attributes {
                return Err(reply.malformed("it has another policy than was asked for"));
            }
            Ok(SealedSecret {
                epoch: policy.epoch,
                counter: policy.counter,
                counter_value: policy.counter_value,
                parent: storage.name,
                private,
                public,
            })
        })
    }

    /// Unseals, as a release with this approval; the secret comes from the TPM encrypted.
    ///
    /// The TPM itself checks the approval, the registers and the counter.
    pub fn unseal(&mut self, sealed: &SealedSecret, approval: &Approval) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.with_primary(OWNER, &storage_template(), |tpm, storage| {
            if storage.name != sealed.parent {
                return Err(TpmError::SealedElsewhere);
            }
            let mut session = tpm.start_session(Kind::Policy, storage)?;
            tpm.holding(session.handle(), |tpm| {
                tpm.fulfil(&session, sealed, approval)?;
                let unsealed = tpm.with_loaded(storage, &sealed.private, &sealed.public, |tpm, object| {
                    tpm.call_in(&mut session, Command::Unseal, object, Secrecy::Answer, &Writer::new())
                });
                let reply = unsealed.map_err(|error| {
                    if error.is(Command::Load, Cause::INTEGRITY) { TpmError::SealedElsewhere } else { error }
                })?;
                reply.read(|reader| reader.sized(LONGEST_SECRET)).map(|secret| Zeroizing::new(secret.to_vec()))
            })
        })
    }

    /// Shows what the policy of `sealed` asks for.
    fn fulfil(&mut self, session: &Session, sealed: &SealedSecret, approval: &Approval) -> Result<(), TpmError> {
        self.show_approval(session.handle(), approval, sealed.epoch)?;
        let index = sealed.counter.index();
        let handles = [index, index, session.handle()];
        let request = Request::new(Command::PolicyNv).about(&handles).allowed(&[Authorization::Empty]);
        let value = sealed.counter_value.to_be_bytes();
        let compared = self.call(request, |request| request.sized(&value).u16(0).u16(Comparison::Equal.code()));
        compared
            .map(|_| ())
            .map_err(|error| if error.is(Command::PolicyNv, Cause::POLICY) { TpmError::CounterMoved } else { error })
    }

    /// Shows in a session that the release key has approved of the registers as they are, for an epoch.
    pub(super) fn show_approval(&mut self, session: u32, approval: &Approval, epoch: u32) -> Result<(), TpmError> {
        let signature = approval.signature(epoch).ok_or(TpmError::OldRelease)?;
        let (policy, policy_ref) = (approval.policy(), policy_ref(epoch));

        let handles = [session];
        let digest = approval.pcrs().digest();
        let request = Request::new(Command::PolicyPcr).about(&handles);
        let shown = self.call(request, |request| approval.selection().write(request.sized(&digest)));
        shown.map_err(|error| if error.is(Command::PolicyPcr, Cause::VALUE) { TpmError::Registers } else { error })?;

        let key = approval.release_key().public();
        let hash = sha256(&[&policy, &policy_ref]);
        let verified = self.with_external(&key, |tpm, handle| {
            let handles = [handle];
            let request = Request::new(Command::VerifySignature).about(&handles);
            tpm.call(request, |request| signature.write(request.sized(&hash)))
        })?;
        let request = Request::new(Command::PolicyAuthorize).about(&handles);
        self.call(request, |request| {
            let request = key.name().write(request.sized(&policy).sized(&policy_ref));
            // The ticket, in which the TPM tells itself that the signature is valid.
            request.bytes(verified.parameters())
        })
        .map(|_| ())
    }
}

/// Nothing but its policy lets it be read.
fn sealed_template(policy: &SealPolicy) -> Public {
    let attributes = Attributes::all(&[Attributes::FIXED_TPM, Attributes::FIXED_PARENT, Attributes::NO_DA]);
    let parameters = KeyParameters::KeyedHash { unique: Vec::new() };
    Public { attributes, auth_policy: policy.digest().to_vec(), parameters }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed() -> SealedSecret {
        let attributes = Attributes::all(&[Attributes::FIXED_TPM, Attributes::FIXED_PARENT]);
        let parameters = KeyParameters::KeyedHash { unique: vec![3; 32] };
        SealedSecret {
            epoch: 2,
            counter: NvCounter::MIN_RELEASE,
            counter_value: 7,
            parent: Name::of(b"storage key"),
            private: vec![1; 100],
            public: Public { attributes, auth_policy: vec![2; 32], parameters },
        }
    }

    #[test]
    fn a_sealed_secret_reads_back_as_it_was_kept() {
        assert_eq!(SealedSecret::parse(&sealed().to_bytes()), Ok(sealed()));
    }

    #[test]
    fn one_that_is_cut_off_or_goes_on_is_refused() {
        let whole = sealed().to_bytes();

        assert!((0..whole.len()).all(|length| SealedSecret::parse(&whole[..length]).is_err()));
        assert!(SealedSecret::parse(&[&whole[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = SealedSecret::parse(&bytes);
            let _ = SealedSecret::parse(&[&[VERSION], &bytes[..]].concat());
        }
    }
}
