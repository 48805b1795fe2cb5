use std::sync::Arc;

use agentkeys_api::{
    ErrorCode,
    attestation::{ActivateCredential, ActivatedCredential, AttestationEvidence},
};
use agentkeys_http::{Json, Refusal, Source, TlsChannel};
use axum::extract::{FromRequestParts, RawQuery, State};
use http::request::Parts;

use crate::{AttestError, CallerError, Signer, error::ApiError};

/// The connection of a request, without which evidence would be worth as much on any other.
pub(super) struct Channel(TlsChannel);

impl<S: Send + Sync> FromRequestParts<S> for Channel {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let channel = parts.extensions.get().copied();
        channel.map(Self).ok_or_else(|| AttestError::NotAttested.into())
    }
}

/// `GET /attestation`
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

/// `POST /attestation/activate`
pub(super) async fn activate(
    State(signer): State<Arc<Signer>>,
    _: Channel,
    _: Ready,
    Source(source): Source,
    Json(request): Json<ActivateCredential>,
) -> Result<Json<ActivatedCredential>, ApiError> {
    Ok(Json(signer.attestation().ask(source, move |attester| attester.activate(&request)).await?))
}

/// There is a master secret.
pub(super) struct Ready;

impl FromRequestParts<Arc<Signer>> for Ready {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, signer: &Arc<Signer>) -> Result<Self, ApiError> {
        signer.ready().map_err(CallerError::from)?;
        Ok(Self)
    }
}

fn nonce(query: &str) -> Option<[u8; 32]> {
    let mut nonce = [0; 32];
    hex::decode_to_slice(query.strip_prefix("nonce=")?, &mut nonce).ok()?;
    Some(nonce)
}
