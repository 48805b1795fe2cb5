use std::fmt;

use secrecy::SecretString;

use crate::Timestamp;

/// Temporary AWS credentials, as STS returned them.
#[derive(Clone)]
pub struct AwsCredentials {
    /// Names the credentials; not a secret.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: SecretString,
    /// Goes with every request.
    pub session_token: SecretString,
    /// When AWS stops accepting them.
    pub expires_at: Timestamp,
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
