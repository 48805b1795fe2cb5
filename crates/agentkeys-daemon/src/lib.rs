//! Keeps one person's session and credentials fresh on one machine and hands them to agents.
