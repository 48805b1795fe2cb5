use agentkeys_api::ErrorCode;
use askama::Template;
use http::StatusCode;

use super::{DEVICE_PATH, Page, Shown};

/// Says what went wrong and what to do now.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/error.html")]
pub struct ErrorPage {
    /// What went wrong.
    pub failure: Failure,
    /// What the provider or the broker said about it.
    pub detail: Option<Shown>,
    /// The id under which the log has the details.
    pub request_id: Option<Shown>,
}

impl ErrorPage {
    /// The page of this failure, without details.
    pub fn new(failure: Failure) -> Self {
        Self { failure, detail: None, request_id: None }
    }

    /// The page.
    pub fn page(&self) -> Page {
        Page::rendered(self.failure.status(), self)
    }

    /// Whether another code may be what the person needs.
    fn has_way_to_device(&self) -> bool {
        matches!(self.failure, Failure::CodeExpired | Failure::NotFound)
    }
}

macro_rules! failures {
    ($($(#[$doc:meta])* $variant:ident = $status:ident $code:literal $words:tt,)*) => {
        /// What can go wrong in a browser, by the stable codes of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Failure {
            $($(#[$doc])* $variant,)*
        }

        impl Failure {
            /// Every failure.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// The heading, what happened, and what to do.
            fn words(self) -> (&'static str, &'static str, &'static str) {
                match self {
                    $(Self::$variant => $words,)*
                }
            }
        }
    };
}

failures! {
    /// The person, or their provider, said no.
    AccessDenied = FORBIDDEN "access_denied" (
        "You were not signed in",
        "The sign-in was stopped at the service that you chose. Nothing was changed.",
        "If you want to go on after all, go back to the terminal and start again.",
    ),
    /// Another browser began this.
    BrowserMismatch = FORBIDDEN "browser_mismatch" (
        "Go on in the browser where you began",
        "This sign-in was started in another browser or a private window, and only that one can finish it.",
        "Return to that browser. If it is closed, go back to the terminal and start again.",
    ),
    /// The code is over, used up or was tried too often.
    CodeExpired = GONE "code_expired" (
        "This code is over",
        "A code works for a short time, once, and for a few tries only.",
        "Go back to the terminal and start again. You get a new code at once.",
    ),
    /// The provider's proof does not hold.
    IdTokenInvalid = BAD_GATEWAY "id_token_invalid" (
        "The proof did not hold",
        "The service that you chose sent a proof of who you are that AgentKeys could not verify, so nobody was signed in.",
        "Start again from the terminal. If it happens twice, choose another way, and tell whoever runs this AgentKeys.",
    ),
    /// The identity was removed from its account.
    IdentityRetired = FORBIDDEN "identity_retired" (
        "This identity was retired",
        "It was removed from the account that it used to open, so it does not open anything now.",
        "Start again and sign in with another identity of that account. From there it can be linked again.",
    ),
    /// The identity opens another account.
    IdentityTaken = CONFLICT "identity_taken" (
        "This identity opens another account",
        "An identity opens one account only, and this one already has its own. Nothing was changed.",
        "To use that account, sign in with this identity. To add a way into the first account, link a different one.",
    ),
    /// A fault of the server.
    Internal = INTERNAL_SERVER_ERROR "internal" (
        "Something broke on our side",
        "AgentKeys met a fault that has nothing to do with what you did.",
        "Try again in a minute. If it happens again, give the code below to whoever runs this AgentKeys.",
    ),
    /// The request makes no sense.
    InvalidRequest = BAD_REQUEST "invalid_request" (
        "This link does not work",
        "AgentKeys could not make sense of the address or the form that led here.",
        "If you copied a link, check that all of it is there. Otherwise go back to the terminal and start again.",
    ),
    /// The answer is not from the provider that was asked.
    IssuerMismatch = BAD_REQUEST "issuer_mismatch" (
        "The answer came from the wrong place",
        "It was not sent by the service that you chose, so AgentKeys did not use it. Nobody was signed in.",
        "Start again from the terminal. If it happens twice, tell whoever runs this AgentKeys.",
    ),
    /// The mail can neither leave nor be queued.
    MailUnavailable = SERVICE_UNAVAILABLE "mail_unavailable" (
        "The mail could not be sent",
        "AgentKeys cannot send mail just now, so there is no code on its way.",
        "Try again in a few minutes, or go back and choose another way to sign in.",
    ),
    /// There is no such page.
    NotFound = NOT_FOUND "not_found" (
        "There is no page here",
        "The address may be mistyped, or the page was there for a short time only.",
        "To sign in, run “agentkeys init” in a terminal. To connect a machine that shows a code, enter the code.",
    ),
    /// The provider refused, or could not be understood.
    ProviderError = BAD_GATEWAY "provider_error" (
        "The service could not sign you in",
        "The service that you chose answered with an error instead of telling AgentKeys who you are.",
        "Go back to the terminal and start again, or choose another way to sign in.",
    ),
    /// Too often.
    RateLimited = TOO_MANY_REQUESTS "rate_limited" (
        "One moment, please",
        "There were more tries in a short time than AgentKeys allows; they need not have been yours.",
        "Wait a few minutes, then start again from the terminal.",
    ),
    /// The operator does not let this identity sign in.
    SignInNotAllowed = FORBIDDEN "sign_in_not_allowed" (
        "This identity is not on the list",
        "You proved who you are, but whoever runs this AgentKeys has not opened it to this identity.",
        "Ask them to add you, or start again from the terminal with another identity.",
    ),
    /// The sign-in is unknown, over or was finished.
    StateInvalid = BAD_REQUEST "state_invalid" (
        "This sign-in is over",
        "It was finished already, took too long, or was not started here.",
        "Go back to the terminal. If it still waits for you, start again there.",
    ),
    /// The store cannot write or read.
    StorageUnavailable = SERVICE_UNAVAILABLE "storage_unavailable" (
        "AgentKeys is not ready just now",
        "It cannot save what a sign-in needs. Nothing was changed.",
        "Try again in a minute. If it lasts, tell whoever runs this AgentKeys.",
    ),
}

impl From<ErrorCode> for Failure {
    /// The failure of the same code; any that people cannot meet in a browser is a fault of ours.
    fn from(code: ErrorCode) -> Self {
        Self::ALL.iter().copied().find(|failure| failure.as_str() == code.as_str()).unwrap_or(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_the_code_of_the_api_have_one_status() {
        for code in ErrorCode::ALL {
            let failure = Failure::from(*code);

            if failure.as_str() == code.as_str() {
                assert_eq!(failure.status().as_u16(), code.status(), "{code}");
            } else {
                assert_eq!(failure, Failure::Internal, "{code}");
            }
        }
    }
}
