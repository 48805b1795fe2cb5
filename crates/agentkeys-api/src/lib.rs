//! What travels between AgentKeys processes: paths, bodies and problem codes.
