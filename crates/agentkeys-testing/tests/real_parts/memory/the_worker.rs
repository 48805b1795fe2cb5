//! What a TEE worker holds, in whichever way it came to its master secret.

mod callers;
mod holders;
mod secrets;

use std::{path::Path, time::Duration};

use agentkeys_client::{Binding, Session};
use agentkeys_testing::{Process, System, WorkerMachine};
use agentkeys_types::EvmAddress;
use serde_json::Value;

use self::{callers::Caller, holders::Holders, secrets::Secrets};
use super::{
    assert_clean,
    forms::{self, Form},
    needles::Needles,
    plant::plant_and_find,
    say,
    scan::Scan,
    wait_until_clean,
};
use crate::worker::machine::http;

/// For whom it signs.
const PEOPLE: [&str; 4] = ["ada", "barbara", "edsger", "grace"];
/// For how long it may hold what it was sent last, while the client keeps the connection open.
const KEPT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb, root and swtpm: cargo xtask test"]
async fn a_worker_shows_no_secret_however_it_was_started() {
    let holders = Holders::new();
    let mut system = System::start_with_worker_settings(&holders.settings()).await;
    let secrets = Secrets::of(&holders.open(&system.worker().machine().state()));
    let dealt = Scan::numbers(system.worker().id(), &Needles::new(vec![secrets.coefficients()]));
    say(&format!("worker, what dealt the shares: {dealt}"));
    assert_eq!(dealt.windows(), 0, "{dealt}");
    let mut people = Vec::new();
    for name in PEOPLE {
        let session = system.sign_in(name, Binding::DeviceKey).await;
        let wallet = system.flow().connect_wallet(&session, &mut ()).await.unwrap();
        people.push((session, wallet));
    }
    for (session, wallet) in &people {
        assert_eq!(secrets.address(session), wallet.to_string().to_lowercase(), "it signs with what is looked for");
    }

    use_and_scan("after its first boot", &system, &people, &secrets).await;
    system.worker_mut().kill().await;
    system.worker_mut().restart().await;
    use_and_scan("after it has unsealed", &system, &people, &secrets).await;
    system.worker_mut().kill().await;
    system.worker().machine().approve(1);
    system.worker_mut().restart().await;
    use_and_scan("after it has sealed anew", &system, &people, &secrets).await;

    plant_and_find(system.worker().id(), &Needles::new(secrets.forms()));
    say("worker: what was planted on heap, stack and in a register was found");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs gdb, root and swtpm: cargo xtask test"]
async fn a_worker_that_was_restored_shows_neither_the_shares_nor_the_secret() {
    let (holders, folder) = (Holders::new(), tempfile::tempdir().unwrap());
    let lost = System::start_with_worker_settings(&holders.settings()).await;
    let lost_state = lost.worker().machine().state();
    let secrets = Secrets::of(&holders.open(&lost_state));

    let settings = format!("[backup]\nrestore_identity = {:?}\nrestore_without_log = true\n", secrets.identity());
    let machine = WorkerMachine::with_settings(folder.path(), &lost.broker_url(), &settings);
    let mut command = Process::command(Process::binary("agentkeys-tee-worker"));
    command.args(machine.arguments("trace"));
    let mut worker = Process::start(command);
    worker.line_with("waiting for shares").await;
    let (http, url) = (http(), format!("{}/restore", machine.url()));
    let wanted: Value = http.get(&url).send().await.unwrap().json().await.unwrap();
    for share in holders.reseal(&lost_state, wanted["public_key"].as_str().unwrap()) {
        assert_eq!(http.post(&url).json(&share).send().await.unwrap().status(), 200);
    }
    worker.line_with("the worker signs").await;

    let needles = Needles::new(secrets.forms());
    wait_until_clean("restored worker, connections open", worker.id(), &needles, KEPT).await;
    assert_clean("restored worker", worker.id(), &needles);
    assert_written_nothing("restored worker", folder.path(), &worker.output(), &needles);
    assert_shows_identity(worker.id(), &secrets);
}

/// Has it sign for all of them over connections that stay open, and looks for what it has seen.
async fn use_and_scan(when: &str, system: &System, people: &[(Session, EvmAddress)], secrets: &Secrets) {
    let (worker, flow) = (system.worker(), system.flow());
    secrets.assert_are_of(&worker.url()).await;
    let mut callers: Vec<_> = people.iter().map(|(session, _)| Caller::new(&worker.url(), session)).collect();
    let mut forms = secrets.forms();
    for (caller, (session, wallet)) in callers.iter_mut().zip(people) {
        caller.have_signed(&flow, *wallet).await;
        forms.extend(secrets.of_wallet(session));
        forms.extend(caller.forms());
    }
    let (name, needles) = (format!("worker {when}"), Needles::new(forms));

    wait_until_clean(&format!("{name}, connections open"), worker.id(), &needles, KEPT).await;
    drop(callers);
    assert_clean(&name, worker.id(), &needles);
    let folder = worker.machine().state();
    assert_written_nothing(&name, folder.parent().unwrap(), worker.log().as_bytes(), &needles);
    assert_shows_identity(worker.id(), secrets);
}

/// Neither a file below `folder` nor the log holds a window of a secret.
fn assert_written_nothing(name: &str, folder: &Path, log: &[u8], needles: &Needles) {
    assert!(log.len() > 1024, "{name}: there is a log to look at");
    for scan in [Scan::files(folder, needles), Scan::bytes("log", log, needles)] {
        say(&format!("{name}: {scan}"));
        assert_eq!(scan.windows(), 0, "{name}: {scan}");
    }
}

/// What everybody may know is there to be found: the scan reads where the worker keeps things.
fn assert_shows_identity(process: u32, secrets: &Secrets) {
    let identity: Form = ("identity".to_owned(), hex::decode(secrets.identity()).unwrap());
    assert!(Scan::memory(process, &Needles::new(vec![identity])).windows() > 0, "its public identity was not found");
}
