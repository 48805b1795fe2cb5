use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    process::ExitStatus,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, getpid, kill_process, waitid};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

/// What is passed on, and whether a terminal sends it to the program by itself.
const PASSED_ON: [(Signal, bool); 9] = [
    (Signal::CONT, false),
    (Signal::HUP, false),
    (Signal::INT, true),
    (Signal::QUIT, true),
    (Signal::TERM, false),
    (Signal::TSTP, true),
    (Signal::USR1, false),
    (Signal::USR2, false),
    (Signal::WINCH, true),
];

/// The signals that reach this process, kept for the program that it runs.
///
/// From `listen` on none of them ends this process any more. Those that whoever started us wants to be ignored stay so,
/// for the program too.
#[derive(Debug)]
pub(crate) struct Signals {
    arrived: mpsc::UnboundedReceiver<(Signal, bool)>,
    /// Whether the program has changed: ended, or stopped.
    changed: tokio::signal::unix::Signal,
    _listeners: JoinSet<()>,
}

impl Signals {
    /// Keeps what arrives from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let (sender, arrived) = mpsc::unbounded_channel();
        let mut listeners = JoinSet::new();
        let ignored = ignored();
        for (kind, is_the_terminals) in PASSED_ON {
            if ignored & (1 << (kind.as_raw() - 1)) != 0 {
                continue;
            }
            let mut stream = signal(SignalKind::from_raw(kind.as_raw()))?;
            let sender = sender.clone();
            listeners.spawn(async move {
                while stream.recv().await.is_some() && sender.send((kind, is_the_terminals)).is_ok() {}
            });
        }
        Ok(Self { arrived, changed: signal(SignalKind::child())?, _listeners: listeners })
    }

    /// Completes when a signal arrives that asks for an end, before there is a program. Gives the code to exit with.
    pub(crate) async fn asked_to_end(&mut self) -> u8 {
        loop {
            match self.arrived.recv().await {
                Some((kind @ (Signal::HUP | Signal::INT | Signal::QUIT | Signal::TERM), _)) => {
                    return u8::try_from(128 + kind.as_raw()).unwrap_or(u8::MAX);
                }
                Some(_) => {}
                // Nothing can arrive any more.
                None => std::future::pending().await,
            }
        }
    }

    /// Passes on what arrives until the program ends.
    ///
    /// At a terminal this process stops when the program does, so that the shell has the terminal back; it goes on when
    /// the shell says so.
    pub(super) async fn pass_on_until_the_end(mut self, child: &mut Child) -> io::Result<ExitStatus> {
        let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return child.wait().await };
        loop {
            tokio::select! {
                status = child.wait() => return status,
                Some((kind, is_the_terminals)) = self.arrived.recv() => {
                    if !(is_the_terminals && Terminal::is_ours_now()) {
                        // It may have ended a moment ago.
                        let _ = kill_process(pid, kind);
                    }
                }
                _ = self.changed.recv() => {
                    if has_stopped(pid) && Terminal::open().is_some() {
                        kill_process(getpid(), Signal::STOP)?;
                    }
                }
            }
        }
    }
}

fn has_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    matches!(waitid(WaitId::Pid(pid), options), Ok(Some(status)) if status.stopped())
}

/// The terminal that controls this process.
struct Terminal(File);

impl Terminal {
    fn open() -> Option<Self> {
        File::open("/dev/tty").ok().map(Self)
    }

    /// Whether what is typed there now signals this process's group, and with it the program.
    fn is_ours_now() -> bool {
        let group = Self::open().and_then(|terminal| rustix::termios::tcgetpgrp(terminal.0.as_fd()).ok());
        group == Some(getpgrp())
    }
}

/// The signals that are ignored in this process, one bit for each. Where the system does not tell, none.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}
