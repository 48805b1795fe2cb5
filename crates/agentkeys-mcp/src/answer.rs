use std::fmt;

use agentkeys_types::is_invisible;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

/// What a tool answers: a text for the model, and the same for programs.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) structured: Value,
}

impl Answer {
    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::structured(cleaned(self.structured));
        result.content = vec![ContentBlock::text(lines(&self.text))];
        result
    }

    /// The same as the reason why the tool did nothing.
    pub(crate) fn into_error(self) -> CallToolResult {
        let mut result = self.into_result();
        result.is_error = Some(true);
        result
    }
}

/// Text from elsewhere, on one line, without what a terminal or a reader cannot see.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&plain(self.0))
    }
}

/// The same, of something that is short where it is meant well.
pub(crate) fn short(text: &str) -> String {
    const LONGEST: usize = 64;
    let mut short: String = plain(text).chars().take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

fn plain(text: &str) -> String {
    let visible = |character: char| !character.is_control() && !is_invisible(character);
    text.chars().map(|character| if visible(character) { character } else { ' ' }).collect()
}

fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        Value::Array(values) => values.into_iter().map(cleaned).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, cleaned(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_cannot_be_seen_leaves_in_text_or_structure() {
        let structured = json!({ "a": ["\u{1b}[2J\u{202e}x", { "b": "l\ni\u{200b}ne" }], "n": 1 });
        let text = "one\u{7}\ntwo\r\u{2066}".to_owned();

        let result = Answer { text, structured }.into_result();

        assert_eq!(result.structured_content, Some(json!({ "a": [" [2J x", { "b": "l i ne" }], "n": 1 })));
        assert_eq!(result.content[0].as_text().unwrap().text, "one \ntwo  ");
    }

    #[test]
    fn what_should_be_short_is_cut() {
        assert_eq!(short("role"), "role");
        assert_eq!(short(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(short(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    }
}
