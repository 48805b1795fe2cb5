use std::sync::Arc;

use agentkeys_api::{DaemonCredentials, ErrorCode, Problem};
use agentkeys_client::Dispenser;
use agentkeys_daemon::{ConsumerToken, EndpointDesk, problem_of};
use agentkeys_types::RoleName;
use async_trait::async_trait;

use crate::dispensary::RoleArgs;

/// Decides for the endpoint of one program: it has one token and one role.
pub(super) struct ProgramDesk {
    token: ConsumerToken,
    role: RoleArgs,
    dispenser: Arc<dyn Dispenser>,
}

impl ProgramDesk {
    pub(super) fn new(token: ConsumerToken, role: RoleArgs, dispenser: Arc<dyn Dispenser>) -> Arc<Self> {
        Arc::new(Self { token, role, dispenser })
    }
}

#[async_trait]
impl EndpointDesk for ProgramDesk {
    async fn hand_out(&self, unverified_token: &str, role: RoleName) -> Result<DaemonCredentials, Problem> {
        if !self.token.matches(unverified_token) {
            return Err(Problem::new(ErrorCode::TokenInvalid, "the token is not valid"));
        }
        if role != self.role.role {
            return Err(Problem::new(ErrorCode::NotFound, "this program has another role"));
        }
        let answer = self.dispenser.credentials(&role, self.role.agent.as_ref()).await;
        answer.map_err(|error| problem_of(&error))
    }
}
