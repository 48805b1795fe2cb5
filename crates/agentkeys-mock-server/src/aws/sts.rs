mod answer;
mod error;
mod request;

use std::{sync::Arc, time::Duration};

use agentkeys_types::Clock;
use axum::response::{IntoResponse, Response};

use self::answer::{AssumedRoleAnswer, CallerIdentityAnswer};
use super::{
    role::Role,
    role_session::{Refusal, RoleSessions},
    web_identity::Verifier,
};

pub(super) use self::{
    error::StsError,
    request::{Action, AssumeRoleWithWebIdentity, SessionLengths},
};

/// For how long the role may be assumed at most: what AWS gives a role unless told otherwise.
const LONGEST_SESSION: Duration = Duration::from_hours(1);

/// The Security Token Service of one account.
pub(super) struct Sts {
    role: Role,
    lengths: SessionLengths,
    verifier: Verifier,
    sessions: Arc<RoleSessions>,
    clock: Arc<dyn Clock>,
}

impl Sts {
    pub(super) fn new(
        role: Role,
        lengths: SessionLengths,
        verifier: Verifier,
        sessions: Arc<RoleSessions>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { role, lengths, verifier, sessions, clock }
    }

    /// Reads what is asked.
    pub(super) fn read(&self, form: &[u8]) -> Result<Action, StsError> {
        Action::parse(form, self.lengths)
    }

    /// Exchanges a web-identity JWT for temporary credentials, when an issuer that the role trusts made it.
    pub(super) async fn assume_role_with_web_identity(
        &self,
        request: AssumeRoleWithWebIdentity,
    ) -> Result<Response, StsError> {
        if request.duration > LONGEST_SESSION {
            return Err(StsError::DurationOverRoleMaximum);
        }
        let identity = self.verifier.verify(&request.token).await?;
        if request.role_arn != self.role.arn() {
            return Err(StsError::AccessDenied);
        }
        let now = self.clock.now();
        let assumed = self.role.assumed_as(&request.session_name);
        let packed_policy_size = identity.tags.packed_size();
        let credentials =
            self.sessions.issue(assumed.clone(), identity.tags.into_map(), now, now.after(request.duration));
        tracing::info!(
            access_key_id = credentials.access_key_id,
            role = assumed.arn,
            subject = identity.subject,
            "role assumed"
        );
        let provider = self.role.provider_arn(&identity.issuer);
        Ok(AssumedRoleAnswer {
            assumed,
            audience: identity.audience,
            credentials,
            packed_policy_size,
            provider,
            subject: identity.subject,
        }
        .into_response())
    }

    /// Says who signed a request, when the session token beside the signature is right as well.
    pub(super) fn caller_identity(
        &self,
        access_key_id: &str,
        unverified_token: Option<&str>,
    ) -> Result<Response, StsError> {
        let session =
            self.sessions.verify(access_key_id, unverified_token, self.clock.now()).map_err(
                |refusal| match refusal {
                    Refusal::Expired => StsError::ExpiredToken,
                    Refusal::Unknown | Refusal::WrongToken => StsError::InvalidClientTokenId,
                },
            )?;
        Ok(CallerIdentityAnswer(&session.role).into_response())
    }
}
