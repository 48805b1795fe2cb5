mod problem;
mod storage;

use agentkeys_api::ErrorCode;
use agentkeys_client::{ClientError, Exit};
use agentkeys_daemon::{RunError, SocketError};
use serde::Serialize;

use self::{
    problem::{oauth_hint, problem_hint},
    storage::Keeping,
};
use crate::{context::Context, edits::EditError, error::CliError};

/// The exit code for what failed before another program could be started.
const BEFORE_THE_PROGRAM: u8 = 125;

/// What a person or a program is told of a failure.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    code: String,
    pub(crate) exit: u8,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    retryable: bool,
}

impl Failure {
    /// Puts `error` into words, for the situation that `context` knows.
    pub(crate) fn of(error: &CliError, context: Option<&Context>) -> Self {
        Self {
            code: error.code().to_owned(),
            exit: error.exit(),
            message: message(error, context),
            hint: hint(error, context),
            retryable: error.retryable(),
        }
    }
}

impl Failure {
    /// For a command that stands for another program, whose exit codes ours must not be taken for: as `env` does it.
    #[must_use]
    pub(crate) fn before_the_program(self) -> Self {
        let is_told_apart = matches!(self.exit, 126 | 127) || self.exit == Exit::Interrupted.code();
        Self { exit: if is_told_apart { self.exit } else { BEFORE_THE_PROGRAM }, ..self }
    }

    /// Puts into words what is wrong with a call.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Self {
            code: "usage".to_owned(),
            exit: Exit::Usage.code(),
            message: first.trim_start_matches("error: ").to_owned(),
            hint: Some("agentkeys help".to_owned()),
            retryable: false,
        }
    }
}

fn message(error: &CliError, context: Option<&Context>) -> String {
    if let (CliError::Client(ClientError::Unreachable { url, .. }), Some(context)) = (error, context)
        && let Some(server) = Server::at(url, context)
    {
        return format!("no {} answered at `{url}`", server.name());
    }
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    // A cause that its effect already repeats, or that only a log should hold, is left out.
    while let (Some(source), true) = (cause, tells_its_cause(error)) {
        let text = source.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = source.source();
    }
    message
}

fn tells_its_cause(error: &CliError) -> bool {
    matches!(
        error,
        CliError::Child(_)
            | CliError::Config(_)
            | CliError::Daemon(_)
            | CliError::Endpoint(_)
            | CliError::PrivateFile(_)
            | CliError::System(_)
    )
}

/// Which of the servers was asked.
enum Server {
    Broker,
    Signer,
}

impl Server {
    fn at(url: &str, context: &Context) -> Option<Self> {
        if url == context.settings.broker_url.to_string() {
            return Some(Self::Broker);
        }
        (url == context.settings.signer_url.to_string()).then_some(Self::Signer)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Signer => "signer",
        }
    }
}

/// What to do next.
fn hint(error: &CliError, context: Option<&Context>) -> Option<String> {
    let is_dev = context.is_some_and(Context::is_dev);
    let command = context.map_or_else(|| "agentkeys".to_owned(), Context::command);
    let text = match error {
        CliError::Client(error) => return client_hint(error, context, is_dev, &command),
        #[cfg(feature = "dev")]
        CliError::Dev(error) => return error.hint(),
        CliError::Daemon(RunError::Socket(SocketError::AlreadyServed(_))) => {
            format!("ask it how it is doing with `{command} daemon status`")
        }
        CliError::DaemonUntold { .. } => format!(
            "end it: `{command} daemon stop`; where it does not listen to that, end its process, which may still hand out \
             what it has"
        ),
        CliError::Daemon(RunError::NoRole) | CliError::NoRole { .. } => {
            let file = context.map(|context| context.places.config_file().display().to_string()).unwrap_or_default();
            let section = context
                .filter(|context| !context.profile.is_default())
                .map(|context| format!("profiles.{}.aws", context.profile));
            let section = section.as_deref().unwrap_or("aws");
            format!("name it in `{file}`: section [{section}], role_arn = \"arn:aws:iam::123456789012:role/agents\"")
        }
        CliError::UnknownRole(name) => {
            let file = context.map(|context| context.places.config_file().display().to_string()).unwrap_or_default();
            let section = context
                .filter(|context| !context.profile.is_default())
                .map(|context| format!("profiles.{}.", context.profile))
                .unwrap_or_default();
            format!(
                "name it in `{file}`: section [{section}aws.roles.{name}], role_arn = \"arn:aws:iam::123456789012:role/agents\""
            )
        }
        CliError::NotOurs(_) => "`--aws-profile` takes another name, `--force` replaces it".to_owned(),
        CliError::Edit { source: EditError::NotOurs(_), .. } => "rename or remove it, and do it again".to_owned(),
        CliError::Edit { .. } => "mend it by hand, and do it again".to_owned(),
        CliError::HereOnly { agent, source } if source.needs_sign_in() => {
            format!("sign in, and do it again: `{command} init`, `{command} agent revoke {agent}`")
        }
        CliError::HereOnly { agent, .. } => {
            format!("do it again as soon as the broker answers: `{command} agent revoke {agent}`")
        }
        CliError::LogBroken { .. } => {
            "keep all of it as it is, take the signer out of use, and compare it with a copy and with the checkpoints that \
             clients have kept"
                .to_owned()
        }
        CliError::NoAgent(_) => format!("`{command} agent list` shows them"),
        CliError::NoDevice(_) => format!("`{command} devices list` shows them"),
        CliError::NoRequest(_) => format!("`{command} agent requests` shows them"),
        CliError::DeviceKeyUnread { source, is_to_be_bound } => {
            Keeping::of(context).device_key_hint(source, *is_to_be_bound)
        }
        CliError::EndsSoon(_) => format!("{command} init --force"),
        CliError::NoIdentity(_) => format!("`{command} identities list` shows them"),
        CliError::NoPerson => {
            "leave `--no-input` out; where a program reads the mail, `--email ADDRESS` takes the code from stdin"
                .to_owned()
        }
        CliError::OperatorsFile { next, .. } => (*next).to_owned(),
        CliError::PolicyUnsigned(_) => {
            "`--release-key KEY` names the key that has signed it, which you have from the worker's operator by another way"
                .to_owned()
        }
        CliError::NoTerminal => "pipe the code in, or leave `--no-input` out".to_owned(),
        CliError::SignedInAsOther(_) => {
            format!("`{command} init --force` signs in anew; another `--profile` keeps both")
        }
        _ => return None,
    };
    Some(text)
}

fn client_hint(error: &ClientError, context: Option<&Context>, is_dev: bool, command: &str) -> Option<String> {
    let text = match error {
        ClientError::NoDaemon { .. } if is_dev => "start one with `agentkeys dev`".to_owned(),
        ClientError::NoDaemon { .. } => format!("start one with `{command} daemon run`"),
        error if error.needs_sign_in() && is_dev => "start `agentkeys dev`, which signs in by itself".to_owned(),
        ClientError::OtherBroker { expected, .. } => format!(
            "point `--broker-url` at {expected}, or sign in here: `{command} init --force`, or another `--profile`"
        ),
        error if error.needs_sign_in() && context.is_some_and(Context::is_in_memory) => {
            format!("`{command} init --store memory` signs in and serves credentials until it ends")
        }
        ClientError::Problem { problem, .. } if problem.error == ErrorCode::TokenRevoked => {
            format!("`{command} init`, with `--new-device-key` where the key of this device may have leaked")
        }
        error if error.needs_sign_in() => format!("{command} init"),
        ClientError::Unreachable { url, .. } => match context.and_then(|context| Server::at(url, context)) {
            Some(Server::Broker) => "start one with `agentkeys-broker`, or point `--broker-url` at yours".to_owned(),
            Some(Server::Signer) => {
                "start one with `agentkeys-mock-server` (for development), or point `--signer-url` at yours".to_owned()
            }
            None => "check the address and the network, and try again".to_owned(),
        },
        ClientError::Storage(_) if is_dev => "start `agentkeys dev`, which needs no keychain".to_owned(),
        ClientError::Storage(error) => Keeping::of(context).storage_hint(error),
        ClientError::UnattestedSigner { .. } => {
            let place = context.map(|context| context.places.attestation_policy().display().to_string());
            format!(
                "put its operator's attestation policy at `{}`, or name it: `--attestation-policy FILE`; where you trust \
                 the network and the machine, spell out `--allow-unattested-signer`",
                place.as_deref().unwrap_or("~/.config/agentkeys/attestation-policy.toml")
            )
        }
        ClientError::NotRestoring { .. } => {
            "only one that was started with `backup.restore_identity` takes a share, and only until it has enough: \
             `--signer-url` names it"
                .to_owned()
        }
        ClientError::AttestationInvalid { check, .. } if check == "memory" => return None,
        ClientError::AttestationInvalid { check, .. } if check == "channel" => {
            "point `--signer-url` at the signer of that policy; for a development signer of your own, say `allow_dev = true` \
             there, or name another policy: `--attestation-policy FILE`"
                .to_owned()
        }
        ClientError::AttestationInvalid { .. } => format!(
            "`{command} attestation show --explain` shows each check; ask the signer's operator, and believe no other one"
        ),
        ClientError::PolicyUnusable { .. } => {
            "the signer's operator gives you the policy, its signature (FILE.sig) and the release key".to_owned()
        }
        ClientError::NoCode => "do it again: that sends a new code".to_owned(),
        ClientError::NotApproved => "do it again, and open the page in time".to_owned(),
        ClientError::Loopback(_) => format!("`{command} init --device` needs no browser on this machine"),
        ClientError::OtherIssuer { issuer, .. } => format!("if that is your broker: `--broker-url {issuer}`"),
        ClientError::Oauth { problem, retry_after } => oauth_hint(problem.error, *retry_after, command),
        ClientError::Problem { problem, retry_after } => {
            let is_worth_waiting = error.exit() == Exit::Unreachable || problem.error == ErrorCode::DeviceWaiting;
            return problem_hint(problem.error, retry_after.filter(|_| is_worth_waiting), command);
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentkeys_api::Problem;

    use super::*;

    fn failure(error: ErrorCode) -> Failure {
        let error = ClientError::Problem { problem: Problem::new(error, "No."), retry_after: None };
        Failure::of(&error.into(), None)
    }

    #[test]
    fn what_a_server_refuses_comes_with_a_way_out() {
        for (error, exit, hint) in [
            (ErrorCode::ReauthRequired, 3, "agentkeys init --force"),
            (ErrorCode::LinkExpired, 7, "do it again, and open the page in time"),
            (ErrorCode::LastIdentity, 1, "link another one first: `agentkeys identities add`"),
            (ErrorCode::SignInNotAllowed, 4, "ask the broker's operator to allow it"),
            (ErrorCode::LastDevice, 1, "let another one in first: `agentkeys devices approve KEY`"),
            (ErrorCode::DeviceUnknown, 5, "`agentkeys devices list` shows them"),
            (ErrorCode::DeviceKeyRequired, 4, "sign in anew, without `--no-bind`: `agentkeys init --force`"),
            (
                ErrorCode::DeviceLimitReached,
                4,
                "at a pinned device, `agentkeys devices list` shows them, and `agentkeys devices remove KEY` makes room; then \
                 sign in here anew: `agentkeys init --force`",
            ),
            (ErrorCode::RateLimited, 6, "that was too often: try again in a minute"),
            (
                ErrorCode::SignerDisabled,
                6,
                "a development signer needs DEV_KEY_SERVICE_MASTER_SECRET (64 hex digits); a TEE worker may be busy: try \
                 again, and where it stays so, its operator finds the reason in its log",
            ),
        ] {
            let failure = failure(error);

            assert_eq!((failure.exit, failure.hint.as_deref()), (exit, Some(hint)), "{error}");
        }
    }

    #[test]
    fn a_key_that_may_have_leaked_does_not_come_in_again_by_the_hint() {
        for (error, exit, way_back) in [
            (ErrorCode::DeviceNotPinned, 4, "sign in anew: `agentkeys init --force`, with `--new-device-key` where"),
            (ErrorCode::TokenRevoked, 3, "`agentkeys init`, with `--new-device-key` where"),
        ] {
            let failure = failure(error);

            assert_eq!(failure.exit, exit, "{error}");
            let hint = failure.hint.unwrap();
            assert!(hint.contains(way_back) && hint.ends_with("may have leaked"), "{hint}");
        }
    }

    #[test]
    fn a_device_that_waits_is_told_until_when_and_who_can_let_it_in() {
        let problem = Problem::new(ErrorCode::DeviceWaiting, "No.");
        let error = ClientError::Problem { problem, retry_after: Some(Duration::from_hours(25)) };

        let failure = Failure::of(&error.into(), None);

        let approve =
            "`agentkeys devices approve KEY` at another device, with the key that `agentkeys whoami` shows here";
        assert_eq!((failure.exit, failure.hint), (7, Some(format!("try again in 1d 1h; sooner: {approve}"))));
    }

    #[test]
    fn whoever_asked_too_often_is_told_for_how_long_to_wait() {
        let problem = Problem::new(ErrorCode::RateLimited, "No.");
        let error = ClientError::Problem { problem, retry_after: Some(Duration::from_secs(40)) };

        let failure = Failure::of(&error.into(), None);

        assert_eq!((failure.exit, failure.hint.as_deref()), (6, Some("try again in 40s")));
        assert!(failure.retryable);
    }

    #[test]
    fn a_broker_of_another_name_is_named() {
        let (url, issuer) = ("http://localhost:8470".to_owned(), "http://127.0.0.1:8470".to_owned());

        let failure = Failure::of(&ClientError::OtherIssuer { url, issuer }.into(), None);

        assert_eq!(failure.message, "the broker at `http://localhost:8470` calls itself `http://127.0.0.1:8470`");
        assert_eq!(failure.hint.as_deref(), Some("if that is your broker: `--broker-url http://127.0.0.1:8470`"));
    }
}
