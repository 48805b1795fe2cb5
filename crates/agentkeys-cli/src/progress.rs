use crate::output::Output;

/// After how many steps the count is shown again.
const EVERY: u64 = 100_000;

/// How far long work has come, for a person at a terminal who waits: one line, which goes when the work ends.
pub(crate) struct Progress<'o> {
    output: &'o Output,
    /// What is counted, in the plural.
    what: &'static str,
    done: u64,
    is_shown: bool,
}

impl<'o> Progress<'o> {
    pub(crate) fn new(output: &'o Output, what: &'static str) -> Self {
        Self { output, what, done: 0, is_shown: false }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(EVERY) {
            self.is_shown = true;
            self.output.passing(format_args!("  {} {} so far", self.done, self.what));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.is_shown {
            self.output.passing("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::{recorded, recorded_at_a_terminal};

    fn work(output: &Output) {
        let mut progress = Progress::new(output, "entries");
        (0..=2 * EVERY).for_each(|_| progress.step());
    }

    #[test]
    fn a_count_is_shown_in_one_line_that_goes_in_the_end() {
        let (output, results, notes) = recorded_at_a_terminal();

        work(&output);

        let count = |count| format!("\r\x1b[K  {count} entries so far");
        assert_eq!(notes.text(), format!("{}{}\r\x1b[K", count(100_000), count(200_000)));
        assert_eq!(results.text(), "");
    }

    #[test]
    fn nothing_is_counted_where_nobody_looks() {
        for is_json in [false, true] {
            let (output, results, notes) = recorded(is_json);

            work(&output);

            assert_eq!((results.text(), notes.text()), (String::new(), String::new()));
        }
    }
}
