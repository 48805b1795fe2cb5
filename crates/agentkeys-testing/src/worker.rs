mod machine;

use std::path::Path;

pub use self::machine::{WorkerMachine, policy_entry};
use crate::Process;

/// What it logs once it answers.
const READY: &str = "the worker signs";
/// All that it can log, so that a test finds what must not be there.
const LOG: &str = "trace";

/// A TEE worker that runs on a machine of its own.
#[derive(Debug)]
pub struct Worker {
    machine: WorkerMachine,
    process: Option<Process>,
}

impl Worker {
    /// Starts one for the broker at `broker_url`, with all its files in `folder` and these among its settings.
    ///
    /// # Panics
    ///
    /// When it does not start, or when there is no swtpm.
    pub async fn start(folder: &Path, broker_url: &str, settings: &str) -> Self {
        let machine = WorkerMachine::with_settings(folder, broker_url, settings);
        let process = Some(ready(&machine).await);
        Self { machine, process }
    }

    /// The machine that it runs on.
    pub fn machine(&self) -> &WorkerMachine {
        &self.machine
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.machine.url()
    }

    /// All that it has logged since it was started last.
    pub fn log(&self) -> String {
        let output = self.process.as_ref().map(Process::output).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("a worker that runs").id()
    }

    /// Ends it at once, as a power failure does; gives what it logged.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub async fn kill(&mut self) -> Vec<u8> {
        self.process.take().expect("a worker that runs").kill().await
    }

    /// Starts its machine anew, and it in there.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.machine.power_cycle();
        self.process = Some(ready(&self.machine).await);
    }

    /// Starts its machine anew, in which it refuses to start; gives what it logged.
    ///
    /// # Panics
    ///
    /// When it starts, or ends well.
    pub async fn refuses_to_restart(&mut self) -> String {
        self.machine.power_cycle();
        let mut process = start(&self.machine);
        let ended = process.ended().await;
        let log = String::from_utf8_lossy(&process.output()).into_owned();
        assert!(!ended.success(), "it ended well\n{log}");
        log
    }
}

fn start(machine: &WorkerMachine) -> Process {
    let mut command = Process::command(Process::binary("agentkeys-tee-worker"));
    command.args(machine.arguments(LOG));
    Process::start(command)
}

async fn ready(machine: &WorkerMachine) -> Process {
    let mut process = start(machine);
    process.line_with(READY).await;
    process
}
