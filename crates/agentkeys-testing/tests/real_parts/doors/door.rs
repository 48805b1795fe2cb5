/// A way by which an SDK gets what the daemon gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The endpoint, with the token of an agent.
    AgentsEndpoint,
    /// A profile of AWS that runs a command.
    Command,
    /// The endpoint, with the person's token.
    Endpoint,
    /// Variables, as `agentkeys run` sets them.
    Environment,
    /// An endpoint of its own, as `agentkeys run` gives it.
    Run,
    /// A file with a JWT, which SDKs exchange by themselves.
    WebIdentity,
}

impl Door {
    pub(crate) const ALL: [Self; 6] =
        [Self::AgentsEndpoint, Self::Command, Self::Endpoint, Self::Environment, Self::Run, Self::WebIdentity];

    /// How many sets of credentials a program finds there before a test is content: the first, and after two renewals.
    pub(crate) fn sets(self) -> usize {
        if self == Self::Environment { 1 } else { 3 }
    }
}
