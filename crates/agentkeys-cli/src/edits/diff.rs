use std::path::Path;

use similar::{ChangeTag, TextDiff};

use crate::output::Output;

/// A longer line is cut off: what else is in it is nobody's affair here.
const LONGEST_LINE: usize = 160;

/// The lines that go and those that come, without those around them: other programs keep secrets there.
pub(crate) fn difference(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let changed = diff.iter_all_changes().filter_map(|change| {
        let mark = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        let line = change.value().trim_end_matches(['\r', '\n']);
        let mut shown: String = line.chars().take(LONGEST_LINE).collect();
        if shown.len() < line.len() {
            shown.push('…');
        }
        Some(format!("{mark} {shown}"))
    });
    changed.collect()
}

/// Shows what is about to become of a file; `after` is none where it is removed.
pub(crate) fn print(output: &Output, path: &Path, before: Option<&str>, after: Option<&str>) {
    let what = match (before, after) {
        (None, _) => " (new)",
        (_, None) => " (removed)",
        _ => "",
    };
    output.note(format_args!("{}{what}", path.display()));
    for line in difference(before.unwrap_or_default(), after.unwrap_or_default()) {
        output.note(format_args!("  {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown() {
        let lines = difference("{\n  \"key\": \"secret\"\n}\n", "{\n  \"a\": 1,\n  \"key\": \"secret\"\n}\n");

        assert_eq!(lines, ["+   \"a\": 1,"]);
    }

    #[test]
    fn a_file_of_one_long_line_is_not_shown_whole() {
        let lines = difference(&"a".repeat(500), "");

        assert_eq!(lines, [format!("- {}…", "a".repeat(160))]);
    }
}
