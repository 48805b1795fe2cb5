use askama::Template;
use http::StatusCode;
use url::Origin;

use super::{Asking, CONFIRM_PATH, Hidden, Page, ShownIdentity};

/// Asks a person who has proved who they are whether to go on. Nothing happens without its button.
#[derive(Debug, Template)]
#[template(path = "pages/confirm.html")]
pub struct Confirm {
    /// What the button does.
    pub errand: ConfirmErrand,
    /// The identity that was proved.
    pub identity: ShownIdentity,
    /// Who asks.
    pub asking: Asking,
    /// What the form sends back, besides `decision` = `approve` or `refuse`.
    pub hidden: Hidden,
}

impl Confirm {
    /// The page. For a command its form may also lead to where the command waits.
    pub fn page(&self) -> Page {
        let page = Page::rendered(StatusCode::OK, self);
        match &self.errand {
            ConfirmErrand::Command { returns_to } => page.form_action(std::slice::from_ref(returns_to)),
            ConfirmErrand::Device | ConfirmErrand::Link { .. } => page,
        }
    }

    fn question(&self) -> String {
        match (&self.errand, &self.asking.machine) {
            (ConfirmErrand::Link { .. }, _) => "Link this identity to your account?".to_owned(),
            (_, Some(machine)) => format!("Sign in on {machine}?"),
            (ConfirmErrand::Command { .. }, None) => "Sign in on this computer?".to_owned(),
            (ConfirmErrand::Device, None) => "Sign in on that machine?".to_owned(),
        }
    }

    /// What the button says that it does.
    fn approval(&self) -> String {
        match (&self.errand, &self.asking.machine) {
            (ConfirmErrand::Link { .. }, _) => "Link to this account".to_owned(),
            (_, Some(machine)) => format!("Sign in on {machine}"),
            (ConfirmErrand::Command { .. }, None) => "Sign in on this computer".to_owned(),
            (ConfirmErrand::Device, None) => "Sign in on that machine".to_owned(),
        }
    }
}

/// What is asked on the last page.
#[derive(Clone, Debug)]
pub enum ConfirmErrand {
    /// To sign in the `agentkeys` command on the computer of this browser.
    Command {
        /// Where the command waits for the answer, on loopback.
        returns_to: Origin,
    },
    /// To sign in another machine.
    Device,
    /// To link the identity to an account.
    Link {
        /// An identity that opens this account today.
        account: ShownIdentity,
    },
}
