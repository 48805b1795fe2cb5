use std::time::Duration;

/// How often something may happen: `most` times in the `window` that its first time opens.
///
/// Times are those of what is counted: an entry's `at`, a sign-in's `created_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, such as `email:ada@example.com`.
    pub key: String,
    /// How often.
    pub most: u32,
    /// In how long, in whole seconds.
    pub window: Duration,
}
