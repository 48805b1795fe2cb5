//! What is left of secrets in the memory of the processes that they passed through, as gdb and root see it.

mod closed;
mod core_dump;
mod forms;
mod needles;
mod plant;
mod scan;
mod server_keys;
mod servers;
mod sts;
mod the_daemon;
mod the_keychain;
mod the_worker;

use std::time::{Duration, Instant};

use agentkeys_client::Session;

use self::{core_dump::CoreDump, forms::Form, needles::Needles, scan::Scan};

/// Those of everything with which a thief could act as the session.
fn forms_of_session(session: &Session) -> Vec<Form> {
    let device_key = session.device_key.as_ref().unwrap().expose_secret();
    let mut forms = forms::of_token("session token", session.token.expose());
    forms.extend(forms::of_scalar("device key", device_key.try_into().unwrap()));
    forms
}

/// Scans the process until nothing is found, which must be within `limit`.
async fn wait_until_clean(name: &str, process: u32, needles: &Needles, limit: Duration) {
    let started = Instant::now();
    let first = Scan::memory(process, needles);
    let mut last = first.windows();
    while last != 0 {
        assert!(started.elapsed() < limit, "{name}: {first}");
        // Others are to go on before the next look.
        tokio::task::yield_now().await;
        last = Scan::memory(process, needles).windows();
    }
    say(&format!("{name}: {} windows at first, none after {} ms", first.windows(), started.elapsed().as_millis()));
}

/// Neither the process's memory nor its core, registers included, holds a window of a secret.
fn assert_clean(name: &str, process: u32, needles: &Needles) {
    for scan in [Scan::memory(process, needles), Scan::core(&CoreDump::take(process, &[]), needles)] {
        say(&format!("{name}: {scan}"));
        assert_eq!(scan.windows(), 0, "{name}: {scan}");
    }
}

/// Figures, for `cargo xtask memory-scan` to show.
#[expect(clippy::print_stdout, reason = "the figures are what the scan is for")]
fn say(line: &str) {
    println!("{line}");
}
