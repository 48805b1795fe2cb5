//! Changes of other programs' settings that can be taken back exactly.
//!
//! An [`Edit`] is what is to be there. Where it changes a text, [`Edit::make`] gives a [`Made`], which is kept: it
//! takes that back and nothing else, whatever has been changed since.

mod diff;
mod json;
mod record;
mod toml;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    diff::print,
    record::{Edited, Record},
};
use crate::aws_config::{AwsProfileName, NotOurs, Section, Settings, settings_of};

/// Why a text was not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("line {line}: {reason}")]
    Malformed { line: usize, reason: String },
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("{path} is not {expected}")]
    Shape { path: String, expected: &'static str },
}

/// Something that is to be in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Edit {
    /// A profile of `~/.aws/config` with exactly these settings; one that somebody else wrote is left alone.
    AwsProfile { profile: AwsProfileName, settings: Settings },
    /// An item of a list of texts.
    JsonItem { path: Vec<String>, item: String },
    /// A member of an object.
    JsonMember { path: Vec<String>, value: Value },
    /// A value, written in TOML.
    TomlValue { path: Vec<String>, value: String },
    /// All of it.
    Whole { text: String },
}

/// An edit that changed a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    edit: Edit,
    /// What was in its place, if anything was.
    before: Option<String>,
    /// How many parents had to be made for it.
    parents: usize,
    /// The bytes that changed.
    hunk: Hunk,
}

/// One place at which a text was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hunk {
    offset: usize,
    before: String,
    after: String,
}

impl Edit {
    /// The text with it, and how to take it back; none where it is there already.
    pub(crate) fn make(&self, text: &str) -> Result<Option<(String, Made)>, EditError> {
        if self.is_in(text)? {
            return Ok(None);
        }
        let before = self.what_is_there(text)?;
        let (after, parents) = match self {
            Self::AwsProfile { profile, settings } => {
                (Section::of(profile.clone()).put_into(Some(text), settings, false)?, 0)
            }
            Self::JsonItem { path, item } => {
                let is_missing = json::member(text, path)?.is_none();
                let parents = if is_missing { json::missing_parents(text, path)? + 1 } else { 0 };
                (json::with_item(text, path, item)?, parents)
            }
            Self::JsonMember { path, value } => {
                (json::with_member(text, path, value)?, json::missing_parents(text, path)?)
            }
            Self::TomlValue { path, value } => {
                (toml::with_value(text, path, value)?, toml::missing_parents(text, path)?)
            }
            Self::Whole { text: whole } => (whole.clone(), 0),
        };
        let made = Made { edit: self.clone(), before, parents, hunk: Hunk::between(text, &after) };
        Ok(Some((after, made)))
    }

    /// Whether it is there.
    fn is_in(&self, text: &str) -> Result<bool, EditError> {
        Ok(match self {
            Self::AwsProfile { profile, settings } => {
                Section::of(profile.clone()).settings_in(text).is_ok_and(|found| found.as_ref() == Some(settings))
            }
            Self::JsonItem { path, item } => json::has_item(text, path, item)?,
            Self::JsonMember { path, value } => json::member(text, path)?.as_ref() == Some(value),
            Self::TomlValue { path, value } => toml::value(text, path)?.as_ref() == Some(value),
            Self::Whole { text: whole } => whole == text,
        })
    }

    /// What is in its place, as it is written there.
    fn what_is_there(&self, text: &str) -> Result<Option<String>, EditError> {
        Ok(match self {
            Self::AwsProfile { profile, .. } => Section::of(profile.clone()).settings_in(text)?.map(|it| lines(&it)),
            Self::JsonItem { .. } => None,
            Self::JsonMember { path, .. } => json::member_text(text, path)?,
            Self::TomlValue { path, .. } => toml::value(text, path)?,
            Self::Whole { .. } => Some(text.to_owned()).filter(|text| !text.is_empty()),
        })
    }
}

impl Made {
    /// The text without it; none where somebody has changed since what it made.
    pub(crate) fn take_back(&self, text: &str) -> Result<Option<String>, EditError> {
        if !self.edit.is_in(text)? {
            return Ok(None);
        }
        // To the byte, where it still stands in its place.
        if let Some(exact) = self.hunk.reversed(text)
            && self.is_out_of(&exact).unwrap_or(false)
        {
            return Ok(Some(exact));
        }
        self.take_out(text).map(Some)
    }

    fn is_out_of(&self, text: &str) -> Result<bool, EditError> {
        if matches!(self.edit, Edit::JsonItem { .. }) {
            return Ok(!self.edit.is_in(text)?);
        }
        Ok(self.edit.what_is_there(text)? == self.before)
    }

    fn take_out(&self, text: &str) -> Result<String, EditError> {
        match (&self.edit, &self.before) {
            (Edit::AwsProfile { profile, .. }, None) => {
                Ok(Section::of(profile.clone()).removed_from(Some(text))?.unwrap_or_default())
            }
            (Edit::AwsProfile { profile, .. }, Some(before)) => {
                Ok(Section::of(profile.clone()).put_into(Some(text), &settings_of(before), false)?)
            }
            (Edit::JsonItem { path, item }, _) => {
                let without = json::without_item(text, path, item)?;
                match (self.parents.checked_sub(1), json::member(&without, path)?) {
                    (Some(parents), Some(Value::Array(left))) if left.is_empty() => {
                        json::without_member(&without, path, parents)
                    }
                    _ => Ok(without),
                }
            }
            (Edit::JsonMember { path, .. }, None) => json::without_member(text, path, self.parents),
            (Edit::JsonMember { path, .. }, Some(before)) => json::with_member_text(text, path, before),
            (Edit::TomlValue { path, .. }, None) => toml::without_value(text, path, self.parents),
            (Edit::TomlValue { path, .. }, Some(before)) => toml::with_value(text, path, before),
            (Edit::Whole { .. }, before) => Ok(before.clone().unwrap_or_default()),
        }
    }
}

impl Hunk {
    fn between(before: &str, after: &str) -> Self {
        let same = |(a, b): &(char, char)| a == b;
        let front: usize = before.chars().zip(after.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
        let (rest_before, rest_after) = (&before[front..], &after[front..]);
        let back = rest_before.chars().rev().zip(rest_after.chars().rev());
        let back: usize = back.take_while(same).map(|(a, _)| a.len_utf8()).sum();
        Self {
            offset: front,
            before: rest_before[..rest_before.len() - back].to_owned(),
            after: rest_after[..rest_after.len() - back].to_owned(),
        }
    }

    fn reversed(&self, text: &str) -> Option<String> {
        let (front, rest) = text.split_at_checked(self.offset)?;
        let back = rest.strip_prefix(&*self.after)?;
        Some([front, &self.before, back].concat())
    }
}

fn lines(settings: &Settings) -> String {
    settings.iter().fold(String::new(), |lines, (name, value)| lines + name + " = " + value + "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn json_edits() -> Vec<Edit> {
        vec![
            Edit::JsonMember { path: path("env.AWS_PROFILE"), value: json!("agentkeys-claude") },
            Edit::JsonItem { path: path("permissions.deny"), item: "Read(~/a/**)".to_owned() },
            Edit::JsonMember { path: path("mcpServers.agentkeys"), value: json!({"args": ["mcp"], "command": "/a"}) },
        ]
    }

    fn make_all(edits: &[Edit], text: &str) -> Option<(String, Vec<Made>)> {
        let (mut text, mut all) = (text.to_owned(), Vec::new());
        for edit in edits {
            if let Some((after, made)) = edit.make(&text).ok()? {
                text = after;
                all.push(made);
            }
        }
        Some((text, all))
    }

    fn take_back_all(all: &[Made], text: &str) -> String {
        all.iter().rev().fold(text.to_owned(), |text, made| made.take_back(&text).unwrap().unwrap_or(text))
    }

    #[test]
    fn what_is_there_already_is_neither_made_nor_taken_back() {
        let (text, _) = make_all(&json_edits(), "{}").unwrap();

        let (again, made) = make_all(&json_edits(), &text).unwrap();

        assert_eq!((again, made), (text, Vec::new()));
    }

    #[test]
    fn what_was_changed_since_is_left_and_what_was_there_before_comes_back() {
        let before = "{\n  \"env\": { \"AWS_PROFILE\":  \"work\" }\n}";
        let (text, made) = make_all(&json_edits(), before).unwrap();

        let other = text.replace("agentkeys-claude", "mine");
        let longer = text.replacen('{', "{\n  \"theme\": \"dark\",", 1);

        assert_eq!(take_back_all(&made, &text), before);
        assert_eq!(take_back_all(&made, &other), before.replace("work", "mine"));
        assert_eq!(take_back_all(&made, &longer), before.replacen('{', "{\n  \"theme\": \"dark\",", 1));
    }

    fn any_settings() -> impl Strategy<Value = String> {
        let member = prop_oneof![
            Just(("model", json!("opus"))),
            Just(("env", json!({}))),
            Just(("env", json!({"A": "1", "AWS_PROFILE": "work"}))),
            Just(("permissions", json!({"allow": ["Bash(ls)"], "deny": []}))),
            Just(("permissions", json!({"deny": ["Read(x)", "Read(y)"]}))),
            Just(("mcpServers", json!({"other": {"command": "o", "args": []}}))),
            Just(("hooks", json!({"s": [{"a": "}{\""}]}))),
        ];
        (prop::collection::vec(member, 0..5), 0..4_u8).prop_map(|(members, layout)| {
            let members = members.into_iter().map(|(key, value)| (key.to_owned(), value));
            let value = Value::Object(members.collect());
            match layout {
                0 => value.to_string(),
                1 => format!("{value:#}\n"),
                2 => format!("{value:#}").replace('\n', "\r\n"),
                _ => format!("{value:#}").replace("  ", "    "),
            }
        })
    }

    proptest! {
        #[test]
        fn taking_back_restores_the_bytes(text in any_settings()) {
            let (after, made) = make_all(&json_edits(), &text).unwrap();

            prop_assert_eq!(take_back_all(&made, &after), text);
        }

        #[test]
        fn taking_back_after_other_changes_leaves_those(text in any_settings()) {
            let other = Edit::JsonMember { path: path("aaa"), value: json!({"x": [1, 2]}) };
            let (after, made) = make_all(&json_edits(), &text).unwrap();
            let (changed, _) = other.make(&after).unwrap().unwrap();

            let back: Value = serde_json::from_str(&take_back_all(&made, &changed)).unwrap();

            let (expected, _) = other.make(&text).unwrap().unwrap();
            prop_assert_eq!(back, serde_json::from_str::<Value>(&expected).unwrap());
        }

        #[test]
        fn taking_back_restores_the_bytes_of_toml(
            text in "(# [a-z]{0,5}\n|model = \"m\" # x\n)?(\n)?(\\[mcp_servers\\.[a-c]\\]\ncommand = \"x\"\n(\n)?)?(\\[shell_environment_policy\\]\ninherit = \"all\" # y\n(set = \\{ A = \"1\" \\}\n)?)?"
        ) {
            let edits = [
                Edit::TomlValue { path: path("mcp_servers.agentkeys.command"), value: "\"/a\"".to_owned() },
                Edit::TomlValue { path: path("mcp_servers.agentkeys.args"), value: "[\"mcp\"]".to_owned() },
                Edit::TomlValue { path: path("shell_environment_policy.set.AWS_PROFILE"), value: "\"p\"".to_owned() },
            ];
            let (after, made) = make_all(&edits, &text).unwrap();
            let longer = format!("zzz = 1\n{after}");

            prop_assert_eq!(made.len(), 3);
            prop_assert_eq!(take_back_all(&made, &after), text);
            prop_assert!(!take_back_all(&made, &longer).contains("agentkeys"));
        }

        #[test]
        fn taking_back_restores_the_bytes_of_profiles(
            text in "((# [a-z]{0,4}|\\[profile [a-c]\\]|region = [a-z]{1,4}|) ?\r?\n){0,8}(region = y)?",
            has_one_of_ours in any::<bool>(),
        ) {
            let edits = [profile("claude", "/a"), profile("read-claude", "/a")];
            let text = if has_one_of_ours { make_all(&[profile("claude", "/old")], &text).unwrap().0 } else { text };
            let (after, made) = make_all(&edits, &text).unwrap();
            let longer = format!("{after}[profile z]\n");
            let back = take_back_all(&made, &longer);

            prop_assert_eq!(made.len(), 2);
            prop_assert_eq!(take_back_all(&made, &after), text.clone());
            prop_assert_eq!(back.strip_suffix("[profile z]\n").unwrap().trim_end(), text.trim_end());
            prop_assert_eq!(edits[0].make(&longer), Ok(None));
        }
    }

    fn profile(name: &str, program: &str) -> Edit {
        let settings = vec![("credential_process".to_owned(), format!("{program} aws credential-process"))];
        Edit::AwsProfile { profile: name.parse().unwrap(), settings }
    }

    #[test]
    fn a_profile_of_somebody_else_is_refused_and_one_that_became_theirs_is_left() {
        let theirs = "[profile claude]\nregion = x\n";
        let (after, made) = make_all(&[profile("claude", "/a")], "").unwrap();
        let changed = after.replace("credential_process", "output = json\ncredential_process");

        let refused = profile("claude", "/a").make(theirs).unwrap_err();

        assert!(refused.to_string().contains("[profile claude]"), "{refused}");
        assert_eq!(take_back_all(&made, &changed), changed);
    }
}
