use agentkeys_types::AgentName;

use crate::{Door, HandOut, Peer};

/// Whoever asks, and by which way they came in: both are certain, nothing of it is what they say themselves.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// In whose name.
    pub consumer: Consumer,
    /// By which way.
    pub door: Door,
    /// The process, where the way shows one.
    pub peer: Option<Peer>,
}

impl Visitor {
    /// The person, in this very process.
    pub fn of_this_process() -> Self {
        Self { consumer: Consumer::Person, door: Door::Command, peer: None }
    }

    /// With what the record says of them.
    pub(crate) fn sign(&self, hand_out: HandOut) -> HandOut {
        match &self.peer {
            Some(peer) => hand_out.by(peer),
            None => hand_out,
        }
    }
}

/// In whose name somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// An agent, and nobody else: it may have what a person gave it.
    Agent(AgentName),
    /// The person, who may have everything, also in the name of an agent.
    Person,
}
