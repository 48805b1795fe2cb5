//! The authorization server for the broker's own clients, and the pages on which people sign in.

pub(super) mod authorize;
pub(super) mod callback;
pub(super) mod confirm;
pub(super) mod device_authorization;
pub(super) mod done;
pub(super) mod link;
mod refusal;
pub(super) mod revoke;
pub(super) mod sign_in;
pub(super) mod token;

use refusal::{OauthRefusal, holder};
