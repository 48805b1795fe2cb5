use askama::Template;
use http::StatusCode;

use super::{Page, Shown, ShownIdentity};

/// Says that a browser's part is over, and how it ended.
#[derive(Clone, Debug)]
pub enum Done {
    /// The command on the computer of this browser is signed in.
    Command {
        /// What the machine calls itself.
        machine: Option<Shown>,
    },
    /// Another machine is signed in.
    Device {
        /// What the machine calls itself.
        machine: Option<Shown>,
    },
    /// The identity may be linked; the terminal that asked completes it.
    Linked {
        /// The new identity.
        identity: ShownIdentity,
        /// An identity that opened the account before.
        account: ShownIdentity,
    },
    /// The person said no.
    Refused,
}

impl Done {
    /// The page.
    pub fn page(&self) -> Page {
        Page::rendered(StatusCode::OK, &Text { done: self })
    }
}

#[derive(Template)]
#[template(path = "pages/done.html")]
struct Text<'a> {
    done: &'a Done,
}
