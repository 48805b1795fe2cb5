/// Mean and variance, by Welford's method.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Sample {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        values.into_iter().fold(Self::default(), |sample, value| {
            let (count, off) = (sample.count + 1.0, value - sample.mean);
            let mean = sample.mean + off / count;
            Self { count, mean, squares: sample.squares + off * (value - mean) }
        })
    }

    pub(super) fn mean(self) -> f64 {
        self.mean
    }

    /// The variance of the mean.
    fn error(self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Welch's t: how far two means are apart, in standard errors. Zero where there is too little to say.
pub(super) fn welch(first: Sample, second: Sample) -> f64 {
    let error = (first.error() + second.error()).sqrt();
    let t = (first.mean - second.mean) / error;
    if t.is_finite() { t } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn welchs_formula_gives_the_published_values() {
        // The third example of the article "Welch's t-test" of Wikipedia: unequal sizes and variances.
        let first = Sample::of([19.8, 20.4, 19.6, 17.8, 18.5, 18.9, 18.3, 18.9, 19.5, 22.0]);
        let second = Sample::of([
            28.2, 26.6, 20.1, 23.3, 25.2, 22.1, 17.7, 27.6, 20.6, 13.7, 23.2, 17.5, 20.6, 18.0, 23.9, 21.6, 24.3, 20.4,
            24.0, 13.2,
        ]);

        assert!((welch(first, second) - -2.22).abs() < 0.01, "{}", welch(first, second));
        assert!((welch(second, first) - 2.22).abs() < 0.01);
    }

    #[test]
    fn equal_and_missing_samples_differ_by_nothing() {
        let sample = Sample::of([1.0, 2.0, 3.0]);

        for (first, second) in [(sample, sample), (sample, Sample::default()), (Sample::of([1.0]), Sample::of([2.0]))] {
            assert_eq!(welch(first, second).to_bits(), 0.0_f64.to_bits());
        }
    }
}
