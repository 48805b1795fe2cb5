use std::{collections::BTreeSet, fs, io, path::PathBuf};

use tokio::net::UnixStream;

use crate::socket::own_uid;

/// Who is at the other end of a Unix socket, as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The process that connected, where the kernel tells.
    pub pid: Option<i32>,
    /// What that process runs, as far as it can be known.
    pub executable: Option<PathBuf>,
}

impl Peer {
    /// The peer of a connection; to be asked as soon as it was accepted.
    ///
    /// The user is certain. The executable is only as good as the user's own processes let it be: a process can
    /// connect and then execute another program, or pass the connection on to one, and it is taken for the program
    /// that runs under its pid now. A pid that went to another process before the connection was accepted is believed,
    /// later ones are not. A script is its interpreter. What keeps itself from being looked at (is not dumpable, or
    /// lives in another mount namespace), or was deleted or replaced since it started, is not known.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let accepted = Uptime::now();
        let credentials = stream.peer_cred()?;
        // A process of another pid namespace has the pid 0.
        let pid = credentials.pid().filter(|pid| *pid > 0);
        let executable = pid.and_then(|pid| executable_of(pid, accepted));
        Ok(Self { uid: credentials.uid(), pid, executable })
    }
}

/// Whom a socket answers: by default the daemon's own user, and nobody else.
///
/// A list of executables keeps a person's other programs from asking by mistake. It is no wall against a hostile one
/// of the same user, which can debug, preload or replace one that is listed. To list `agentkeys` itself is of no use:
/// only a daemon of root can look at it.
#[derive(Clone, Debug)]
pub struct PeerPolicy {
    uids: BTreeSet<u32>,
    executables: Option<BTreeSet<PathBuf>>,
}

impl PeerPolicy {
    /// Allows the daemon's own user and `uids`, and of these the programs in `executables` alone, where there is a
    /// list.
    ///
    /// Links in the paths of programs are followed here and now.
    pub fn new(uids: impl IntoIterator<Item = u32>, executables: Option<BTreeSet<PathBuf>>) -> Self {
        let uids = uids.into_iter().chain([own_uid()]).collect();
        let canonical = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
        let executables = executables.map(|listed| listed.into_iter().map(canonical).collect());
        Self { uids, executables }
    }

    /// Whether `peer` is answered.
    pub fn allows(&self, peer: &Peer) -> bool {
        let is_listed = |listed: &BTreeSet<PathBuf>| peer.executable.as_ref().is_some_and(|path| listed.contains(path));
        self.allows_user(peer) && self.executables.as_ref().is_none_or(is_listed)
    }

    /// Whether the user of `peer` is answered, whatever the program.
    pub fn allows_user(&self, peer: &Peer) -> bool {
        self.uids.contains(&peer.uid)
    }
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self::new([], None)
    }
}

/// The time since the machine started, in the unit in which the kernel keeps the starts of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Uptime(u64);

#[cfg(target_os = "linux")]
impl Uptime {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let ticks = rustix::param::clock_ticks_per_second();
        let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Self(seconds * ticks + nanos * ticks / 1_000_000_000)
    }

    /// When a process started: the 22nd field of its `stat`, of which the second may hold blanks and parentheses.
    fn of_start(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        after_name.split_ascii_whitespace().nth(19)?.parse().ok().map(Self)
    }
}

#[cfg(not(target_os = "linux"))]
impl Uptime {
    fn now() -> Self {
        Self(0)
    }
}

/// What the process `pid` runs, if it is one that was there at `accepted`.
#[cfg(target_os = "linux")]
fn executable_of(pid: i32, accepted: Uptime) -> Option<PathBuf> {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{Pid, PidfdFlags, pidfd_open},
    };

    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let path = fs::read_link(&link).ok()?;
    let was_there = Uptime::of_start(pid)? <= accepted;
    let is_named_so = is_same_file(&link, &path);
    // Nobody else can have had the pid in between if the process lives still.
    let mut waiting = [PollFd::new(&process, PollFlags::IN)];
    let lives = poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|ended| ended == 0);
    (was_there && is_named_so && lives).then_some(path)
}

#[cfg(not(target_os = "linux"))]
fn executable_of(_: i32, _: Uptime) -> Option<PathBuf> {
    None
}

/// Whether what runs is what has that name here: not deleted, not replaced, and not of another file system's view.
#[cfg(target_os = "linux")]
fn is_same_file(running: &std::path::Path, named: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    match (fs::metadata(running), fs::symlink_metadata(named)) {
        (Ok(running), Ok(named)) => (running.dev(), running.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{
        os::unix::fs::symlink,
        path::Path,
        process::{Child, Command},
    };

    use super::*;

    /// A process that waits, from a program of our own.
    struct Waiting {
        process: Child,
        program: PathBuf,
        folder: tempfile::TempDir,
    }

    impl Waiting {
        fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let program = fs::canonicalize(folder.path()).unwrap().join("program");
            fs::copy("/bin/sleep", &program).unwrap();
            // A test that runs beside this one may just have started a child while the copy was open for writing.
            let process = loop {
                match Command::new(&program).arg("600").spawn() {
                    Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                    spawned => break spawned.unwrap(),
                }
            };
            Self { process, program, folder }
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.process.id()).unwrap()
        }

        fn executable(&self) -> Option<PathBuf> {
            executable_of(self.pid(), Uptime::now())
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    fn peer(uid: u32, executable: Option<&Path>) -> Peer {
        Peer { uid, pid: Some(1), executable: executable.map(Path::to_owned) }
    }

    #[tokio::test]
    async fn a_peer_is_known_by_user_process_and_program() {
        let (here, _there) = UnixStream::pair().unwrap();

        let peer = Peer::of(&here).unwrap();

        let own_program = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
        let own_pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(peer, Peer { uid: own_uid(), pid: Some(own_pid), executable: Some(own_program) });
    }

    #[test]
    fn another_process_is_known_by_its_program() {
        let waiting = Waiting::start();

        assert_eq!(waiting.executable(), Some(waiting.program.clone()));
    }

    #[test]
    fn a_program_that_was_deleted_or_replaced_is_not_known() {
        let waiting = Waiting::start();

        fs::remove_file(&waiting.program).unwrap();
        assert_eq!(waiting.executable(), None);

        fs::write(waiting.folder.path().join("program (deleted)"), "").unwrap();
        assert_eq!(waiting.executable(), None);

        fs::copy("/bin/sleep", &waiting.program).unwrap();
        assert_eq!(waiting.executable(), None);
    }

    #[test]
    fn a_process_that_has_ended_is_not_known() {
        let mut waiting = Waiting::start();
        waiting.process.kill().unwrap();

        // The pid is its own until somebody has waited for it.
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        let pid = rustix::process::Pid::from_raw(waiting.pid()).unwrap();
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
        assert_eq!(waiting.executable(), None);

        waiting.process.wait().unwrap();
        assert_eq!(waiting.executable(), None);
    }

    #[test]
    fn a_process_that_has_the_pid_only_since_the_connection_was_accepted_is_not_believed() {
        let waiting = Waiting::start();
        let Uptime(started) = Uptime::of_start(waiting.pid()).unwrap();

        assert_eq!(executable_of(waiting.pid(), Uptime(started)), Some(waiting.program.clone()));
        assert_eq!(executable_of(waiting.pid(), Uptime(started - 1)), None);
    }

    #[test]
    fn nobody_but_the_own_user_is_allowed_unless_listed() {
        let stranger = own_uid() + 1;

        assert!(PeerPolicy::default().allows(&peer(own_uid(), None)));
        assert!(!PeerPolicy::default().allows(&peer(stranger, None)));
        assert!(PeerPolicy::new([stranger], None).allows(&peer(stranger, None)));
        assert!(PeerPolicy::new([stranger], None).allows(&peer(own_uid(), None)));
        assert!(!PeerPolicy::new([stranger], None).allows(&peer(stranger + 1, None)));
    }

    #[test]
    fn where_programs_are_listed_no_other_and_no_unknown_one_is_allowed() {
        let waiting = Waiting::start();
        let link = waiting.folder.path().join("link");
        symlink(&waiting.program, &link).unwrap();
        let policy = PeerPolicy::new([], Some(BTreeSet::from([link.clone()])));

        assert!(policy.allows(&peer(own_uid(), waiting.executable().as_deref())));
        assert!(!policy.allows(&peer(own_uid(), Some(&link))));
        assert!(!policy.allows(&peer(own_uid(), Some(Path::new("/bin/other")))));
        assert!(!policy.allows(&peer(own_uid(), None)));
        assert!(!policy.allows(&peer(own_uid() + 1, Some(&waiting.program))));
        assert!(!PeerPolicy::new([], Some(BTreeSet::new())).allows(&peer(own_uid(), Some(&waiting.program))));
    }
}
