use std::hint::black_box;

use agentkeys_crypto::random;
use async_trait::async_trait;

use super::{Kind, Pair};

const LENGTH: usize = 64;
/// One comparison is over before a clock has moved.
const REPEATED: usize = 64;

/// A comparison of secrets as it must not be: it stops at the first difference.
pub(super) struct EarlyExit {
    secret: [u8; LENGTH],
    guesses: Vec<[u8; LENGTH]>,
    guess: [u8; LENGTH],
}

impl EarlyExit {
    pub(super) fn new() -> Self {
        Self { secret: random(), guesses: Vec::new(), guess: [0; LENGTH] }
    }
}

#[async_trait]
impl Pair for EarlyExit {
    fn name(&self) -> &'static str {
        "planted"
    }

    async fn prepare(&mut self, kinds: &[Kind]) -> anyhow::Result<()> {
        let guess = |kind: &Kind| {
            let mut guess = self.secret;
            guess[if *kind == Kind::First { 0 } else { LENGTH - 1 }] ^= 1;
            guess
        };
        self.guesses = kinds.iter().map(guess).collect();
        Ok(())
    }

    fn load(&mut self, index: usize) {
        self.guess = self.guesses[index];
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        for _ in 0..REPEATED {
            let (secret, guess) = (black_box(&self.secret), black_box(&self.guess));
            black_box(secret.iter().zip(guess).all(|(secret, guess)| black_box(*secret) == black_box(*guess)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::{FOUND, measure::measure};

    #[tokio::test]
    async fn the_planted_leak_is_found_with_few_samples() {
        let measurement = measure(&mut EarlyExit::new(), 5000).await.unwrap();

        assert!(measurement.t().abs() > FOUND, "{}", measurement.t());
    }
}
