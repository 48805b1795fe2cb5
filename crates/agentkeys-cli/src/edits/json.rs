//! Changes of a JSON text that leave every byte of the rest as it is.

#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value, ser::PrettyFormatter};

use super::EditError;

/// The value at `path`.
pub(super) fn member(text: &str, path: &[String]) -> Result<Option<Value>, EditError> {
    let document = parse(text)?;
    Ok(path.iter().try_fold(&document, |value, key| value.as_object()?.get(key)).cloned())
}

/// The value at `path` as it is written there.
pub(super) fn member_text(text: &str, path: &[String]) -> Result<Option<String>, EditError> {
    parse(text)?;
    let text = started(text);
    Ok(Walk::along(text, path)?.found().map(|value| text[value].to_owned()))
}

/// How many of the objects above `path` are not there yet.
pub(super) fn missing_parents(text: &str, path: &[String]) -> Result<usize, EditError> {
    parse(text)?;
    Ok(Walk::along(started(text), path)?.missing.saturating_sub(1))
}

/// The text with `value` at `path`: in place of what is there, or as the first member of its object.
pub(super) fn with_member(text: &str, path: &[String], value: &Value) -> Result<String, EditError> {
    parse(text)?;
    let text = started(text);
    let walk = Walk::along(text, path)?;
    if let Some(found) = walk.found() {
        let rendered = Style::of(text).render(value, line_indent(text, found.start));
        return Ok(replaced(text, found, &rendered));
    }
    let Some((key, inner)) = path[path.len() - walk.missing..].split_first() else { return Ok(text.to_owned()) };
    let nested = inner.iter().rev().fold(value.clone(), |value, key| Map::from_iter([(key.clone(), value)]).into());
    Ok(with_first(text, walk.value, Some(key), &nested))
}

/// The text with exactly these bytes as the value at `path`, where there is one.
pub(super) fn with_member_text(text: &str, path: &[String], raw: &str) -> Result<String, EditError> {
    parse(text)?;
    let found = Walk::along(started(text), path)?.found();
    Ok(found.map_or_else(|| text.to_owned(), |found| replaced(text, found, raw)))
}

/// The text without the member at `path`, and without as many of its `parents` as that leaves empty.
pub(super) fn without_member(text: &str, path: &[String], parents: usize) -> Result<String, EditError> {
    let mut text = without_one(text, path)?;
    for above in 1..=parents.min(path.len().saturating_sub(1)) {
        let parent = &path[..path.len() - above];
        match member(&text, parent)? {
            Some(Value::Object(members)) if members.is_empty() => text = without_one(&text, parent)?,
            _ => break,
        }
    }
    Ok(text)
}

/// Whether the list at `path` has this item.
pub(super) fn has_item(text: &str, path: &[String], item: &str) -> Result<bool, EditError> {
    let list = member(text, path)?;
    Ok(list.is_some_and(|list| list.as_array().is_some_and(|items| items.iter().any(|found| found == item))))
}

/// The text with this item as the first of the list at `path`.
pub(super) fn with_item(text: &str, path: &[String], item: &str) -> Result<String, EditError> {
    match member(text, path)? {
        None => with_member(text, path, &Value::from(vec![item])),
        Some(Value::Array(_)) => {
            let list = Walk::along(text, path)?.value;
            Ok(with_first(text, list, None, &Value::from(item)))
        }
        Some(_) => Err(EditError::Shape { path: path.join("."), expected: "a list" }),
    }
}

/// The text without this item in the list at `path`.
pub(super) fn without_item(text: &str, path: &[String], item: &str) -> Result<String, EditError> {
    parse(text)?;
    let text = started(text);
    let Some(list) = Walk::along(text, path)?.found() else { return Ok(text.to_owned()) };
    let elements = elements(text, list.start);
    let is_meant = |element: &Element| {
        serde_json::from_str::<Value>(&text[element.value.clone()]).is_ok_and(|value| value == item)
    };
    let position = elements.iter().position(is_meant);
    Ok(position.map_or_else(|| text.to_owned(), |position| without_element(text, &list, &elements, position)))
}

/// The document; an empty text is an empty object.
fn parse(text: &str) -> Result<Value, EditError> {
    let document: Value = serde_json::from_str(started(text))
        .map_err(|error| EditError::Malformed { line: error.line(), reason: error.to_string() })?;
    if !document.is_object() {
        return Err(EditError::Shape { path: "the file".to_owned(), expected: "an object" });
    }
    Ok(document)
}

fn started(text: &str) -> &str {
    if text.trim().is_empty() { "{}\n" } else { text }
}

fn replaced(text: &str, range: Range<usize>, with: &str) -> String {
    [&text[..range.start], with, &text[range.end..]].concat()
}

/// How far a path leads.
struct Walk {
    /// The last value that is there.
    value: Range<usize>,
    /// How many steps lead on from it.
    missing: usize,
}

impl Walk {
    fn along(text: &str, path: &[String]) -> Result<Self, EditError> {
        let start = skip_space(text, 0);
        let mut value = start..end_of_value(text, start);
        for (index, key) in path.iter().enumerate() {
            if text.as_bytes().get(value.start) != Some(&b'{') {
                return Err(EditError::Shape { path: path[..index].join("."), expected: "an object" });
            }
            // Where a key is there twice, the last one counts.
            let mut members = elements(text, value.start).into_iter().rev();
            match members.find(|member| member.key.as_ref() == Some(key)) {
                Some(member) => value = member.value,
                None => return Ok(Self { value, missing: path.len() - index }),
            }
        }
        Ok(Self { value, missing: 0 })
    }

    fn found(&self) -> Option<Range<usize>> {
        (self.missing == 0).then(|| self.value.clone())
    }
}

/// A member of an object, or an item of a list.
struct Element {
    key: Option<String>,
    start: usize,
    value: Range<usize>,
}

/// What is in the object or list that begins at `start`. The text is known to be JSON.
fn elements(text: &str, start: usize) -> Vec<Element> {
    let bytes = text.as_bytes();
    let is_object = bytes[start] == b'{';
    let mut elements = Vec::new();
    let mut position = skip_space(text, start + 1);
    while position < bytes.len() && !matches!(bytes[position], b'}' | b']') {
        let first = position;
        let mut key = None;
        if is_object {
            let end = end_of_value(text, position);
            key = serde_json::from_str(&text[position..end]).ok();
            // Past the colon.
            position = skip_space(text, skip_space(text, end) + 1);
        }
        let end = end_of_value(text, position);
        elements.push(Element { key, start: first, value: position..end });
        position = skip_space(text, end);
        if bytes.get(position) == Some(&b',') {
            position = skip_space(text, position + 1);
        }
    }
    elements
}

fn skip_space(text: &str, from: usize) -> usize {
    let rest = &text.as_bytes()[from.min(text.len())..];
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn end_of_value(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut position) = (0_usize, start);
    while position < bytes.len() {
        match bytes[position] {
            b'"' => {
                position += 1;
                while position < bytes.len() && bytes[position] != b'"' {
                    position += if bytes[position] == b'\\' { 2 } else { 1 };
                }
                if depth == 0 {
                    return position + 1;
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 0 { position } else { position + 1 },
            b'}' | b']' => depth -= 1,
            byte if depth == 0 && (byte == b',' || byte == b':' || byte.is_ascii_whitespace()) => return position,
            _ => {}
        }
        position += 1;
    }
    bytes.len()
}

/// The text with one more element in front of those of the container. No other line changes by that.
fn with_first(text: &str, container: Range<usize>, key: Option<&str>, value: &Value) -> String {
    let style = Style::of(text);
    let inside = container.start + 1..container.end - 1;
    let named = |rendered: String| match key {
        Some(key) => format!("{}:{}{rendered}", Value::from(key), style.space),
        None => rendered,
    };
    if let Some(first) = elements(text, container.start).first() {
        let gap = &text[inside.start..first.start];
        let element = match gap.rsplit_once('\n') {
            Some((_, indent)) => format!("{}{indent}{}", style.line_end, named(style.render(value, indent))),
            None => format!("{gap}{}", named(style.on_one_line().render(value, ""))),
        };
        return replaced(text, inside.start..inside.start, &format!("{element},"));
    }
    if style.unit.is_none() {
        return replaced(text, inside, &named(style.render(value, "")));
    }
    let outer = line_indent(text, container.start);
    let indent = format!("{outer}{}", style.unit.as_deref().unwrap_or_default());
    let element = named(style.render(value, &indent));
    replaced(text, inside, &format!("{0}{indent}{element}{0}{outer}", style.line_end))
}

fn without_one(text: &str, path: &[String]) -> Result<String, EditError> {
    parse(text)?;
    let Some((key, above)) = path.split_last() else { return Ok(text.to_owned()) };
    let text = started(text);
    let walk = Walk::along(text, above)?;
    let Some(container) = walk.found() else { return Ok(text.to_owned()) };
    if !text[container.clone()].starts_with('{') {
        return Ok(text.to_owned());
    }
    let elements = elements(text, container.start);
    let position = elements.iter().rposition(|element| element.key.as_ref() == Some(key));
    Ok(position.map_or_else(|| text.to_owned(), |position| without_element(text, &container, &elements, position)))
}

fn without_element(text: &str, container: &Range<usize>, elements: &[Element], position: usize) -> String {
    let before = position.checked_sub(1).map(|index| &elements[index]);
    let is_last = position + 1 == elements.len();
    let own = &elements[position];
    let range = match before {
        None if is_last => container.start + 1..container.end - 1,
        Some(before) if is_last => before.value.end..own.value.end,
        // With the comma that follows, and the space that leads to it.
        _ => {
            let start = before.map_or(container.start + 1, |before| skip_space(text, before.value.end) + 1);
            start..skip_space(text, own.value.end) + 1
        }
    };
    replaced(text, range, "")
}

/// How a text is laid out.
struct Style {
    /// By what each level is indented; none where all is on one line.
    unit: Option<String>,
    line_end: &'static str,
    space: &'static str,
}

impl Style {
    fn of(text: &str) -> Self {
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let root = skip_space(text, 0);
        let unit = match elements(text, root).first() {
            Some(first) => text[root + 1..first.start].rsplit_once('\n').map(|(_, indent)| indent.to_owned()),
            None => Some("  ".to_owned()),
        };
        let space = if unit.is_none() && !text.contains("\": ") { "" } else { " " };
        Self { unit, line_end, space }
    }

    fn on_one_line(&self) -> Self {
        Self { unit: None, line_end: self.line_end, space: self.space }
    }

    fn render(&self, value: &Value, indent: &str) -> String {
        let Some(unit) = &self.unit else { return value.to_string() };
        let mut bytes = Vec::new();
        let formatter = PrettyFormatter::with_indent(unit.as_bytes());
        // A value of this crate's own can always be written.
        let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter));
        String::from_utf8_lossy(&bytes).replace('\n', &format!("{}{indent}", self.line_end))
    }
}

/// The white space with which the line begins that `position` is in.
fn line_indent(text: &str, position: usize) -> &str {
    let line = text[..position].rfind('\n').map_or(0, |end| end + 1);
    let length = text[line..position].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[line..line + length]
}
