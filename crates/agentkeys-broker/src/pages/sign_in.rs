use agentkeys_types::ProviderName;
use askama::Template;
use http::StatusCode;

use super::{Asking, EMAIL_PATH, Hidden, PROVIDER_PATH, Page, Shown, ShownIdentity};

/// Asks how a person wants to prove who they are.
#[derive(Debug, Template)]
#[template(path = "pages/sign_in.html")]
pub struct SignIn {
    /// What for.
    pub errand: Errand,
    /// The providers to choose from; the choice is posted as `provider`.
    pub providers: Vec<ProviderChoice>,
    /// The field for an e-mail address, posted as `email`, unless the errand needs a provider.
    pub email: Option<EmailField>,
    /// What both forms send back.
    pub hidden: Hidden,
}

impl SignIn {
    /// The page. Its forms may lead to any `https:` address where there is a provider to choose; a provider on
    /// plain `http:` on this machine needs [`Page::form_action`] besides.
    pub fn page(&self) -> Page {
        let status = self.fault().map_or(StatusCode::OK, EmailFault::status);
        let page = Page::rendered(status, self);
        if self.providers.is_empty() { page } else { page.form_action_https() }
    }

    fn fault(&self) -> Option<EmailFault> {
        self.email.as_ref().and_then(|email| email.fault)
    }

    /// Whether one button is all there is.
    fn is_single(&self) -> bool {
        self.email.is_none() && self.providers.len() == 1
    }
}

/// What a sign-in is for.
#[derive(Clone, Debug)]
pub enum Errand {
    /// The `agentkeys` command on the computer of this browser asks.
    Command {
        /// What the machine calls itself.
        machine: Option<Shown>,
    },
    /// Another machine asks, whose code was typed here.
    Device(Asking),
    /// A signed-in machine asks to link a further identity.
    Link {
        /// An identity of the account that it will open.
        account: ShownIdentity,
        /// What the machine calls itself.
        machine: Option<Shown>,
    },
}

/// A provider that a person can choose.
#[derive(Clone, Debug)]
pub struct ProviderChoice {
    /// Its name in the settings, which the button sends.
    pub name: ProviderName,
    /// What people call it, such as `Google`.
    pub label: Shown,
}

/// The field for an e-mail address.
#[derive(Clone, Debug, Default)]
pub struct EmailField {
    /// What was typed before.
    pub typed: Shown,
    /// Why it came back.
    pub fault: Option<EmailFault>,
}

/// Why a form with an e-mail address came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailFault {
    /// It is not one plain address.
    Invalid,
    /// No mail can leave now.
    NotSent,
    /// Too many mails were asked for.
    TooOften,
}

impl EmailFault {
    fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::NotSent => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Invalid => "This is not a complete e-mail address. It looks like name@example.com.",
            Self::NotSent => "The mail could not be sent just now. Try again in a few minutes.",
            Self::TooOften => "Too many codes were asked for. Wait a few minutes, then try again.",
        }
    }
}
