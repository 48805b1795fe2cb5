//! Whether time tells secrets apart: pairs of inputs that must take equally long, and a planted leak that must not.
//!
//! After dudect (Reparaz, Balasch, Verbauwhede, 2017): the kind of each sample is chosen at random, both kinds pass
//! through the same buffer, and Welch's t says whether their mean times differ. Everything runs in this process, on
//! the code that the servers run, without a network's noise. Only where the two kinds differ in what is no secret, as
//! whether a request is known, it is a client that measures, on one connection to the real routes over loopback.

mod addresses;
mod bench;
mod client;
mod link_code;
mod measure;
mod planted;
mod sign_in;
mod standing;
mod statistics;
mod tokens;

use std::{ops::ControlFlow, time::Instant};

use anyhow::bail;
use async_trait::async_trait;

use self::measure::{Measurement, measure};
use crate::report::line;

/// Beyond it, the times of two kinds differ.
const LEAKS: f64 = 4.5;
/// Beyond it, a leak is found without any doubt.
const FOUND: f64 = 10.0;
/// How often a pair is measured before it counts as a leak: noise does not come back, a leak does.
const ROUNDS: usize = 3;

/// Two kinds of input to one operation.
#[async_trait]
trait Pair {
    /// What is compared.
    fn name(&self) -> &'static str;

    /// How many samples are prepared at a time.
    fn batch(&self) -> usize {
        512
    }

    /// Makes inputs of these kinds ready, none of them used before.
    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()>;

    /// Copies an input to where the operation reads it.
    fn load(&mut self, index: usize);

    /// What is timed.
    async fn run(&mut self) -> anyhow::Result<()>;
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    First,
    Second,
}

/// Measures all pairs and the planted leak, and prints a table.
///
/// # Errors
///
/// When a pair leaks, or the planted leak is not found.
pub(crate) async fn run(samples: usize, only: Option<usize>) -> anyhow::Result<()> {
    line("| pair | samples | first ns | second ns | difference ns | Welch t | rounds | |");
    line("|---|---|---|---|---|---|---|---|");
    let started = Instant::now();
    let mut leaks = Vec::new();
    for number in 1..=PAIRS {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let mut pair = pair(number).await?;
        let name = format!("{number} {}", pair.name());
        if !holds(&mut *pair, &name, samples).await? {
            leaks.push(name);
        }
    }
    let planted = measure(&mut planted::EarlyExit::new(), samples).await?;
    let is_found = planted.t().abs() > FOUND;
    row(
        "planted: a comparison that stops at the first difference",
        &planted,
        1,
        if is_found { "found" } else { "MISSED" },
    );
    line(&format!("\ntook {:.0} s", started.elapsed().as_secs_f64()));
    match (leaks.as_slice(), is_found) {
        ([], true) => Ok(()),
        ([], false) => bail!("the planted leak was not found: nothing else was shown"),
        (leaks, _) => bail!("time tells apart: {}", leaks.join(", ")),
    }
}

const PAIRS: usize = 11;

/// The pair of this number, on a system of its own.
async fn pair(number: usize) -> anyhow::Result<Box<dyn Pair>> {
    Ok(match number {
        1 => Box::new(tokens::Altered::signature()?),
        2 => Box::new(tokens::Altered::remembered()?),
        3 => Box::new(tokens::Forged::new().await?),
        4 => Box::new(sign_in::WrongCode::new().await?),
        5 => Box::new(sign_in::UnknownRequest::new().await?),
        6 => Box::new(addresses::Start::new().await?),
        7 => Box::new(standing::UnknownSession::new().await?),
        8 => Box::new(sign_in::AlteredRequest::new().await?),
        9 => Box::new(addresses::BrowserStart::new().await?),
        10 => Box::new(addresses::LinkStart::new().await?),
        _ => Box::new(link_code::OthersRequest::new().await?),
    })
}

/// Whether both kinds take equally long, in one of the rounds at least.
async fn holds(pair: &mut dyn Pair, name: &str, samples: usize) -> anyhow::Result<bool> {
    for round in 1..=ROUNDS {
        let measurement = measure(pair, samples).await?;
        let verdict = match measurement.t().abs() {
            t if t < LEAKS => ControlFlow::Break("holds"),
            _ if round == ROUNDS => ControlFlow::Continue("LEAKS"),
            _ => ControlFlow::Continue("again"),
        };
        let (ControlFlow::Break(word) | ControlFlow::Continue(word)) = verdict;
        row(name, &measurement, round, word);
        if verdict.is_break() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn row(name: &str, measurement: &Measurement, round: usize, verdict: &str) {
    let (first, second) = measurement.means();
    line(&format!(
        "| {name} | {} | {first:.0} | {second:.0} | {:+.1} | {:.2} | {round} | {verdict} |",
        measurement.samples(),
        second - first,
        measurement.t(),
    ));
}
