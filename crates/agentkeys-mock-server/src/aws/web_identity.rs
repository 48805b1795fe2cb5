mod claims;
mod provider;
mod session_tags;

use std::sync::Arc;

use agentkeys_types::{Clock, OidcJwt};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    dangerous::insecure_decode_claims,
    decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde_json::Value;

use self::{claims::Claims, provider::Providers, session_tags::SessionTags};
use super::{Trust, sts::StsError};

/// Who a web-identity JWT says its bearer is, verified.
pub(super) struct WebIdentity {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) tags: SessionTags,
}

/// Verifies web-identity JWTs as AWS does.
pub(super) struct Verifier {
    providers: Providers,
    clock: Arc<dyn Clock>,
}

const NOT_A_JWT: StsError = StsError::InvalidIdentityToken("The ID Token provided is not a valid JWT.");
const NO_KEY: StsError =
    StsError::InvalidIdentityToken("Couldn't retrieve verification key from your identity provider.");

impl Verifier {
    pub(super) fn new(trusted: Vec<Trust>, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        Ok(Self { providers: Providers::new(trusted)?, clock })
    }

    /// Fetches the keys of the issuer afresh and checks signature, issuer, audience, times, subject and tags.
    pub(super) async fn verify(&self, token: &OidcJwt) -> Result<WebIdentity, StsError> {
        let token = token.expose();
        let header = decode_header(token).map_err(|_| NOT_A_JWT)?;
        let kid = header.kid.ok_or(NO_KEY)?;
        if header.crit.is_some() {
            return Err(NOT_A_JWT);
        }
        let unverified_claims: Value = insecure_decode_claims(token).map_err(|_| NOT_A_JWT)?;
        let unverified_issuer = unverified_claims.get("iss").and_then(Value::as_str).ok_or(NOT_A_JWT)?;

        let trust = self.providers.find(unverified_issuer)?;
        let key = self.providers.key(trust, &kid).await?;
        let claims = decode::<Claims>(token, &decoding_key(&key, header.alg)?, &signature_only(header.alg))
            .map_err(|_| NOT_A_JWT)?
            .claims;
        claims.check(trust, self.clock.now())
    }
}

/// The key, when it may be used with the algorithm that the token names.
fn decoding_key(key: &Jwk, algorithm: Algorithm) -> Result<DecodingKey, StsError> {
    const RSA: [Algorithm; 3] = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];
    let fits = match &key.algorithm {
        AlgorithmParameters::RSA(_) => RSA.contains(&algorithm),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => algorithm == Algorithm::ES256,
            EllipticCurve::P384 => algorithm == Algorithm::ES384,
            _ => false,
        },
        _ => false,
    };
    let for_signatures = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let for_algorithm = key.common.key_algorithm.is_none_or(|named| Algorithm::try_from(named).ok() == Some(algorithm));
    if !(fits && for_signatures && for_algorithm) {
        return Err(NO_KEY);
    }
    DecodingKey::from_jwk(key).map_err(|_| NO_KEY)
}

/// Leaves every claim to [`Claims::check`], which has our clock and insists on the types.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}
