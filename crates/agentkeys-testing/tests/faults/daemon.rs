//! The daemon under faults, and its life: the real binary over real sockets.

mod callers;
mod doors;
mod fake_servers;
mod fake_sts;
mod life;
mod lying_servers;
mod lying_sts;
mod machine;
mod outages;
mod revoked;
