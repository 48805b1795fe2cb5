use std::{
    ffi::OsString,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::Path,
};

use listenfd::ListenFd;

/// The service manager that started this process, if it was one that talks as systemd does.
///
/// Without one, nothing was handed over, and what it is told nobody hears.
#[derive(Debug, Default)]
pub struct ServiceManager {
    listener: Option<UnixListener>,
    notify: Option<SocketAddr>,
}

impl ServiceManager {
    /// Takes over the socket that the service manager listens on, and notes where it wants to be told.
    ///
    /// The variables that say so are removed, and the socket closes when a program is executed, so children get
    /// neither. To be called in `main`, before there are threads, since nothing guards the environment against them.
    ///
    /// # Errors
    ///
    /// When there are threads already, or there is something else than one listening stream socket.
    pub fn take() -> io::Result<Self> {
        let notify = take_variable("NOTIFY_SOCKET")?.map(|name| address(&name)).transpose()?;
        let is_ours = take_variable("LISTEN_PID")?.is_some_and(|pid| is_own(&pid));
        take_variable("LISTEN_FDNAMES")?;
        let listener = if is_ours { take_listener(&mut ListenFd::from_env())? } else { None };
        take_variable("LISTEN_FDS")?;
        Ok(Self { listener, notify })
    }

    /// The socket that it listened on until now, non-blocking; the caller must not remove it.
    pub fn take_socket(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Says that whoever waited for this process can go on.
    pub fn ready(&self) {
        self.notify("READY=1");
    }

    /// Says that the settings are read anew; [`ready`](Self::ready) says that this is over.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Says that this process is about to end.
    pub fn stopping(&self) {
        self.notify("STOPPING=1");
    }

    /// Says in words, of one line, how it goes.
    pub fn status(&self, words: &str) {
        let line = words.lines().next().unwrap_or_default();
        self.notify(&format!("STATUS={line}"));
    }

    fn notify(&self, message: &str) {
        let Some(address) = &self.notify else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            // A manager that does not read must not keep callers waiting.
            socket.set_nonblocking(true)?;
            socket.send_to_addr(message.as_bytes(), address)
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}

fn take_variable(name: &str) -> io::Result<Option<OsString>> {
    let taken = agentkeys_memory::take_variable(name)?;
    Ok(taken.map(|value| OsString::from_vec(value.expose().to_vec())))
}

fn is_own(pid: &OsString) -> bool {
    pid.to_str().and_then(|pid| pid.parse().ok()) == Some(std::process::id())
}

fn take_listener(handed: &mut ListenFd) -> io::Result<Option<UnixListener>> {
    if handed.len() > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the service manager hands over more than one socket"));
    }
    let Some(listener) = handed.take_unix_listener(0)? else { return Ok(None) };
    if !is_listening(&listener)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the service manager's socket does not listen"));
    }
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(socket: &UnixListener) -> io::Result<bool> {
    Ok(rustix::net::sockopt::socket_acceptconn(socket)?)
}

/// Apple's kernels do not tell.
#[cfg(target_vendor = "apple")]
fn is_listening(_: &UnixListener) -> io::Result<bool> {
    Ok(true)
}

/// A path, or a name of Linux's own that begins with `@`.
fn address(name: &OsString) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(Path::new(name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "`NOTIFY_SOCKET` is neither a path nor a name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told {
        manager: ServiceManager,
        socket: UnixDatagram,
    }

    impl Told {
        fn at(socket: UnixDatagram, name: &str) -> Self {
            let manager = ServiceManager { listener: None, notify: Some(address(&name.into()).unwrap()) };
            Self { manager, socket }
        }

        fn next(&self) -> String {
            let mut buffer = [0; 200];
            let length = self.socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        }
    }

    #[test]
    fn a_service_manager_is_told_how_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let told = Told::at(UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap());

        told.manager.ready();
        told.manager.status("serves 2 roles\nREADY=0");
        told.manager.reloading();
        told.manager.stopping();

        assert_eq!(told.next(), "READY=1");
        assert_eq!(told.next(), "STATUS=serves 2 roles");
        let reloading = told.next();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        assert_eq!(told.next(), "STOPPING=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_service_manager_without_a_path_is_told_too() {
        let name = format!("agentkeys-test-{}", std::process::id());
        let bound = <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
        let told = Told::at(UnixDatagram::bind_addr(&bound).unwrap(), &format!("@{name}"));

        told.manager.ready();

        assert_eq!(told.next(), "READY=1");
    }

    #[test]
    fn nobody_needs_to_listen() {
        let folder = tempfile::tempdir().unwrap();
        let gone = address(&folder.path().join("gone").into()).unwrap();

        ServiceManager::default().ready();
        ServiceManager { listener: None, notify: Some(gone) }.ready();

        assert!(ServiceManager::default().take_socket().is_none());
    }

    #[test]
    fn what_is_neither_a_path_nor_a_name_is_refused() {
        for name in ["", "notify", "vsock:2:1234"] {
            assert!(address(&name.into()).is_err(), "{name}");
        }
    }
}
