use std::{fs, io, net, process::Command, thread};

use super::*;

/// Both last for as long as the thread that has entered, so each test has one.
fn confined<T: Send + 'static>(needs: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(needs).join().unwrap()
}

fn kind<T>(tried: io::Result<T>) -> Option<io::ErrorKind> {
    tried.err().map(|error| error.kind())
}

#[test]
fn a_confined_thread_has_its_folder_and_its_ports_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (state, other) = (folder.path().join("state"), folder.path().join("other"));
    fs::create_dir(&state).unwrap();
    fs::write(&other, "not yours").unwrap();
    let broker = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stranger = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (broker_at, stranger_at) = (broker.local_addr().unwrap(), stranger.local_addr().unwrap());

    let tried = confined(move || {
        let needs = Needs { state: &state, read: Vec::new(), write: Vec::new(), listen: 0, broker: broker_at.port() };
        let confinement = enter(&needs).unwrap();
        let own = fs::write(state.join("file"), "mine").and_then(|()| fs::read(state.join("file"))).map(drop);
        let connected = [net::TcpStream::connect(broker_at), net::TcpStream::connect(stranger_at)].map(kind);
        let listens = kind(net::TcpListener::bind("127.0.0.1:0"));
        let thread = thread::spawn(|| ()).join().is_ok();
        (confinement, kind(own), kind(fs::read(&other)), connected, listens, thread)
    });

    let (confinement, own, others, connected, listens, thread) = tried;
    assert!(confinement.holds(), "{confinement}");
    assert_eq!((own, listens, thread), (None, None, true));
    assert_eq!(others, Some(io::ErrorKind::PermissionDenied));
    if confinement.files == RulesetStatus::FullyEnforced {
        assert_eq!(connected, [None, Some(io::ErrorKind::PermissionDenied)]);
    }
}

#[test]
fn a_confined_thread_starts_no_program_and_makes_no_other_memory_files() {
    let folder = tempfile::tempdir().unwrap();

    let (program, memory_file) = confined(move || {
        enter(&Needs { state: folder.path(), read: Vec::new(), write: Vec::new(), listen: 0, broker: 1 }).unwrap();
        let memory_file = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC);
        (kind(Command::new("/bin/true").status()), memory_file.err())
    });

    assert_eq!(program, Some(io::ErrorKind::PermissionDenied));
    assert_eq!(memory_file, Some(rustix::io::Errno::PERM));
}

#[test]
fn a_confined_thread_has_secret_memory_still() {
    let folder = tempfile::tempdir().unwrap();
    let before = agentkeys_memory::protection();

    let after = confined(move || {
        enter(&Needs { state: folder.path(), read: Vec::new(), write: Vec::new(), listen: 0, broker: 1 }).unwrap();
        agentkeys_memory::protection()
    });

    assert_eq!(after, before);
}
