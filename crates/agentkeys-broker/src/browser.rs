mod answer;
mod begin;

use std::time::Duration;

use agentkeys_provider::ProviderError;
use agentkeys_store::{Grant, IdentityLink, PinError, Proved, StoreError};
use agentkeys_types::{IdentityType, RequestId};
use url::Url;

use crate::{AuthorizationRequest, sign_in::SignInError};

/// What a person is in a browser for.
#[derive(Clone, Debug)]
pub enum Errand {
    /// To sign in the command on the same machine.
    Command(Box<AuthorizationRequest>),
    /// To sign in another machine, by the code that it shows.
    Device(String),
    /// To link an identity to an account, by the secret of the page.
    Link(RequestId),
}

/// Who waits for a person, and what may be chosen.
#[derive(Debug)]
pub struct Asking {
    /// What is waited for.
    pub grant: Grant,
    /// Where the errand is to link: an identity that opens the account today.
    pub owner: Option<IdentityLink>,
    /// The only way of proving an identity that is offered.
    pub way: Option<IdentityType>,
}

/// A person has proved an identity, and is to decide.
#[derive(Debug)]
pub struct Question {
    /// Who asks.
    pub asking: Asking,
    /// The identity.
    pub proved: Proved,
    /// Carried by the form.
    pub request: RequestId,
}

/// How a browser's part ended. Not printed: the answer to a command carries its code.
pub enum Ending {
    /// The browser takes the answer to the command.
    Command(Url),
    /// The other machine may sign in.
    Device(Grant),
    /// The identity may be linked.
    Link {
        /// The identity.
        proved: Proved,
        /// An identity that opens the account today.
        owner: Option<IdentityLink>,
    },
    /// The person refused, and nobody waits for the browser.
    Refused,
}

/// What a provider has the browser bring back (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207). Not printed.
#[derive(Clone, Copy)]
pub struct ProviderAnswer<'p> {
    /// The code.
    pub code: Option<&'p str>,
    /// The error.
    pub error: Option<&'p str>,
    /// What the provider says about it.
    pub error_description: Option<&'p str>,
    /// The provider.
    pub iss: Option<&'p str>,
    /// The browser's secret.
    pub state: Option<&'p str>,
}

/// Why a browser does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The code is over, used, or was tried too often.
    #[error("the code is over")]
    CodeExpired,
    /// The code is wrong.
    #[error("the code is wrong")]
    InvalidCode,
    /// The mail could neither leave nor be queued.
    #[error("the mail with the code could not be sent")]
    Mail,
    /// The operator does not let this identity in.
    #[error("the operator of this broker does not let this identity sign in")]
    NotAllowed,
    /// The page is that of another browser.
    #[error("the page is that of another browser")]
    OtherBrowser,
    /// The provider is away, or cannot be believed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Too often.
    #[error("too many sign-ins: wait before the next one")]
    RateLimited {
        /// When the limit opens again.
        retry_after: Duration,
    },
    /// The identity was taken away from the account that it had made.
    #[error("the identity was taken away from the account that it had made")]
    Retired,
    /// The sign-in is unknown, over or used.
    #[error("the sign-in is unknown, over or used")]
    State,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No machine waits with this code.
    #[error("no machine shows this code")]
    UnknownDevice,
    /// This way of signing in is not offered.
    #[error("this way of signing in is not offered here")]
    Way,
}

/// Another broker of the deployment has it that another issuer stands behind the provider.
impl From<PinError> for BrowserError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::Changed { .. } => {
                tracing::error!(%error, "nobody can sign in at this provider");
                ProviderError::Unavailable.into()
            }
            PinError::Store(error) => Self::Store(error),
        }
    }
}

impl From<SignInError> for BrowserError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::RateLimited { retry_after } => Self::RateLimited { retry_after },
            SignInError::Store(error) => Self::Store(error),
            _ => Self::Mail,
        }
    }
}
