use std::time::{Duration, Instant};

use agentkeys_client::{ClientError, Observer, Step, Walked};
use agentkeys_types::{EvmAddress, OmniAccount, Timestamp};
use serde::Serialize;

use super::{DevError, screen::Screen};

/// What happened, for the screen line by line and for a program as one document.
pub(super) struct Report<'o> {
    screen: Screen<'o>,
    document: Document,
    last_step: Instant,
}

#[derive(Default, Serialize)]
struct Document {
    steps: Vec<Line>,
    checks: Vec<Check>,
    #[serde(flatten)]
    end: Option<End>,
}

#[derive(Serialize)]
struct Line {
    step: u8,
    #[serde(flatten)]
    check: Check,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    ms: f64,
    detail: String,
}

#[derive(Serialize)]
struct End {
    account: OmniAccount,
    wallet: EvmAddress,
    expires_at: Timestamp,
}

const STEPS: [Step; 8] =
    [Step::SignIn, Step::Derive, Step::Link, Step::Challenge, Step::Sign, Step::Verify, Step::Mint, Step::Assume];

impl<'o> Report<'o> {
    pub(super) fn new(screen: Screen<'o>) -> Self {
        Self { screen, document: Document::default(), last_step: Instant::now() }
    }

    /// The walk ended with `error`: the step after the last one done is the one that failed.
    pub(super) fn failed_step(&mut self, error: &ClientError) {
        let elapsed = self.last_step.elapsed();
        if let Some(step) = STEPS.get(self.document.steps.len()).copied() {
            let check = Check { name: step.name(), ok: false, ms: milliseconds(elapsed), detail: error.to_string() };
            self.document.steps.push(Line { step: step.number(), check });
            self.screen.step(false, step.number(), step.name(), "", elapsed);
        }
    }

    /// A line beyond the eight steps.
    pub(super) fn check(&mut self, name: &'static str, elapsed: Duration, outcome: &Result<String, DevError>) {
        let (ok, detail) = match outcome {
            Ok(place) => (true, place.clone()),
            Err(error) => (false, error.to_string()),
        };
        self.screen.check(ok, name, &detail);
        self.document.checks.push(Check { name, ok, ms: milliseconds(elapsed), detail });
    }

    /// Where the walk led.
    pub(super) fn end(&mut self, walked: &Walked) {
        let (account, wallet) = (walked.session.omni_account, walked.wallet);
        self.document.end = Some(End { account, wallet, expires_at: walked.credentials.expires_at });
    }

    pub(super) fn print_document(&self) {
        self.screen.document(&self.document);
    }
}

impl Observer for Report<'_> {
    fn step(&mut self, step: Step, elapsed: Duration, detail: &str) {
        let check = Check { name: step.name(), ok: true, ms: milliseconds(elapsed), detail: detail.to_owned() };
        self.document.steps.push(Line { step: step.number(), check });
        self.last_step = Instant::now();
        let (what, remark) = match step {
            Step::SignIn => (format!("signed in as {detail}"), "e-mail code read from the mailbox".to_owned()),
            Step::Derive => (step.name().to_owned(), detail.to_owned()),
            Step::Assume => (step.name().to_owned(), format!("{detail}, for 15 min")),
            _ => (step.name().to_owned(), String::new()),
        };
        self.screen.step(true, step.number(), &what, &remark, elapsed);
    }
}

/// To a hundredth: a loopback step takes few of them.
fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e5).round() / 100.0
}
