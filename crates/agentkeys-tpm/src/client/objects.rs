use super::{
    Tpm, TpmError,
    command::{Authorization, Command, Reply, Request},
};
use crate::{
    reader::Malformed,
    structures::{Attributes, EccPoint, KeyParameters, Name, Public, Scheme},
    writer::Writer,
};

/// Whoever owns the machine.
pub(super) const OWNER: u32 = 0x4000_0001;
/// Nothing.
pub(super) const NULL: u32 = 0x4000_0007;
/// Whoever made the TPM.
pub(super) const ENDORSEMENT: u32 = 0x4000_000B;

/// As long as a public area may be.
const LONGEST_PUBLIC: usize = 1024;

/// The policy of an endorsement key: the password of its hierarchy (TCG EK Credential Profile, template L-1).
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD, 0x52, 0xD7,
    0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
];

/// What every key that is made here is: nobody can take it out of the TPM, or know its private part.
const HARDWARE: [Attributes; 4] =
    [Attributes::FIXED_TPM, Attributes::FIXED_PARENT, Attributes::SENSITIVE_DATA_ORIGIN, Attributes::RESTRICTED];

/// Something that is loaded.
pub(super) struct Object {
    pub(super) handle: u32,
    pub(super) name: Name,
    public: Public,
}

impl Object {
    pub(super) fn public(&self) -> &Public {
        &self.public
    }

    /// The public key of one on P-256.
    pub(super) fn point(&self) -> Result<EccPoint, TpmError> {
        match &self.public.parameters {
            KeyParameters::P256 { point, .. } => Ok(point.clone()),
            _ => Err(TpmError::Malformed {
                command: Command::CreatePrimary,
                source: Malformed("a key is of another kind than was asked for"),
            }),
        }
    }
}

/// The storage key, under which secrets are sealed.
pub(super) fn storage_template() -> Public {
    let attributes = with_hardware(&[Attributes::USER_WITH_AUTH, Attributes::NO_DA, Attributes::DECRYPT]);
    let parameters = KeyParameters::P256 { protects: true, scheme: Scheme::Null, point: EccPoint::empty() };
    Public { attributes, auth_policy: Vec::new(), parameters }
}

/// The key with which the TPM attests.
pub(super) fn attestation_template() -> Public {
    let attributes = with_hardware(&[Attributes::USER_WITH_AUTH, Attributes::NO_DA, Attributes::SIGN]);
    let parameters = KeyParameters::P256 { protects: false, scheme: Scheme::Ecdsa, point: EccPoint::empty() };
    Public { attributes, auth_policy: Vec::new(), parameters }
}

/// The endorsement key, which the TPM's maker has certified.
pub(super) fn endorsement_template() -> Public {
    let parameters =
        KeyParameters::Rsa { protects: true, scheme: Scheme::Null, bits: 2048, exponent: 0, modulus: vec![0; 256] };
    let attributes = with_hardware(&[Attributes::ADMIN_WITH_POLICY, Attributes::DECRYPT]);
    Public { attributes, auth_policy: ENDORSEMENT_POLICY.to_vec(), parameters }
}

fn with_hardware(others: &[Attributes]) -> Attributes {
    Attributes::all(&[Attributes::all(&HARDWARE), Attributes::all(others)])
}

impl Tpm {
    /// Does something with the key that a hierarchy and a template always give.
    pub(super) fn with_primary<T>(
        &mut self,
        hierarchy: u32,
        template: &Public,
        run: impl FnOnce(&mut Self, &Object) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let handles = [hierarchy];
        let request = Request::new(Command::CreatePrimary).about(&handles).allowed(&[Authorization::Empty]);
        let sensitive = Writer::new().sized(&[]).sized(&[]);
        let reply = self.call(request, |request| {
            // Neither a note from outside nor registers are recorded with it.
            request.sized(sensitive.as_slice()).sized(&template.to_bytes()).sized(&[]).u32(0)
        })?;
        self.holding(reply.handle(), |tpm| {
            let public = read_public(&reply)?;
            if public.attributes != template.attributes || public.auth_policy != template.auth_policy {
                return Err(reply.malformed("a key is of another kind than was asked for"));
            }
            let object = Object { handle: reply.handle(), name: public.name(), public };
            run(tpm, &object)
        })
    }

    /// Does something with what has been made under `parent` before.
    pub(super) fn with_loaded<T>(
        &mut self,
        parent: &Object,
        private: &[u8],
        public: &Public,
        run: impl FnOnce(&mut Self, &Object) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let handles = [parent.handle];
        let request = Request::new(Command::Load).about(&handles).allowed(&[Authorization::Empty]);
        let reply = self.call(request, |request| request.sized(private).sized(&public.to_bytes()))?;
        self.holding(reply.handle(), |tpm| {
            let object = Object { handle: reply.handle(), name: public.name(), public: public.clone() };
            run(tpm, &object)
        })
    }

    /// Does something with somebody else's public key.
    pub(super) fn with_external<T>(
        &mut self,
        public: &Public,
        run: impl FnOnce(&mut Self, u32) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let request = Request::new(Command::LoadExternal);
        // No private part. It belongs to a hierarchy, or the TPM would vouch for no signature by it.
        let reply = self.call(request, |request| request.u16(0).sized(&public.to_bytes()).u32(OWNER))?;
        self.holding(reply.handle(), |tpm| run(tpm, reply.handle()))
    }

    /// Does something with the endorsement key, as it is kept in the TPM or made anew.
    pub(super) fn with_endorsement_key<T>(
        &mut self,
        run: impl FnOnce(&mut Self, &Object) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        const KEPT: u32 = 0x8101_0001;
        let template = endorsement_template();
        let kept = self.call(Request::new(Command::ReadPublic).about(&[KEPT]), |request| request);
        match kept.and_then(|reply| read_public(&reply)) {
            Ok(public) if is_made_by(&public, &template) => {
                run(self, &Object { handle: KEPT, name: public.name(), public })
            }
            Ok(_) | Err(TpmError::Refused { .. } | TpmError::Malformed { .. }) => {
                self.with_primary(ENDORSEMENT, &template, run)
            }
            Err(error) => Err(error),
        }
    }
}

fn read_public(reply: &Reply) -> Result<Public, TpmError> {
    reply.read(|reader| Public::parse(reader.sized(LONGEST_PUBLIC)?))
}

/// Whether an RSA key is what this template gives, but for its modulus.
fn is_made_by(public: &Public, template: &Public) -> bool {
    let (KeyParameters::Rsa { modulus, .. }, KeyParameters::Rsa { protects, scheme, bits, exponent, .. }) =
        (&public.parameters, &template.parameters)
    else {
        return false;
    };
    let parameters = KeyParameters::Rsa {
        protects: *protects,
        scheme: *scheme,
        bits: *bits,
        exponent: *exponent,
        modulus: modulus.clone(),
    };
    let made = Public { attributes: template.attributes, auth_policy: template.auth_policy.clone(), parameters };
    *public == made
}
