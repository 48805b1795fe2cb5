//! Profiles in the configuration file of AWS programs: ours are between two remarks, and nobody else's is touched.

mod profile;

use std::ops::Range;

pub(crate) use self::profile::{AwsProfileName, Settings, path, settings};

/// The settings that are ours to write.
const SETTINGS: [&str; 3] = ["credential_process", "region", "endpoint_url"];

/// The section of a profile in the AWS configuration file, between two remarks that say whose it is.
#[derive(Debug)]
pub(crate) struct Section {
    profile: AwsProfileName,
}

/// What was there when the section was written, so that it can be there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// A file whose last line ended, or an empty one.
    Lines,
    /// No file.
    Nothing,
    /// A line without an end.
    OpenLine,
}

impl Before {
    const ALL: [Self; 3] = [Self::Lines, Self::Nothing, Self::OpenLine];

    fn of(text: Option<&str>) -> Self {
        match text {
            None => Self::Nothing,
            Some(text) if text.is_empty() || text.ends_with('\n') => Self::Lines,
            Some(_) => Self::OpenLine,
        }
    }

    fn remark(self) -> &'static str {
        match self {
            Self::Lines => "",
            Self::Nothing => ", in a file of its own",
            Self::OpenLine => ", after a line without an end",
        }
    }
}

/// The section of that name is somebody else's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("somebody else wrote its section [{0}]")]
pub(crate) struct NotOurs(String);

/// A section of the profile's name.
enum Found {
    /// As we wrote it.
    Ours(Range<usize>, Before),
    /// Somebody else's, or one of ours that somebody has changed.
    Theirs(Range<usize>),
}

impl Section {
    pub(crate) fn of(profile: AwsProfileName) -> Self {
        Self { profile }
    }

    /// What stands in its brackets.
    pub(crate) fn heading(&self) -> String {
        if self.profile.as_str() == "default" { "default".to_owned() } else { format!("profile {}", self.profile) }
    }

    /// The text with the section: in place of the one that it has, if that may be replaced, or at the end.
    pub(crate) fn put_into(&self, text: Option<&str>, settings: &Settings, replaces: bool) -> Result<String, NotOurs> {
        let before = Before::of(text);
        let text = text.unwrap_or_default();
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let written = |before| self.written(settings, before, line_end);
        match self.find(text) {
            None => {
                let gap = if before == Before::OpenLine { line_end } else { "" };
                Ok([text, gap, &written(before)].concat())
            }
            Some(Found::Ours(lines, before)) => {
                Ok([&text[..lines.start], &written(before), &text[lines.end..]].concat())
            }
            Some(Found::Theirs(lines)) if replaces => {
                let gap =
                    if text[..lines.start].is_empty() || text[..lines.start].ends_with('\n') { "" } else { line_end };
                Ok([&text[..lines.start], gap, &written(Before::Lines), &text[lines.end..]].concat())
            }
            Some(Found::Theirs(_)) => Err(self.not_ours()),
        }
    }

    /// The text as it was without the section; none where there was no file.
    pub(crate) fn removed_from(&self, text: Option<&str>) -> Result<Option<String>, NotOurs> {
        let Some(whole) = text else { return Ok(None) };
        let (lines, before) = match self.find(whole) {
            None => return Ok(Some(whole.to_owned())),
            Some(Found::Theirs(_)) => return Err(self.not_ours()),
            Some(Found::Ours(lines, before)) => (lines, before),
        };
        let (start, end) = (&whole[..lines.start], &whole[lines.end..]);
        let start = match before {
            // What has come after it since then must not end up on the same line.
            Before::OpenLine if end.is_empty() => {
                start.strip_suffix("\r\n").or_else(|| start.strip_suffix('\n')).unwrap_or(start)
            }
            _ => start,
        };
        let rest = [start, end].concat();
        Ok((before != Before::Nothing || !rest.is_empty()).then_some(rest))
    }

    /// What the section says, if it is there.
    pub(crate) fn settings_in(&self, text: &str) -> Result<Option<Settings>, NotOurs> {
        let found = match self.find(text) {
            None => return Ok(None),
            Some(Found::Theirs(_)) => return Err(self.not_ours()),
            Some(Found::Ours(lines, _)) => lines,
        };
        Ok(Some(settings_of(&text[found])))
    }

    fn not_ours(&self) -> NotOurs {
        NotOurs(self.heading())
    }

    fn written(&self, settings: &Settings, before: Before, line_end: &str) -> String {
        let mut lines = vec![self.begin(before), format!("[{}]", self.heading())];
        lines.extend(settings.iter().map(|(name, value)| format!("{name} = {value}")));
        lines.push(self.end());
        lines.into_iter().map(|line| line + line_end).collect()
    }

    fn begin(&self, before: Before) -> String {
        format!("# agentkeys: begin of {}{}", self.profile, before.remark())
    }

    fn end(&self) -> String {
        format!("# agentkeys: end of {}", self.profile)
    }

    fn find(&self, text: &str) -> Option<Found> {
        if let Some(ours) = self.find_ours(text) {
            return Some(ours);
        }
        let mut found: Option<Range<usize>> = None;
        for (lines, line) in lines(text) {
            match (&mut found, heading_of(line)) {
                (Some(_), Some(_)) => break,
                (None, Some(heading)) if heading == self.profile.as_str() => found = Some(lines),
                // Remarks and empty lines before the next heading are not part of it.
                (Some(section), None) if !is_remark(line) => section.end = lines.end,
                _ => {}
            }
        }
        found.map(Found::Theirs)
    }

    /// What stands between our remarks, if nobody has changed it and nobody has another section of the name.
    fn find_ours(&self, text: &str) -> Option<Found> {
        let mut started: Option<(usize, Before)> = None;
        let mut is_as_written = true;
        let mut is_first = false;
        for (lines, line) in lines(text) {
            let Some((start, before)) = started else {
                let before = Before::ALL.into_iter().find(|before| self.begin(*before) == line);
                started = before.map(|before| (lines.start, before));
                is_first = before.is_some();
                continue;
            };
            if line == self.end() {
                return is_as_written.then_some(Found::Ours(start..lines.end, before));
            }
            is_as_written &= if is_first {
                line == format!("[{}]", self.heading())
            } else {
                line.split_once(" = ").is_some_and(|(name, _)| SETTINGS.contains(&name))
            };
            is_first = false;
        }
        None
    }
}

/// The settings in lines of a section that is ours.
pub(crate) fn settings_of(lines: &str) -> Settings {
    let settings = lines.lines().filter_map(|line| line.split_once(" = "));
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Each line without its end, and where it is with it.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut offset = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = offset;
        offset += line.len();
        (start..offset, line.trim_end_matches(['\r', '\n']))
    })
}

/// The profile whose section begins here, or something else's that begins here.
fn heading_of(line: &str) -> Option<&str> {
    let (inner, _) = line.trim().strip_prefix('[')?.rsplit_once(']')?;
    let inner = inner.trim();
    let name = inner.strip_prefix("profile").filter(|rest| rest.starts_with(char::is_whitespace));
    let name = name.map(|name| name.trim().trim_matches(['"', '\'']));
    // Sections of other kinds are no profiles, but this one is.
    Some(name.unwrap_or(if inner == "default" { inner } else { "" }))
}

fn is_remark(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# mine\n[default]\nregion = eu-west-1\n\n[profile work]\nsso_session = w\ns3 =\n  addressing_style = path\n\n# the rest\n[sso-session w]\nx = y\n";

    fn section(name: &str) -> Section {
        Section::of(name.parse().unwrap())
    }

    fn settings(program: &str) -> Settings {
        let process = format!("{program} aws credential-process");
        vec![("credential_process".to_owned(), process), ("region".to_owned(), "us-east-1".to_owned())]
    }

    #[test]
    fn a_profile_that_is_new_comes_last_between_remarks() {
        let text = section("agentkeys").put_into(Some(FILE), &settings("/a"), false).unwrap();

        assert_eq!(
            text.strip_prefix(FILE),
            Some(
                "# agentkeys: begin of agentkeys\n[profile agentkeys]\n\
                 credential_process = /a aws credential-process\nregion = us-east-1\n\
                 # agentkeys: end of agentkeys\n"
            )
        );
    }

    #[test]
    fn what_was_there_is_there_again_to_the_last_byte() {
        let crlf = FILE.replace('\n', "\r\n");
        for before in
            [None, Some(""), Some("\n"), Some(FILE), Some(&crlf), Some(FILE.trim_end()), Some(crlf.trim_end())]
        {
            let section = section("agentkeys");
            let first = section.put_into(before, &settings("/a"), false).unwrap();
            let again = section.put_into(Some(&first), &settings("/a"), false).unwrap();
            let changed = section.put_into(Some(&first), &settings("/b"), false).unwrap();

            assert!(first.starts_with(before.unwrap_or_default()));
            assert_eq!(first, again);
            assert_eq!(first.replace("/a", "/b"), changed);
            assert_eq!(section.removed_from(Some(&changed)), Ok(before.map(str::to_owned)));
            assert_eq!(first.contains("\r\n"), before.is_some_and(|text| text.contains("\r\n")));
            assert_eq!(first.matches('\n').count(), first.lines().count());
        }
    }

    proptest! {
        #[test]
        fn whatever_was_there_is_there_again(
            before in prop::option::of("((# [a-z]{0,4}|\\[profile [a-c]\\]|region = [a-z]{1,4}|) ?\r?\n){0,8}(region = y)?"),
            after in "(\\[profile z\\]\nregion = x\n)?",
        ) {
            let section = section("agentkeys");
            let text = section.put_into(before.as_deref(), &settings("/a"), false).unwrap();
            let back = section.removed_from(Some(&(text.clone() + &after))).unwrap();

            prop_assert_eq!(section.settings_in(&text), Ok(Some(settings("/a"))));
            if after.is_empty() {
                prop_assert_eq!(back, before);
            } else {
                let (rest, before) = (back.unwrap(), before.unwrap_or_default());
                prop_assert_eq!(rest.strip_suffix(&after).unwrap().trim_end(), before.trim_end());
            }
        }
    }

    #[test]
    fn what_came_afterwards_stays() {
        for before in ["[default]\nregion = eu-west-1", "[default]\nregion = eu-west-1\n"] {
            let section = section("agentkeys");
            let text = section.put_into(Some(before), &settings("/a"), false).unwrap() + "[profile b]\n";

            let kept = section.removed_from(Some(&text)).unwrap().unwrap();

            assert_eq!(kept, "[default]\nregion = eu-west-1\n[profile b]\n");
        }
    }

    #[test]
    fn somebody_elses_profile_is_replaced_only_where_that_is_meant() {
        for name in ["work", "default"] {
            assert!(section(name).put_into(Some(FILE), &settings("/a"), false).is_err(), "{name}");
            assert!(section(name).removed_from(Some(FILE)).is_err());
        }

        let text = section("work").put_into(Some(FILE), &settings("/a"), true).unwrap();

        assert!(text.starts_with("# mine\n[default]\nregion = eu-west-1\n\n# agentkeys: begin of work\n"));
        assert!(text.ends_with("end of work\n\n# the rest\n[sso-session w]\nx = y\n"));
        assert!(!text.contains("sso_session = w"));
    }

    #[test]
    fn a_section_of_ours_that_somebody_changed_is_not_ours_any_more() {
        let text = section("agentkeys").put_into(Some(FILE), &settings("/a"), false).unwrap();
        let text = text.replace("region = us-east-1\n", "region = us-east-1\noutput = json\n");

        assert!(section("agentkeys").put_into(Some(&text), &settings("/b"), false).is_err());
        assert!(section("agentkeys").removed_from(Some(&text)).is_err());
    }

    #[test]
    fn headings_are_told_apart() {
        for (line, name) in [
            ("[profile a]", Some("a")),
            ("[ profile  a ] ", Some("a")),
            ("[profile \"a\"]", Some("a")),
            ("[default]", Some("default")),
            ("[profile default]", Some("default")),
            ("[sso-session a]", Some("")),
            ("[a]", Some("")),
            ("#[profile a]", None),
            ("profile = a", None),
        ] {
            assert_eq!(heading_of(line), name, "{line}");
        }
    }
}
