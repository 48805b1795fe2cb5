//! The `agentkeys` command.
fn main() {}
