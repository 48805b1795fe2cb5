use agentkeys_api::{ErrorCode, Problem};
use agentkeys_client::ClientError;

/// What an agent is told when there are no credentials.
pub fn of(error: &ClientError) -> Problem {
    let code = match error {
        ClientError::Problem { problem, .. } => return problem.clone(),
        ClientError::NotSignedIn | ClientError::OtherBroker { .. } | ClientError::SessionExpired => {
            ErrorCode::TokenExpired
        }
        ClientError::Sts(refusal) if !refusal.retryable() => ErrorCode::RoleRefused,
        ClientError::Sts(_) => ErrorCode::StsUnavailable,
        ClientError::Unreachable { .. } => ErrorCode::BrokerUnreachable,
        _ => ErrorCode::Internal,
    };
    Problem::new(code, error.to_string())
}
