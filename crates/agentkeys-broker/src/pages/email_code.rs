use askama::Template;
use http::StatusCode;

use super::{CODE_PATH, Hidden, Page, Shown};

/// Asks for the code from the mail.
#[derive(Debug, Template)]
#[template(path = "pages/email_code.html")]
pub struct EmailCode {
    /// The address that the mail went to, as [`Shown::masked`] gives it.
    pub address: Shown,
    /// How many minutes the code still works.
    pub minutes: u64,
    /// Why the form came back.
    pub fault: Option<CodeFault>,
    /// What the form sends back, besides the code as `code`.
    pub hidden: Hidden,
}

impl EmailCode {
    /// The page.
    pub fn page(&self) -> Page {
        let status = if self.fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Page::rendered(status, self)
    }

    /// The time that is left, in words.
    fn left(&self) -> String {
        match self.minutes {
            0 => "for less than a minute".to_owned(),
            1 => "for 1 minute".to_owned(),
            minutes => format!("for {minutes} minutes"),
        }
    }
}

/// Why a form with a code came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFault {
    /// It has not the form of a code; no try was used up.
    Malformed,
    /// It is not the code of this mail.
    Wrong,
}

impl CodeFault {
    fn text(self) -> &'static str {
        match self {
            Self::Malformed => "A code has 8 letters and digits, such as K7Q4-MF2X.",
            Self::Wrong => "That was not the code. Compare it with the newest mail and type it again.",
        }
    }
}
