use agentkeys_api::{ErrorCode, Problem};
use agentkeys_client::ClientError;

/// What an agent is told when there are no credentials. It has no command line that would say what to do next.
pub fn of(error: &ClientError) -> Problem {
    let (code, next) = match error {
        ClientError::Problem { problem, .. } if error.needs_sign_in() => (problem.error, Some(SIGN_IN)),
        ClientError::Problem { problem, .. } => return problem.clone(),
        ClientError::NotSignedIn | ClientError::OtherBroker { .. } | ClientError::SessionExpired => {
            (ErrorCode::TokenExpired, Some(SIGN_IN))
        }
        ClientError::AttestationInvalid { .. } => {
            (ErrorCode::AttestationInvalid, Some("a person looks at `agentkeys attestation show --explain`"))
        }
        ClientError::Sts(refusal) if !refusal.retryable() => {
            (ErrorCode::RoleRefused, Some("compare the role's trust policy with what `agentkeys whoami` shows"))
        }
        ClientError::Sts(_) => (ErrorCode::StsUnavailable, Some("try again soon")),
        ClientError::Unreachable { .. } => (
            ErrorCode::BrokerUnreachable,
            Some("start it or check the network; it is asked again with the next request"),
        ),
        ClientError::UnexpectedAnswer { .. } => {
            (ErrorCode::BrokerUnreachable, Some("check the network, and the URLs of broker and signer in the settings"))
        }
        _ => (ErrorCode::Internal, None),
    };
    let words = match error {
        ClientError::Problem { problem, .. } => problem.detail.clone(),
        error => error.to_string().into(),
    };
    let detail = match next {
        Some(next) if !words.contains(next) => format!("{words}: {next}"),
        _ => words.into_owned(),
    };
    Problem::new(code, detail)
}

const SIGN_IN: &str = "sign in with `agentkeys init`";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agentkeys_client::StsError;

    use super::*;

    #[test]
    fn each_failure_has_its_code_and_says_what_to_do_next() {
        let sts = |code: &str, status| {
            ClientError::Sts(StsError { code: code.to_owned(), message: "No.".to_owned(), status })
        };
        let source = Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        let unreachable = ClientError::Unreachable { url: "http://127.0.0.1:1".to_owned(), source };
        let unexpected = ClientError::UnexpectedAnswer { url: "http://127.0.0.1:1".to_owned(), reason: "it is a page" };
        let revoked = ClientError::Problem {
            problem: Problem::new(ErrorCode::TokenRevoked, "the session was revoked"),
            retry_after: None,
        };
        for (error, code, next) in [
            (ClientError::NotSignedIn, ErrorCode::TokenExpired, "`agentkeys init`"),
            (ClientError::SessionExpired, ErrorCode::TokenExpired, "`agentkeys init`"),
            (revoked, ErrorCode::TokenRevoked, "`agentkeys init`"),
            (sts("AccessDenied", 403), ErrorCode::RoleRefused, "trust policy"),
            (sts("Throttling", 400), ErrorCode::StsUnavailable, "try again"),
            (unreachable, ErrorCode::BrokerUnreachable, "check the network"),
            (unexpected, ErrorCode::BrokerUnreachable, "in the settings"),
        ] {
            let problem = of(&error);

            assert_eq!(problem.error, code, "{error}");
            assert!(problem.detail.contains(next), "{problem}");
        }
    }
}
