use std::sync::Arc;

use agentkeys_api::{ErrorCode, Problem};
use agentkeys_http::{Refusal, bearer_token};
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{Broker, Caller, SessionCaller, WalletCaller, error::ApiError};

/// A handler that takes a [`Caller`] cannot run for a request without a token that stands.
impl FromRequestParts<Arc<Broker>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, broker: &Arc<Broker>) -> Result<Self, Refusal> {
        let authenticated = broker.authenticate(bearer_token(&parts.headers)?).await;
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
