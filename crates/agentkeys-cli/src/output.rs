use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

use owo_colors::OwoColorize;
use serde::Serialize;

use crate::{
    cli::{Color, GlobalArgs},
    failure::Failure,
};

/// The one place that prints: results to stdout, everything else to stderr.
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
    /// Whether somebody looks at stderr as it is written.
    is_watched: bool,
    results: Stream,
    notes: Stream,
}

/// Where text goes, and whether it may be coloured.
struct Stream {
    writer: Mutex<Box<dyn Write + Send>>,
    is_colored: bool,
}

impl Output {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        #[expect(clippy::disallowed_methods, reason = "https://no-color.org: set and not empty, whatever it says")]
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_colored = |is_terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !refused,
        };
        Self {
            is_json: global.json,
            is_quiet: global.quiet,
            is_watched: io::stderr().is_terminal(),
            results: Stream::new(io::stdout(), is_colored(io::stdout().is_terminal())),
            notes: Stream::new(io::stderr(), is_colored(io::stderr().is_terminal())),
        }
    }

    /// For a program, where the flags could not be read.
    pub(crate) fn for_programs() -> Self {
        let (results, notes) = (Stream::new(io::stdout(), false), Stream::new(io::stderr(), false));
        Self { is_json: true, is_quiet: true, is_watched: false, results, notes }
    }

    /// Whether the result is one JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether stderr may be coloured.
    pub(crate) fn colors_stderr(&self) -> bool {
        self.notes.is_colored
    }

    /// A line of the result.
    pub(crate) fn line(&self, text: impl Display) {
        if !self.is_json {
            self.results.line(text);
        }
    }

    /// A line of the result that says that something was done.
    pub(crate) fn done(&self, text: impl Display) {
        self.line(format_args!("{} {text}", self.results.mark(true)));
    }

    /// A line of the result that says that something was not done.
    pub(crate) fn failed(&self, text: impl Display) {
        self.line(format_args!("{} {text}", self.results.mark(false)));
    }

    /// The whole result, as a program reads it.
    pub(crate) fn document(&self, document: &impl Serialize) {
        // None of our documents can fail to be written: their keys are texts.
        self.results.line(serde_json::to_string(document).unwrap_or_default());
    }

    /// The result: `lines` for a person, `document` for a program.
    pub(crate) fn result(&self, document: &impl Serialize, lines: impl FnOnce(&Self)) {
        if self.is_json { self.document(document) } else { lines(self) }
    }

    /// Exactly what was asked for, whatever the flags.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.results.write(|writer| writer.write_all(bytes));
    }

    /// What goes on meanwhile.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.is_quiet && !self.is_json {
            self.notes.line(text);
        }
    }

    /// What goes on meanwhile, in the place of what was said so before; nothing leaves an empty line to write on.
    pub(crate) fn passing(&self, text: impl Display) {
        if self.is_watched && !self.is_quiet && !self.is_json {
            self.notes.write(|writer| write!(writer, "\r\x1b[K{text}"));
        }
    }

    /// What a person must do, so that it is told whatever the flags.
    pub(crate) fn instruct(&self, text: impl Display) {
        self.notes.line(text);
    }

    /// Asks for something on the same line.
    pub(crate) fn prompt(&self, text: &str) {
        self.notes.write(|writer| write!(writer, "{text} "));
    }

    /// What went wrong, and what to do about it.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json {
            #[derive(Serialize)]
            struct Document<'a> {
                error: &'a Failure,
            }
            self.notes.line(serde_json::to_string(&Document { error: failure }).unwrap_or_default());
            return;
        }
        let is_colored = self.notes.is_colored;
        let label = if is_colored { "error:".red().bold().to_string() } else { "error:".to_owned() };
        self.notes.line(format_args!("{label} {}", failure.message));
        if let Some(hint) = &failure.hint {
            let label = if is_colored { "hint:".cyan().bold().to_string() } else { "hint:".to_owned() };
            self.notes.line(format_args!("{label} {hint}"));
        }
    }

    /// The mark of what went well or did not, among the results or among the notes.
    #[cfg(feature = "dev")]
    pub(crate) fn mark(&self, is_done: bool, among_notes: bool) -> String {
        if among_notes { self.notes.mark(is_done) } else { self.results.mark(is_done) }
    }
}

impl Stream {
    fn new(writer: impl Write + Send + 'static, is_colored: bool) -> Self {
        Self { writer: Mutex::new(Box::new(writer)), is_colored }
    }

    fn line(&self, text: impl Display) {
        self.write(|writer| writeln!(writer, "{text}"));
    }

    fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that has gone away is no failure of ours.
        let _ = write(&mut **writer).and_then(|()| writer.flush());
    }

    fn mark(&self, is_done: bool) -> String {
        match (is_done, self.is_colored) {
            (true, true) => "✓".green().to_string(),
            (true, false) => "✓".to_owned(),
            (false, true) => "✗".red().to_string(),
            (false, false) => "✗".to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was printed, for a test to look at.
    #[derive(Clone, Default)]
    pub(crate) struct Printed(Arc<Mutex<Vec<u8>>>);

    impl Printed {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output without colours, and what it prints as results and as notes.
    pub(crate) fn recorded(is_json: bool) -> (Output, Printed, Printed) {
        let (results, notes) = (Printed::default(), Printed::default());
        let (on_stdout, on_stderr) = (Stream::new(results.clone(), false), Stream::new(notes.clone(), false));
        (Output { is_json, is_quiet: false, is_watched: false, results: on_stdout, notes: on_stderr }, results, notes)
    }

    /// An output at a terminal, without colours, and what it prints as results and as notes.
    pub(crate) fn recorded_at_a_terminal() -> (Output, Printed, Printed) {
        let (output, results, notes) = recorded(false);
        (Output { is_watched: true, ..output }, results, notes)
    }

    #[test]
    fn results_and_notes_go_their_own_ways() {
        let (output, results, notes) = recorded(false);

        output.done("Signed in");
        output.note("a moment");

        assert_eq!((results.text(), notes.text()), ("✓ Signed in\n".to_owned(), "a moment\n".to_owned()));
    }

    #[test]
    fn a_program_reads_one_document_and_nothing_else() {
        let (output, results, notes) = recorded(true);

        output.note("a moment");
        output.result(&serde_json::json!({"a": 1}), |output| output.line("a is 1"));

        assert_eq!((results.text(), notes.text()), ("{\"a\":1}\n".to_owned(), String::new()));
    }
}
