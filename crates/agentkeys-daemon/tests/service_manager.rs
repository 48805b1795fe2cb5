//! Taking over from a service manager, in processes that have one thread, as the tests of a usual harness have not.

#![expect(clippy::unwrap_used, reason = "what a test sets up must succeed")]
#![expect(clippy::print_stdout, reason = "it speaks to what runs the tests, and to the test")]

use std::{
    env,
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Command, Output},
    thread,
};

use agentkeys_daemon::ServiceManager;

/// Tells this program that it is the daemon of a test.
const DAEMON: &str = "daemon";

const TESTS: &[(&str, fn())] = &[
    ("the_socket_is_taken_over_and_children_learn_nothing_of_it", taken_over),
    ("what_is_meant_for_another_process_is_not_taken", meant_for_another),
    ("more_than_one_socket_is_refused", more_than_one),
    ("a_socket_that_does_not_listen_is_refused", not_listening),
    ("nothing_is_taken_while_there_are_threads", with_threads),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(DAEMON) => daemon(),
        Some("--list") if arguments.iter().any(|argument| argument == "--ignored") => {}
        Some("--list") => TESTS.iter().for_each(|(name, _)| println!("{name}: test")),
        filter => {
            let filter = filter.filter(|filter| !filter.starts_with('-')).unwrap_or_default();
            TESTS.iter().filter(|(name, _)| name.contains(filter)).for_each(|(_, test)| test());
        }
    }
}

/// Says what it was given, then what a child of it gets to see.
fn daemon() {
    let threads = env::args().any(|argument| argument == "threads");
    let other = threads.then(|| thread::spawn(thread::park));
    match ServiceManager::take() {
        Err(error) => println!("error: {error}"),
        Ok(mut manager) => match manager.take_socket() {
            None => println!("none"),
            Some(listener) => {
                // The client that waited, and then nobody: a socket that blocks would wait for one.
                println!("socket {} {}", listener.accept().is_ok(), listener.accept().is_ok());
                manager.ready();
            }
        },
    }
    if let Some(other) = other {
        other.thread().unpark();
        other.join().unwrap();
    }
    Command::new("sh")
        .args(["-c", "env; for fd in 3 4 5; do [ -e /proc/$$/fd/$fd ] && echo open $fd; done; true"])
        .status()
        .unwrap();
}

struct Bench {
    folder: tempfile::TempDir,
    notify: UnixDatagram,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notify.set_nonblocking(true).unwrap();
        Self { folder, notify }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Runs this program as a service manager would, with `socket` as its descriptor 3.
    fn run(&self, socket: impl Into<OwnedFd>, set: &str, argument: &str) -> Output {
        let script = format!(r#"{set}; export LISTEN_PID LISTEN_FDS; exec "$0" {DAEMON} {argument} 3<&0 </dev/null"#);
        Command::new("sh")
            .args(["-c", &script])
            .arg(env::current_exe().unwrap())
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("LISTEN_FDNAMES", "agentkeys.socket")
            .stdin(socket.into())
            .output()
            .unwrap()
    }

    fn told(&self) -> Option<String> {
        let mut buffer = [0; 200];
        let length = self.notify.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }
}

fn lines(output: &Output) -> (String, Vec<String>) {
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    (lines.next().unwrap(), lines.collect())
}

fn is_told_of_manager(line: &str) -> bool {
    ["NOTIFY_SOCKET", "LISTEN_", "open "].iter().any(|start| line.starts_with(start))
}

fn taken_over() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.path()).unwrap();
    let _client = UnixStream::connect(bench.path()).unwrap();

    let output = bench.run(listener, "LISTEN_PID=$$ LISTEN_FDS=1", "");

    let (taken, seen) = lines(&output);
    assert_eq!(taken, "socket true false");
    assert!(seen.iter().any(|line| line.starts_with("PATH=")));
    assert!(!seen.iter().any(|line| is_told_of_manager(line)), "{seen:?}");
    assert_eq!(bench.told().as_deref(), Some("READY=1"));
    assert!(bench.path().exists());
}

fn meant_for_another() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.path()).unwrap();

    let output = bench.run(listener, "LISTEN_PID=1 LISTEN_FDS=1", "");

    let (taken, seen) = lines(&output);
    assert_eq!(taken, "none");
    let told: Vec<&String> = seen.iter().filter(|line| is_told_of_manager(line)).collect();
    assert_eq!(told, ["open 3"]);
    assert_eq!(bench.told(), None);
}

fn more_than_one() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.path()).unwrap();

    let (taken, _) = lines(&bench.run(listener, "LISTEN_PID=$$ LISTEN_FDS=2", ""));

    assert_eq!(taken, "error: the service manager hands over more than one socket");
}

fn not_listening() {
    let bench = Bench::new();
    let (here, _there) = UnixStream::pair().unwrap();

    let (taken, _) = lines(&bench.run(here, "LISTEN_PID=$$ LISTEN_FDS=1", ""));

    assert_eq!(taken, "error: the service manager's socket does not listen");
}

fn with_threads() {
    let bench = Bench::new();
    let listener = UnixListener::bind(bench.path()).unwrap();

    let (taken, seen) = lines(&bench.run(listener, "LISTEN_PID=$$ LISTEN_FDS=1", "threads"));

    assert!(taken.starts_with("error: NOTIFY_SOCKET"), "{taken}");
    assert!(seen.iter().any(|line| is_told_of_manager(line)));
}
