//! Changes of a TOML text that keep its remarks and its order.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::EditError;

/// The value at `path`, in TOML.
pub(super) fn value(text: &str, path: &[String]) -> Result<Option<String>, EditError> {
    let document = parse(text)?;
    let found = path.iter().try_fold(document.as_item(), |item, key| item.as_table_like()?.get(key));
    Ok(found.and_then(Item::as_value).map(plain))
}

/// How many of the tables above `path` are not there yet.
pub(super) fn missing_parents(text: &str, path: &[String]) -> Result<usize, EditError> {
    let document = parse(text)?;
    let mut item = document.as_item();
    for (index, key) in path.iter().enumerate() {
        match item.as_table_like().and_then(|table| table.get(key)) {
            Some(inner) => item = inner,
            None => return Ok(path.len() - index - 1),
        }
    }
    Ok(0)
}

/// The text with `value`, which is written in TOML, at `path`.
pub(super) fn with_value(text: &str, path: &[String], value: &str) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let Some((key, parents)) = path.split_last() else { return Ok(text.to_owned()) };
    let value: Value = value.parse().map_err(|error: toml_edit::TomlError| malformed(value, &error))?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for (index, parent) in parents.iter().enumerate() {
        let mut made = Table::new();
        // A heading for the innermost only.
        made.set_implicit(index + 1 < parents.len());
        let item = table.entry(parent).or_insert(Item::Table(made));
        let shape = || EditError::Shape { path: parents[..=index].join("."), expected: "a table" };
        table = item.as_table_like_mut().ok_or_else(shape)?;
    }
    match table.get_mut(key) {
        Some(Item::Value(before)) => {
            let decor = before.decor().clone();
            *before = value;
            *before.decor_mut() = decor;
        }
        Some(_) => return Err(EditError::Shape { path: path.join("."), expected: "a value" }),
        None => {
            table.insert(key, Item::Value(value));
        }
    }
    Ok(document.to_string())
}

/// The text without the value at `path`, and without as many of its `parents` as that leaves empty.
pub(super) fn without_value(text: &str, path: &[String], parents: usize) -> Result<String, EditError> {
    let mut document = parse(text)?;
    for above in 0..=parents.min(path.len().saturating_sub(1)) {
        let Some((key, outer)) = path[..path.len() - above].split_last() else { break };
        let mut table: Option<&mut dyn TableLike> = Some(document.as_table_mut());
        for name in outer {
            table = table.and_then(|table| table.get_mut(name)).and_then(Item::as_table_like_mut);
        }
        let Some(table) = table else { break };
        let is_full = |item: &Item| item.as_table_like().is_some_and(|table| !table.is_empty());
        if above > 0 && table.get(key).is_none_or(is_full) {
            break;
        }
        table.remove(key);
    }
    Ok(document.to_string())
}

fn plain(value: &Value) -> String {
    value.clone().decorated("", "").to_string()
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| malformed(text, &error))
}

fn malformed(text: &str, error: &toml_edit::TomlError) -> EditError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    EditError::Malformed { line, reason: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_table_is_added_below_remarks_and_others() {
        let text = "# mine\nmodel = \"m\" # the best\n\n[mcp_servers.other]\ncommand = \"x\"\n";

        let more = with_value(text, &path("mcp_servers.agentkeys.command"), "\"/bin/agentkeys\"").unwrap();
        let more = with_value(&more, &path("mcp_servers.agentkeys.args"), "[\"mcp\"]").unwrap();

        assert_eq!(more, format!("{text}\n[mcp_servers.agentkeys]\ncommand = \"/bin/agentkeys\"\nargs = [\"mcp\"]\n"));
        let back = without_value(&more, &path("mcp_servers.agentkeys.args"), 0).unwrap();
        assert_eq!(without_value(&back, &path("mcp_servers.agentkeys.command"), 1).unwrap(), text);
    }

    #[test]
    fn an_inline_table_stays_one() {
        let text = "shell_environment_policy = { inherit = \"all\", set = { A = \"1\" } }\n";

        let more = with_value(text, &path("shell_environment_policy.set.AWS_PROFILE"), "\"p\"").unwrap();

        assert_eq!(
            more,
            "shell_environment_policy = { inherit = \"all\", set = { A = \"1\" , AWS_PROFILE = \"p\" } }\n"
        );
        assert_eq!(value(&more, &path("shell_environment_policy.set.AWS_PROFILE")).unwrap().as_deref(), Some("\"p\""));
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line_and_what_is_no_table_with_its_name() {
        let broken = with_value("a = 1\nb = \n", &path("c.d"), "1").unwrap_err();
        let shape = with_value("c = 1\n", &path("c.d"), "1").unwrap_err();

        assert!(matches!(broken, EditError::Malformed { line: 2, .. }), "{broken:?}");
        assert!(matches!(shape, EditError::Shape { path, .. } if path == "c"));
    }
}
