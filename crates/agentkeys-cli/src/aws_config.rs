//! Sections of `~/.aws/config`, as the AWS CLI and SDKs read it: whole lines, and nobody else's are touched.

use std::ops::Range;

/// The text of the section of a profile, without its heading; none where there is no such profile.
pub(crate) fn section<'t>(text: &'t str, profile: &str) -> Option<&'t str> {
    let lines = find(text, profile)?;
    Some(text[lines].split_once('\n').map_or("", |(_, rest)| rest))
}

/// The text with a section of these settings for the profile: in place of the one that it has, or at the end.
pub(crate) fn with_section(text: &str, profile: &str, settings: &[(String, String)]) -> String {
    with_section_text(text, profile, &lines(settings))
}

/// Settings as the lines of a section.
pub(crate) fn lines(settings: &[(String, String)]) -> String {
    settings.iter().fold(String::new(), |lines, (name, value)| lines + name + " = " + value + "\n")
}

/// The same with these lines.
pub(crate) fn with_section_text(text: &str, profile: &str, lines: &str) -> String {
    let section = format!("{}\n{lines}", heading(profile));
    if let Some(lines) = find(text, profile) {
        return [&text[..lines.start], &section, &text[lines.end..]].concat();
    }
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    [text, gap, &section].concat()
}

/// The text without the section of the profile.
pub(crate) fn without_section(text: &str, profile: &str) -> String {
    let Some(lines) = find(text, profile) else { return text.to_owned() };
    let before = &text[..lines.start];
    // The empty line that set it apart goes with it.
    let before = before.strip_suffix('\n').filter(|kept| kept.ends_with('\n')).unwrap_or(before);
    [before, &text[lines.end..]].concat()
}

fn heading(profile: &str) -> String {
    if profile == "default" { "[default]".to_owned() } else { format!("[profile {profile}]") }
}

/// The lines of the section: from its heading to its last line that says something.
fn find(text: &str, profile: &str) -> Option<Range<usize>> {
    let mut offset = 0;
    let mut found: Option<Range<usize>> = None;
    for line in text.split_inclusive('\n') {
        let next = offset + line.len();
        let content = line.trim();
        match &mut found {
            Some(_) if content.starts_with('[') => break,
            Some(section) => {
                // A remark after an empty line belongs to what follows it.
                let is_apart = is_remark(content) && section.end < offset;
                if !content.is_empty() && !is_apart {
                    section.end = next;
                }
            }
            None => found = is_heading_of(content, profile).then_some(offset..next),
        }
        offset = next;
    }
    found
}

fn is_remark(line: &str) -> bool {
    line.starts_with('#') || line.starts_with(';')
}

fn is_heading_of(line: &str, profile: &str) -> bool {
    let Some(inner) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner.trim())
    else {
        return false;
    };
    if profile == "default" && inner == "default" {
        return true;
    }
    let name = inner.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim);
    name.is_some_and(|name| name.trim_matches(['"', '\'']) == profile)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "# mine\n[default]\nregion = eu-west-1\n\n[profile work]\nsso_session = w\ns3 =\n  addressing_style = path\n\n# the rest\n[sso-session w]\nx = y\n";

    fn settings() -> Vec<(String, String)> {
        vec![("credential_process".to_owned(), "/bin/agentkeys aws credential-process".to_owned())]
    }

    #[test]
    fn a_profile_that_is_new_comes_last() {
        let text = with_section("[default]\nregion = eu-west-1", "claude", &settings());

        assert_eq!(
            text,
            "[default]\nregion = eu-west-1\n\n[profile claude]\ncredential_process = /bin/agentkeys aws credential-process\n"
        );
    }

    #[test]
    fn a_profile_that_is_there_is_replaced_with_all_its_lines_and_no_others() {
        let text = with_section(FILE, "work", &settings());

        assert_eq!(
            text,
            "# mine\n[default]\nregion = eu-west-1\n\n[profile work]\ncredential_process = /bin/agentkeys aws credential-process\n\n# the rest\n[sso-session w]\nx = y\n"
        );
        assert_eq!(section(FILE, "work"), Some("sso_session = w\ns3 =\n  addressing_style = path\n"));
    }

    #[test]
    fn headings_are_told_apart() {
        for (line, profile) in
            [("[profile a]", "a"), ("[ profile  a ]", "a"), ("[profile \"a\"]", "a"), ("[default]", "default")]
        {
            assert!(is_heading_of(line, profile), "{line}");
        }
        for (line, profile) in [("[profilea]", "a"), ("[a]", "a"), ("[profile ab]", "a"), ("#[profile a]", "a")] {
            assert!(!is_heading_of(line, profile), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_after_the_section_or_before_it_is_untouched(before in "([a-z#\\[ =]{0,12}\n){0,6}", after in "(\\[z[a-z]{0,5}\\]\n([a-z =]{0,9}\n){0,3})?") {
            let text = with_section(&before, "claude", &settings());
            let whole = format!("{text}{after}");

            prop_assert!(text.starts_with(&before));
            let kept = without_section(&whole, "claude");
            prop_assert!(kept.starts_with(&before[..before.len().saturating_sub(1)]), "{kept:?}");
            prop_assert!(kept.ends_with(&after), "{kept:?}");
            prop_assert_eq!(section(&kept, "claude"), None);
        }
    }
}
