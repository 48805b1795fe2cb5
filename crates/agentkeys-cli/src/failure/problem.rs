use std::time::Duration;

use agentkeys_api::{ErrorCode, OauthError};

/// What to do next where a server has refused; `wait` is for how long to wait, where that may help.
pub(super) fn problem_hint(error: ErrorCode, wait: Option<Duration>, command: &str) -> Option<String> {
    let text = match (error, wait) {
        (ErrorCode::SignerDisabled, _) => {
            "a development signer needs DEV_KEY_SERVICE_MASTER_SECRET (64 hex digits); a TEE worker may be busy: try again, \
             and where it stays so, its operator finds the reason in its log"
                .to_owned()
        }
        (ErrorCode::DpopInvalid, _) => {
            format!("see that this machine's clock is right: `{command} doctor` compares it with the broker's")
        }
        (ErrorCode::DpopRequired, _) => {
            "leave `--no-bind` out: this broker takes only sessions that are bound to a device key".to_owned()
        }
        (ErrorCode::AgentNotAllowed | ErrorCode::AgentUnknown, _) => {
            format!("`{command} agent list` shows what agents may have; a person gives them more")
        }
        (
            ErrorCode::DeviceKeyRequired
            | ErrorCode::DeviceLimitReached
            | ErrorCode::DeviceNotPinned
            | ErrorCode::DeviceUnknown
            | ErrorCode::DeviceWaiting
            | ErrorCode::LastDevice,
            wait,
        ) => device_hint(error, wait, command),
        (ErrorCode::CodeExpired, _) => "do it again: that sends a new code".to_owned(),
        (ErrorCode::SignInNotAllowed, _) => "ask the broker's operator to allow it".to_owned(),
        (ErrorCode::ReauthRequired, _) => format!("{command} init --force"),
        (ErrorCode::IdentityTaken, _) => {
            "it opens an account of its own, and accounts do not merge: sign in with it there, and remove it first"
                .to_owned()
        }
        (ErrorCode::IdentityRetired, _) => {
            format!("sign in with another identity of the account; `{command} identities add` links this one again")
        }
        (ErrorCode::LastIdentity, _) => format!("link another one first: `{command} identities add`"),
        (ErrorCode::LinkExpired, _) => "do it again, and open the page in time".to_owned(),
        (ErrorCode::RateLimited, None) => "that was too often: try again in a minute".to_owned(),
        (ErrorCode::MailUnavailable, None) => "the broker cannot send mail now: try again later".to_owned(),
        (_, Some(wait)) => format!("try again in {}", crate::duration::display(wait)),
        _ => return None,
    };
    Some(text)
}

/// The ways to have a device let in.
fn device_hint(error: ErrorCode, wait: Option<Duration>, command: &str) -> String {
    let approve =
        format!("`{command} devices approve KEY` at another device, with the key that `{command} whoami` shows here");
    match (error, wait) {
        (ErrorCode::DeviceKeyRequired, _) => format!("sign in anew, without `--no-bind`: `{command} init --force`"),
        (ErrorCode::DeviceLimitReached, _) => {
            format!(
                "at a pinned device, `{command} devices list` shows them, and `{command} devices remove KEY` makes room; \
                 then sign in here anew: `{command} init --force`"
            )
        }
        (ErrorCode::DeviceUnknown, _) => format!("`{command} devices list` shows them"),
        (ErrorCode::LastDevice, _) => format!("let another one in first: `{command} devices approve KEY`"),
        (ErrorCode::DeviceWaiting, Some(wait)) => {
            format!("try again in {}; sooner: {approve}", crate::duration::display(wait))
        }
        (ErrorCode::DeviceWaiting, None) => approve,
        _ => format!(
            "{approve}; or sign in anew: `{command} init --force`, with `--new-device-key` where the key was taken away \
             because it may have leaked"
        ),
    }
}

/// What to do next where an authorization server has refused.
pub(super) fn oauth_hint(error: OauthError, retry_after: Option<Duration>, command: &str) -> String {
    match (error, retry_after) {
        (OauthError::AccessDenied, _) => {
            "where you did not refuse it yourself, ask the broker's operator to allow you in".to_owned()
        }
        (OauthError::ExpiredToken | OauthError::InvalidGrant, _) => format!("`{command} init` begins anew"),
        (OauthError::InvalidDpopProof, _) => {
            format!("see that this machine's clock is right: `{command} doctor` compares it with the broker's")
        }
        (_, Some(wait)) => format!("try again in {}", crate::duration::display(wait)),
        (OauthError::ServerError | OauthError::TemporarilyUnavailable, None) => "try again later".to_owned(),
        _ => format!("sign in with a code from a mail: `{command} init --email ADDRESS`"),
    }
}
