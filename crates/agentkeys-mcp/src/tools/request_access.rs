use std::str::FromStr;

use agentkeys_api::{AccessKind, AccessRequest, Audience};
use agentkeys_types::{Invalid, RoleName};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::json;

use super::describe;
use crate::{
    AgentTools,
    answer::{Answer, short},
    arguments::Arguments,
    refusal::Refusal,
};

pub(crate) const NAME: &str = "request_access";

const DESCRIPTION: &str = "Asks the person for an AWS role or a JWT audience that list_access does not list. Nothing \
    is granted by the call: the person sees the request with its reason, and approves or refuses it with the command \
    that the answer names. Tell them so, and call list_access later to see whether they did. Keys, tokens, passwords \
    and sessions cannot be asked for.";

const LONGEST_REASON: usize = 256;

pub(crate) fn tool() -> Tool {
    let properties = json!({
        "kind": { "type": "string", "enum": ["role", "audience"], "description": "What kind of thing." },
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "description": "Which one: the name of a role of the person's settings, or an audience."
        },
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_REASON,
            "description": "What it is for, in one sentence for the person who decides."
        }
    });
    let annotations = ToolAnnotations::new().read_only(false).destructive(false).idempotent(false).open_world(false);
    describe(NAME, "Request access", DESCRIPTION, properties, &["kind", "name", "reason"]).with_annotations(annotations)
}

pub(crate) async fn call(tools: &AgentTools, arguments: Arguments<'_>) -> Result<Answer, Refusal> {
    let Kind(kind) = arguments.required("kind")?;
    let name = match kind {
        AccessKind::Audience => arguments.required::<Audience>("name")?.to_string(),
        AccessKind::Role => arguments.required::<RoleName>("name")?.to_string(),
    };
    let Reason(reason) = arguments.required("reason")?;
    let request = AccessRequest { kind, name, reason, agent: tools.agent.clone() };
    let requested = tools.daemon.request_access(&request).await?;
    let id = short(&requested.id);
    let approve = format!("{} agent approve {id}", tools.commands.agentkeys);
    let text = format!(
        "Asked, as request {id}. Nothing is granted yet: a person must approve it with `{approve}`. Call list_access \
         later to see whether they did."
    );
    let structured = json!({ "id": id, "granted": false, "approve_with": approve });
    Ok(Answer { text, structured })
}

struct Kind(AccessKind);

impl FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "audience" => Ok(Self(AccessKind::Audience)),
            "role" => Ok(Self(AccessKind::Role)),
            _ => Err(Invalid("it must be role or audience: nothing else can be given")),
        }
    }
}

/// A reason in the agent's words. They reach a person's terminal, so they are such as it can show.
struct Reason(String);

impl FromStr for Reason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_hidden = |character: char| character.is_control() || agentkeys_types::is_invisible(character);
        if text.trim().is_empty() || text.chars().count() > LONGEST_REASON || text.chars().any(is_hidden) {
            return Err(Invalid("a reason is 1 to 256 characters, all of which can be seen, on one line"));
        }
        Ok(Self(text.to_owned()))
    }
}
