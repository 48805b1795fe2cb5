/// Whether a character has no shape of its own, so that it could hide in a text or turn its neighbours around: format
/// and control characters beside white space, those that set the direction of writing, tags, private and unassigned
/// ones, and those that are blank without being white space.
pub fn is_invisible(character: char) -> bool {
    (character.is_control() && !character.is_whitespace())
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_its_neighbours_around_is_told_from_letters_of_any_script() {
        for character in ['\0', '\u{202e}', '\u{200b}', '\u{2066}', '\u{2800}', '\u{e000}', '\u{e0041}', '\u{10ffff}'] {
            assert!(is_invisible(character), "{character:?}");
        }
        for character in "Az09 \t\nüжع開한✓".chars() {
            assert!(!is_invisible(character), "{character:?}");
        }
    }
}
