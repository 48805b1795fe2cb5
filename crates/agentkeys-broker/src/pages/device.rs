use askama::Template;
use http::StatusCode;

use super::{DEVICE_PATH, Hidden, Page, Shown};

/// Asks for the code that another machine shows.
#[derive(Debug, Default, Template)]
#[template(path = "pages/device.html")]
pub struct Device {
    /// What was typed before.
    pub typed: Shown,
    /// Why the form came back.
    pub fault: Option<DeviceFault>,
    /// What the form sends back, besides the code as `user_code`.
    pub hidden: Hidden,
}

impl Device {
    /// The page.
    pub fn page(&self) -> Page {
        Page::rendered(self.fault.map_or(StatusCode::OK, DeviceFault::status), self)
    }
}

/// Why a form with the code of a machine came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFault {
    /// Its time is over, or it was used.
    Expired,
    /// It has not the form of a code.
    Malformed,
    /// Too many codes were tried.
    TooOften,
    /// No machine shows this code.
    Unknown,
}

impl DeviceFault {
    fn status(self) -> StatusCode {
        match self {
            Self::Expired | Self::Malformed | Self::Unknown => StatusCode::BAD_REQUEST,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Expired => "This code is over. Start again on the machine, which then shows a new one.",
            Self::Malformed => "A code has 8 letters and digits, such as K7Q4-MF2X.",
            Self::TooOften => "Too many codes were tried. Wait a few minutes, then try again.",
            Self::Unknown => {
                "No machine shows this code now: it is mistyped, or over. Compare it with the screen, or start again there."
            }
        }
    }
}
