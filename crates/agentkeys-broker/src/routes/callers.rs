use std::sync::Arc;

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_http::{Refusal, Source, Target, dpop_proof, holder_code, presentation};
use agentkeys_types::KeyThumbprint;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{Broker, Caller, SessionCaller, WalletCaller, error::ApiError};

/// A handler that takes a [`Caller`] cannot run for a request without a token that stands.
impl FromRequestParts<Arc<Broker>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Refusal> {
        let Source(source) = Source::from_request_parts(parts, broker).await?;
        let url = Target::of(parts)?.url(parts.uri.path());
        let authenticated = broker.authenticate(&presentation(parts, &url)?, source).await;
        authenticated.map_err(|error| ApiError::from(error).into())
    }
}

/// A handler that takes a [`SessionCaller`] cannot run without a 30-day session.
impl FromRequestParts<Arc<Broker>> for SessionCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Refusal> {
        match Caller::from_request_parts(parts, broker).await? {
            Caller::Session(caller) => Ok(caller),
            Caller::Wallet(_) => {
                Err(Problem::new(ErrorCode::SessionRequired, "this needs the 30-day session token").into())
            }
        }
    }
}

/// A handler that takes a [`WalletCaller`] cannot run without a proved wallet.
impl FromRequestParts<Arc<Broker>> for WalletCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Refusal> {
        match Caller::from_request_parts(parts, broker).await? {
            Caller::Wallet(caller) => Ok(caller),
            Caller::Session(_) => Err(Problem::new(
                ErrorCode::WalletSessionRequired,
                "this needs a wallet session token: prove a wallet first",
            )
            .into()),
        }
    }
}

/// The device key whose holder sends a request that carries no token; none where it proves nothing.
pub(super) struct DeviceProof(pub(super) Option<KeyThumbprint>);

impl FromRequestParts<Arc<Broker>> for DeviceProof {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Refusal> {
        let Some(unverified_proof) = dpop_proof(&parts.headers)? else { return Ok(Self(None)) };
        let url = Target::of(parts)?.url(parts.uri.path());
        let key = broker.device_of(unverified_proof, parts.method.as_str(), &url);
        key.map(|key| Self(Some(key))).map_err(|error| Problem::new(holder_code(error), error.to_string()).into())
    }
}
