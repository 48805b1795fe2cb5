use std::sync::{Arc, Mutex, PoisonError};

use agentkeys_api::{Body, ErrorCode, Fields, Problem, attestation::Encoded};
use agentkeys_http::{Json, Refusal};
use agentkeys_memory::Secret;
use axum::{Router, extract::State, routing::get};
use serde::Serialize;
use tokio::sync::watch;

use super::{Collection, Progress, SealedShare, ShareError};

/// Where shares go.
pub const RESTORE: &str = "/restore";

/// A restoration under way: takes shares over HTTP until they give the secret.
#[derive(Clone, Debug)]
pub struct Restoration {
    collection: Arc<Mutex<Collection>>,
    public_key: [u8; 32],
    secret: Arc<watch::Sender<Option<Secret>>>,
}

/// `GET /restore`
#[derive(Serialize)]
struct Wanted {
    public_key: String,
}

/// `POST /restore`
#[derive(Serialize)]
struct Taken {
    restored: bool,
    shares: usize,
    threshold: u8,
}

impl Restoration {
    /// Restores the secret with this identity.
    pub fn of(identity_pub: &str) -> Result<Self, ShareError> {
        let collection = Collection::new(identity_pub)?;
        let public_key = collection.public_key();
        Ok(Self {
            collection: Arc::new(Mutex::new(collection)),
            public_key,
            secret: Arc::new(watch::Sender::new(None)),
        })
    }

    /// What evidence shows as the identity while there is none: 0, which no identity begins with, and the key that
    /// shares are to be sealed to.
    pub fn identity_pub(&self) -> [u8; 33] {
        let mut identity = [0; 33];
        identity[1..].copy_from_slice(&self.public_key);
        identity
    }

    /// The secret, once enough shares have come in.
    pub async fn secret(&self) -> Secret {
        let mut changed = self.secret.subscribe();
        loop {
            let secret = changed.borrow_and_update().clone();
            if let Some(secret) = secret {
                self.secret.send_replace(None);
                return secret;
            }
            // The sender lives as long as this does.
            let _ = changed.changed().await;
        }
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        Router::new().route(RESTORE, get(show).post(create)).with_state(self.clone())
    }

    fn add(&self, share: &SealedShare) -> Result<Taken, ShareError> {
        let progress = self.collection.lock().unwrap_or_else(PoisonError::into_inner).add(share)?;
        Ok(match progress {
            Progress::Waiting { shares, threshold } => Taken { restored: false, shares, threshold },
            Progress::Complete(secret) => {
                self.secret.send_replace(Some(Secret::apart(secret.to_vec().into())));
                Taken { restored: true, shares: share.threshold.into(), threshold: share.threshold }
            }
        })
    }
}

async fn show(State(restoration): State<Restoration>) -> Json<impl Serialize> {
    Json(Wanted { public_key: hex::encode(restoration.public_key) })
}

async fn create(
    State(restoration): State<Restoration>,
    Json(share): Json<SealedShare>,
) -> Result<Json<impl Serialize>, Refusal> {
    let taken = restoration.add(&share).map_err(|error| {
        tracing::warn!(%error, "a share was refused");
        Refusal::new(ErrorCode::CredentialInvalid, error.to_string())
    })?;
    tracing::info!(shares = taken.shares, threshold = taken.threshold, "a share came in");
    Ok(Json(taken))
}

impl Body for SealedShare {
    fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut text = |name: &'static str| fields.required::<Encoded>(name).map(|encoded| encoded.0);
        let (identity_pub, recipient) = (text("identity_pub")?, text("recipient")?);
        let (enc, ciphertext) = (text("enc")?, text("ciphertext")?);
        let (v, threshold) = (fields.required::<Small>("v")?.0, fields.required::<Small>("threshold")?.0);
        Ok(Self { v, identity_pub, threshold, recipient, enc, ciphertext })
    }
}

/// 0 to 255.
struct Small(u8);

impl agentkeys_api::Field for Small {
    const CODE: ErrorCode = ErrorCode::InvalidField;
    const EXPECTED: &'static str = "must be a number from 0 to 255";

    fn read(value: agentkeys_api::Value) -> Option<Self> {
        let agentkeys_api::Value::Integer(number) = value else { return None };
        u8::try_from(number).ok().map(Self)
    }
}
