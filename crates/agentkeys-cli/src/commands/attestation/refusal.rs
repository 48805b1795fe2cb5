use agentkeys_client::Examined;

/// Because of what a signer is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The check that it did not pass.
    pub(crate) check: String,
    /// What is wrong.
    pub(crate) detail: String,
}

impl Refusal {
    /// Why the policy does not accept a signer; nothing where it does.
    pub(crate) fn of(examined: &Examined) -> Option<Self> {
        if examined.is_accepted {
            return None;
        }
        Some(match examined.failed() {
            Some(check) => Self { check: check.name.as_str().to_owned(), detail: check.detail.clone() },
            None => Self { check: "form".to_owned(), detail: "nothing in its evidence could be looked at".to_owned() },
        })
    }
}
