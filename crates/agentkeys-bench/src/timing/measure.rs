use std::time::Instant;

use agentkeys_crypto::random;

use super::{
    Kind, Pair,
    statistics::{Sample, welch},
};

/// The share of the slowest samples, of both kinds together, that is left out: interrupts and neighbours.
const CROPPED: f64 = 0.1;

/// What was measured of a pair.
pub(super) struct Measurement {
    samples: usize,
    whole: (Sample, Sample),
    cropped: (Sample, Sample),
}

impl Measurement {
    fn of(times: &[(Kind, f64)]) -> Self {
        let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (sorted.len() as f64 * (1.0 - CROPPED)) as usize;
        // One bound for both kinds: what one of them has more of above it is missing below it.
        let bound = sorted.get(rank).copied().unwrap_or(f64::INFINITY);
        let below = |most: f64| {
            let of = |kind| times.iter().filter(move |(of, time)| *of == kind && *time <= most).map(|(_, time)| *time);
            (Sample::of(of(Kind::First)), Sample::of(of(Kind::Second)))
        };
        Self { samples: times.len(), whole: below(f64::INFINITY), cropped: below(bound) }
    }

    /// Welch's t of all samples or without the slowest, whichever says more.
    pub(super) fn t(&self) -> f64 {
        let (whole, cropped) = (welch(self.whole.0, self.whole.1), welch(self.cropped.0, self.cropped.1));
        if whole.abs() > cropped.abs() { whole } else { cropped }
    }

    /// The mean nanoseconds of each kind, without the slowest.
    pub(super) fn means(&self) -> (f64, f64) {
        (self.cropped.0.mean(), self.cropped.1.mean())
    }

    pub(super) fn samples(&self) -> usize {
        self.samples
    }
}

/// Takes `samples` samples, after a batch that only warms up.
pub(super) async fn measure(pair: &mut dyn Pair, samples: usize) -> anyhow::Result<Measurement> {
    let largest = pair.batch();
    let mut times = Vec::with_capacity(samples + largest);
    batch(pair, largest, &mut times).await?;
    times.clear();
    while times.len() < samples {
        let size = largest.min(samples - times.len());
        batch(pair, size, &mut times).await?;
    }
    Ok(Measurement::of(&times))
}

async fn batch(pair: &mut dyn Pair, size: usize, times: &mut Vec<(Kind, f64)>) -> anyhow::Result<()> {
    let kinds: Vec<Kind> =
        (0..size).map(|_| if random::<1>()[0] & 1 == 0 { Kind::First } else { Kind::Second }).collect();
    pair.prepare(&kinds).await?;
    for (index, kind) in kinds.into_iter().enumerate() {
        pair.load(index);
        let started = Instant::now();
        let ran = pair.run().await;
        times.push((kind, started.elapsed().as_secs_f64() * 1e9));
        ran?;
    }
    Ok(())
}
