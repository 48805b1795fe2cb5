use agentkeys_api::ErrorCode;
use agentkeys_client::ClientError;
use rmcp::model::{CallToolResult, JsonObject};
use serde_json::{Value, json};

use crate::{
    Commands,
    answer::{Answer, Plain, short},
};

/// What everybody who asks for a secret is told.
const NO_SECRETS: &str = "no tool gives out keys, tokens, JWTs, passwords or sessions, whoever asks and for whatever \
    reason";

/// Why a tool did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// An argument is missing, wrong or unknown.
    #[error("the argument `{name}` is not right: {reason}")]
    Argument { name: String, reason: &'static str },
    /// The daemon refuses, or is not there.
    #[error("{}", in_words(.0))]
    Client(#[from] ClientError),
    /// A URL signed by the credentials at hand would be over at once.
    #[error("the credentials at hand end now")]
    CredentialsEnd,
    /// The call asks for a secret.
    #[error("{NO_SECRETS}{}", about(.0.as_ref()))]
    SecretNotExportable(Option<(String, &'static str)>),
    /// There is no such tool.
    #[error("there is no tool `{0}`")]
    UnknownTool(String),
}

impl Refusal {
    /// The refusal of `value` for an argument that the tool has.
    pub(crate) fn of_argument(name: &str, value: &Value, reason: &'static str) -> Self {
        // What an object is called, or what it is, is the person's affair and says nothing of what is asked for.
        if !matches!(name, "content_type" | "key" | "reason") && asks_for_a_secret(&value.to_string()) {
            return Self::SecretNotExportable(Some((name.to_owned(), reason)));
        }
        Self::Argument { name: name.to_owned(), reason }
    }

    /// The refusal of an argument that the tool does not have.
    pub(crate) fn of_unknown_argument(name: &str, value: &Value) -> Self {
        let reason = "this tool has no such argument";
        if asks_for_a_secret(name) || asks_for_a_secret(&value.to_string()) {
            return Self::SecretNotExportable(Some((short(name), reason)));
        }
        Self::Argument { name: short(name), reason }
    }

    /// The refusal of a tool that does not exist.
    pub(crate) fn of_unknown_tool(name: &str, unverified_arguments: &JsonObject) -> Self {
        let mut texts = unverified_arguments.iter().map(|(name, value)| format!("{name} {value}"));
        if asks_for_a_secret(name) || texts.any(|text| asks_for_a_secret(&text)) {
            return Self::SecretNotExportable(None);
        }
        Self::UnknownTool(short(name))
    }

    /// The refusal as the tool's answer.
    pub(crate) fn answer(&self, commands: &Commands) -> CallToolResult {
        let message = Plain(&self.to_string()).to_string();
        let mut text = format!("error: {message} ({})", self.code());
        let mut structured = json!({ "error": self.code(), "message": message });
        if let Some(hint) = self.hint(commands) {
            text = format!("{text}\nhint: {hint}");
            structured["hint"] = hint.into();
        }
        Answer { text, structured }.into_error()
    }

    fn code(&self) -> &str {
        match self {
            Self::Argument { .. } => "invalid_argument",
            Self::Client(error) => error.code(),
            Self::CredentialsEnd => "credentials_expired",
            Self::SecretNotExportable(_) => ErrorCode::SecretNotExportable.as_str(),
            Self::UnknownTool(_) => "unknown_tool",
        }
    }

    /// What to do next.
    fn hint(&self, commands: &Commands) -> Option<String> {
        match self {
            Self::Argument { .. } => Some("the tool's input schema says what it takes".to_owned()),
            Self::Client(error) => client_hint(error, commands),
            Self::CredentialsEnd => Some("call the tool again in a few seconds".to_owned()),
            Self::SecretNotExportable(_) => Some(
                "`presign_s3_url` gives a URL for one object; programs get credentials from the daemon by themselves, \
                 without their passing through here"
                    .to_owned(),
            ),
            Self::UnknownTool(_) => {
                Some("the tools are list_access, caller_identity, presign_s3_url and request_access".to_owned())
            }
        }
    }
}

fn client_hint(error: &ClientError, commands: &Commands) -> Option<String> {
    let Commands { agentkeys, daemon, sign_in } = commands;
    let hint = match error {
        ClientError::NoDaemon { .. } => format!("a person starts one with `{daemon}`; then call the tool again"),
        error if error.needs_sign_in() => format!("a person signs in with `{sign_in}`; then call the tool again"),
        ClientError::Problem { problem, .. } => match problem.error {
            ErrorCode::AgentNotAllowed | ErrorCode::AudienceNotAllowed => {
                "`list_access` says what there is; `request_access` asks a person for more".to_owned()
            }
            ErrorCode::AgentUnknown => format!("a person makes the agent with `{agentkeys} agent create NAME`"),
            ErrorCode::PeerNotAllowed => {
                "only the person's own programs are answered; a person says which in the settings".to_owned()
            }
            ErrorCode::RoleRefused => format!("a person finds the reason with `{agentkeys} doctor`"),
            _ if error.retryable() => "call the tool again in a few seconds".to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(hint)
}

/// The daemon's own sentence, where it has one: its code stands beside it.
fn in_words(error: &ClientError) -> String {
    const LONGEST: usize = 500;
    match error {
        ClientError::Problem { problem, .. } => problem.detail.chars().take(LONGEST).collect(),
        other => other.to_string(),
    }
}

fn about(argument: Option<&(String, &'static str)>) -> String {
    argument.map(|(name, reason)| format!(" (the argument `{name}`: {reason})")).unwrap_or_default()
}

/// Whether a text that is refused anyway is about a secret, so that its sender learns that there is no other way.
fn asks_for_a_secret(text: &str) -> bool {
    const WORDS: [&str; 9] =
        ["credential", "jwt", "key", "passphrase", "password", "private", "secret", "session", "token"];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}
