use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
};

use rustix::{
    process::{Signal, getpid, kill_process},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

const CTRL_C: u8 = 3;
const LONGEST: usize = 1024;

/// What a person types after `prompt` at the terminal of this process, which does not show it.
///
/// The terminal goes silent before the prompt appears, so that nobody can type too early; at Ctrl-C it is itself
/// again before the process ends.
pub(super) fn read(prompt: &str) -> io::Result<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let silent = Silent::begin(&terminal)?;
    (&terminal).write_all(prompt.as_bytes())?;
    let line = read_line(&terminal);
    drop(silent);
    (&terminal).write_all(b"\n")?;
    let line = line?;
    let Some((&end, typed)) = line.split_last() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    if end == CTRL_C {
        kill_process(getpid(), Signal::INT)?;
        return Err(io::ErrorKind::Interrupted.into());
    }
    let typed = if end == b'\n' { typed } else { &line[..] };
    String::from_utf8(typed.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// One line with its end: a newline, Ctrl-C, or nothing where the terminal was closed.
fn read_line(terminal: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = [0];
    while line.len() < LONGEST && rustix::io::read(terminal, &mut byte)? == 1 {
        line.push(byte[0]);
        if matches!(byte[0], b'\n' | CTRL_C) {
            break;
        }
    }
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silent<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silent<'t> {
    fn begin(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Ctrl-C ends the line instead of the process, which would leave the terminal silent.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing any more.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
