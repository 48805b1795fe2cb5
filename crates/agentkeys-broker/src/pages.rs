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

pub use confirm::{Confirm, ConfirmErrand};
pub use device::{Device, DeviceFault};
pub use done::Done;
pub use email_code::{CodeFault, EmailCode};
pub use error::{ErrorPage, Failure};
pub use hidden::Hidden;
pub use page::Page;
pub use shown::{Shown, ShownIdentity};
pub use sign_in::{EmailFault, EmailField, Errand, ProviderChoice, SignIn};
pub use style::{STYLE_PATH, style};
pub use when::{Asking, When};

/// Where the button of a provider posts to.
pub const PROVIDER_PATH: &str = "/oauth/sign-in/provider";
/// Where an e-mail address is posted to.
pub const EMAIL_PATH: &str = "/oauth/sign-in/email";
/// Where the code from the mail is posted to.
pub const CODE_PATH: &str = "/oauth/sign-in/code";
/// Where the last button is posted to, with `decision` = `approve` or `refuse`.
pub const CONFIRM_PATH: &str = "/oauth/confirm";
/// Where a person types the code that a machine shows.
pub const DEVICE_PATH: &str = "/device";
