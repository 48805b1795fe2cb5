//! What people see in a browser: plain values in, a [`Page`] out.
//!
//! One file for each page, with its template beside it in `templates/pages`. Nothing here decides, and nothing
//! here knows a store or a route but for the paths that its forms post to. Every text from outside goes through
//! [`Shown`], which bounds it, and through the template, which escapes it.

mod confirm;
mod device;
mod done;
mod email_code;
mod error;
mod hidden;
mod page;
#[cfg(test)]
mod samples;
mod shown;
mod sign_in;
mod style;
#[cfg(test)]
mod tests;
mod when;

pub use agentkeys_api::paths::{
    DEVICE as DEVICE_PATH, OAUTH_CONFIRM as CONFIRM_PATH, OAUTH_SIGN_IN_CODE as CODE_PATH,
    OAUTH_SIGN_IN_EMAIL as EMAIL_PATH, OAUTH_SIGN_IN_PROVIDER as PROVIDER_PATH, STYLE as STYLE_PATH,
};
pub use confirm::{Confirm, ConfirmErrand};
pub use device::{Device, DeviceFault};
pub use done::Done;
pub use email_code::{CodeFault, EmailCode};
pub use error::{ErrorPage, Failure};
pub use hidden::Hidden;
pub use page::Page;
pub use shown::{Shown, ShownIdentity};
pub use sign_in::{EmailFault, EmailField, Errand, ProviderChoice, SignIn};
pub use style::style;
pub use when::{Asking, When};
