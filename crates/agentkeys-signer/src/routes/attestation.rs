use std::sync::Arc;

use agentkeys_api::{
    ErrorCode, Problem,
    attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence},
    paths,
};
use agentkeys_http::{Json, Refusal, Source, TlsChannel};
use axum::extract::{FromRequestParts, RawQuery, State};
use http::request::Parts;

use crate::{AttestError, Signer, error::ApiError};

/// The connection of a request, without which evidence would be worth as much on any other.
pub(super) struct Channel(TlsChannel);

impl<S: Send + Sync> FromRequestParts<S> for Channel {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let channel = parts.extensions.get().copied();
        channel.map(Self).ok_or_else(|| AttestError::NotAttested.into())
    }
}

/// Fresh evidence of where the signer runs, for a nonce and for this TLS connection alone.
///
/// While the worker waits for the shares of a backup, `identity_pub` in it is 00 and the key to which they are sealed.
#[utoipa::path(get, path = paths::ATTESTATION,
    params(("nonce" = String, Query, description = "64 hex digits, and nothing beside it")), responses(
    (status = 200, body = AttestationEvidence),
    (status = 400, body = Problem, description = "`invalid_field`: the nonce"),
    (status = 404, body = Problem, description = "`not_attested`: at the development signer, always"),
    (status = 503, body = Problem, description = "`signer_disabled`: too many ask at once, or what vouches does not answer"),
))]
pub(super) async fn show(
    State(signer): State<Arc<Signer>>,
    Channel(channel): Channel,
    Source(source): Source,
    RawQuery(query): RawQuery,
) -> Result<Json<AttestationEvidence>, Refusal> {
    let invalid = || Refusal::new(ErrorCode::InvalidField, "nonce must be 64 hex digits");
    let nonce = query.as_deref().and_then(nonce).ok_or_else(invalid)?;
    let evidence = signer.attestation().ask(source, move |attester| attester.evidence(&nonce, &channel)).await;
    evidence.map(Json).map_err(|error| ApiError::from(error).into())
}

/// Proves that the attestation key is in the TPM whose endorsement key is certified: by a secret that only that TPM reads.
#[utoipa::path(post, path = paths::ATTESTATION_ACTIVATE, request_body = ActivateCredential, responses(
    (status = 200, body = ActivatedCredential),
    (status = 400, body = Problem, description = "`credential_invalid`: malformed, or made for another TPM or key"),
    (status = 404, body = Problem, description = "`not_attested`: at the development signer, and without a TPM"),
    (status = 503, body = Problem, description = "`signer_disabled`: too many ask at once, or the TPM does not answer"),
))]
pub(super) async fn activate(
    State(signer): State<Arc<Signer>>,
    _: Channel,
    Source(source): Source,
    Json(request): Json<ActivateCredential>,
) -> Result<Json<ActivatedCredential>, ApiError> {
    Ok(Json(signer.attestation().ask(source, move |attester| attester.activate(&request)).await?))
}

fn nonce(query: &str) -> Option<[u8; 32]> {
    let mut nonce = [0; 32];
    hex::decode_to_slice(query.strip_prefix("nonce=")?, &mut nonce).ok()?;
    Some(nonce)
}
