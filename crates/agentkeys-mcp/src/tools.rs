//! One file for each tool, named after it: what the client is told of it, and what it does.

pub(crate) mod caller_identity;
pub(crate) mod list_access;
pub(crate) mod presign_s3_url;
pub(crate) mod request_access;

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

/// A tool with these arguments and no others.
fn describe(name: &'static str, title: &str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), required.iter().copied().collect());
    schema.insert("additionalProperties".to_owned(), false.into());
    Tool::new(name, description, Arc::new(schema)).with_title(title)
}

/// What is told of a tool that changes nothing.
fn read_only() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false)
}

/// The argument that names a role of the settings.
fn role_property() -> Value {
    json!({
        "type": "string",
        "pattern": "^[a-z0-9_-]{1,32}$",
        "default": "default",
        "description": "The name of a role, as list_access gives it."
    })
}
