//! From an `OpenAPI` 3.1 description to a page that people read.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// The page: routes in the description's order, then every body's fields.
pub(super) fn render(description: &str) -> Result<String> {
    let api: Value = serde_json::from_str(description).context("the description is not JSON")?;
    let mut page = format!("# {}: HTTP API\n", text(&api["info"], "title"));
    let about = text(&api["info"], "description");
    if !about.is_empty() {
        write!(page, "\n{about}\n")?;
    }
    for (path, operations) in members(&api["paths"]) {
        for (method, operation) in members(operations).filter(|(_, operation)| operation["responses"].is_object()) {
            route(&mut page, &format!("{} {path}", method.to_uppercase()), operation)?;
        }
    }
    let mut schemas: Vec<_> = members(&api["components"]["schemas"]).collect();
    schemas.sort_by_key(|(name, _)| *name);
    for (name, schema) in schemas {
        body(&mut page, name, schema)?;
    }
    Ok(page)
}

fn route(page: &mut String, title: &str, operation: &Value) -> Result<()> {
    write!(page, "\n## `{title}`\n\n")?;
    for part in [text(operation, "summary"), text(operation, "description")] {
        if !part.is_empty() {
            write!(page, "{part}\n\n")?;
        }
    }
    let schemes = items(&operation["security"]).flat_map(members).map(|(name, _)| name.replace('_', " "));
    let schemes: Vec<_> = schemes.collect();
    if !schemes.is_empty() {
        write!(page, "Bearer: {}.\n\n", schemes.join(" or "))?;
    }
    for parameter in items(&operation["parameters"]) {
        named(page, text(parameter, "name"), text(parameter, "in"), parameter)?;
    }
    if items(&operation["parameters"]).next().is_some() {
        page.push('\n');
    }
    if let Some(request) = content(&operation["requestBody"]) {
        let parts = [request, cell(&operation["requestBody"])];
        write!(page, "Request: {}\n\n", parts.join(" ").trim())?;
    }
    page.push_str("| status | body | when |\n|---|---|---|\n");
    for (status, response) in members(&operation["responses"]) {
        let body = content(response).unwrap_or_default();
        writeln!(page, "| {status} | {body} | {} |", cell(response))?;
    }
    let mut separator = "\n";
    for (status, response) in members(&operation["responses"]) {
        for (name, header) in members(&response["headers"]) {
            page.push_str(std::mem::take(&mut separator));
            named(page, name, &format!("header of {status}"), header)?;
        }
    }
    Ok(())
}

/// A line for a parameter or a header.
fn named(page: &mut String, name: &str, place: &str, what: &Value) -> Result<()> {
    let about = cell(what);
    let separator = if about.is_empty() { "" } else { ": " };
    writeln!(page, "- `{name}` ({place}, {}){separator}{about}", kind(&what["schema"]))?;
    Ok(())
}

fn body(page: &mut String, name: &str, schema: &Value) -> Result<()> {
    write!(page, "\n### {name}\n\n")?;
    let about = text(schema, "description");
    if !about.is_empty() {
        write!(page, "{about}\n\n")?;
    }
    if members(&schema["properties"]).next().is_none() {
        writeln!(page, "{}", kind(schema))?;
        return Ok(());
    }
    page.push_str("| field | type | |\n|---|---|---|\n");
    for (field, property) in members(&schema["properties"]) {
        let is_required = items(&schema["required"]).any(|required| required == field.as_str());
        let optional = if is_required { "" } else { "optional." };
        let about = format!("{optional} {}", cell(property));
        writeln!(page, "| `{field}` | {} | {} |", kind(property), about.trim())?;
    }
    Ok(())
}

/// The type of the first content of a request or a response.
fn content(body: &Value) -> Option<String> {
    let (media_type, content) = members(&body["content"]).next()?;
    let schema = kind(&content["schema"]);
    Some(if media_type.ends_with("json") { schema } else { format!("{schema} `{media_type}`") })
}

/// A schema in a few words; a named one as a link.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for alternatives in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<_> = items(&schema[alternatives]).map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let values: Vec<_> = items(&schema["enum"]).map(|value| format!("`{}`", plain(value))).collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().map(plain).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default().trim()
}

/// A description on one line, so that it fits into a table.
fn cell(value: &Value) -> String {
    text(value, "description").split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_route_shows_its_bearer_its_request_and_its_answers() {
        let api = json!({
            "info": {"title": "Broker", "description": "What the broker answers."},
            "paths": {"/v1/wallet/link": {"post": {
                "summary": "Links a wallet.",
                "security": [{"session": []}],
                "parameters": [
                    {"name": "DPoP", "in": "header", "schema": {"type": "string"}, "description": "The proof."},
                    {"name": "wait", "in": "query", "schema": {"type": "integer"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkWallet"}}}},
                "responses": {
                    "201": {"description": "Linked,\nnot proved | yet."},
                    "429": {"headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}},
                },
            }}},
            "components": {"schemas": {"LinkWallet": {
                "description": "Which wallet.",
                "required": ["address"],
                "properties": {
                    "address": {"type": "string", "description": "EIP-55."},
                    "tags": {"type": ["array", "null"]},
                },
            }}},
        });

        let page = render(&api.to_string()).unwrap();

        assert_eq!(
            page,
            "# Broker: HTTP API\n\nWhat the broker answers.\n\
             \n## `POST /v1/wallet/link`\n\nLinks a wallet.\n\nBearer: session.\n\n\
             - `DPoP` (header, string): The proof.\n- `wait` (query, integer)\n\nRequest: [LinkWallet](#linkwallet)\n\n\
             | status | body | when |\n|---|---|---|\n| 201 |  | Linked, not proved \\| yet. |\n| 429 |  |  |\n\n\
             - `Retry-After` (header of 429, integer): Seconds.\n\
             \n### LinkWallet\n\nWhich wallet.\n\n| field | type | |\n|---|---|---|\n\
             | `address` | string | EIP-55. |\n| `tags` | array or null | optional. |\n"
        );
    }

    #[test]
    fn types_are_told_in_a_few_words() {
        for (schema, expected) in [
            (json!({"$ref": "#/components/schemas/Problem"}), "[Problem](#problem)"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Agent"}]}), "null or [Agent](#agent)"),
            (json!({"type": "string", "enum": ["pending", "proved"]}), "`pending`, `proved`"),
            (json!({}), "any"),
        ] {
            assert_eq!(kind(&schema), expected);
        }
    }
}
