use std::str::FromStr;

use agentkeys_types::Invalid;
use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

use crate::refusal::Refusal;

/// The arguments of a call, none of which the tool does not have.
pub(crate) struct Arguments<'a>(&'a JsonObject);

impl<'a> Arguments<'a> {
    /// Those of a call of `tool`.
    pub(crate) fn of(tool: &Tool, unverified: &'a JsonObject) -> Result<Self, Refusal> {
        let properties = tool.input_schema.get("properties").and_then(Value::as_object);
        let is_known = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
        match unverified.iter().find(|(name, _)| !is_known(name)) {
            Some((name, value)) => Err(Refusal::of_unknown_argument(name, value)),
            None => Ok(Self(unverified)),
        }
    }

    /// A text that must be there, as what it has to be.
    pub(crate) fn required<T: FromStr<Err = Invalid>>(&self, name: &'static str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or(Refusal::Argument { name: name.to_owned(), reason: "it is missing" })
    }

    /// A text that may be there, as what it has to be.
    pub(crate) fn optional<T: FromStr<Err = Invalid>>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let Value::String(text) = value else { return Err(Refusal::of_argument(name, value, "it must be a text")) };
        text.parse().map(Some).map_err(|Invalid(reason)| Refusal::of_argument(name, value, reason))
    }

    /// A whole number that may be there.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let reason = "it must be a whole number, 0 or more";
        value.as_u64().map(Some).ok_or_else(|| Refusal::of_argument(name, value, reason))
    }
}
