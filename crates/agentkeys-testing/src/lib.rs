//! The whole of AgentKeys on a bench, for tests.
