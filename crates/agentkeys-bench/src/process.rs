use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;

/// A server in a process of its own. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts a server that answers `/healthz`, or anything at all, at `address`.
    pub(crate) async fn start(command: &mut Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let mut process = Self::spawn(command, address, log)?;
        let program = command.get_program();
        process.answers().await.with_context(|| format!("{} does not answer", program.display()))?;
        Ok(process)
    }

    /// As [`Process::start`], without waiting for an answer.
    pub(crate) fn spawn(command: &mut Command, address: SocketAddr, log: &Path) -> anyhow::Result<Self> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, address })
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        for _ in 0..500 {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("it ended with {status}");
            }
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("not within 5 s")
    }

    /// CPU time of all its threads since it started, from the scheduler's own count in nanoseconds.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time_of(self.child.id())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(field(&status, "VmRSS:").context("no VmRSS")?.trim_end_matches(" kB").parse()?)
    }

    /// How often each of its threads has given up the processor of its own accord: as often, it was woken.
    pub(crate) fn wake_ups(&self) -> anyhow::Result<WakeUps> {
        let mut threads = HashMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?;
            // One that has just ended wakes no more.
            let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
            let switches = field(&status, "voluntary_ctxt_switches:").context("no count of switches")?.parse()?;
            threads.insert(task.file_name(), switches);
        }
        Ok(WakeUps(threads))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, and returns when it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)?;
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("it did not end within 10 s")
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of all threads of a process since each started.
pub(crate) fn cpu_time_of(process: u32) -> anyhow::Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// By thread.
#[derive(Debug)]
pub(crate) struct WakeUps(HashMap<OsString, u64>);

impl WakeUps {
    /// How many there were from `before` until these.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        self.0.iter().map(|(thread, count)| count - before.0.get(thread).unwrap_or(&0)).sum()
    }
}

fn field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A loopback address whose port was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
