//! The daemon as it is released, behind a session of its own: its doors, the command that asks it, and its rest.

mod address;
mod commands;
mod doors;
mod echo;
mod home;
mod rest;

pub(crate) use self::echo::Echo;
use self::home::{Home, Wish};
use crate::system::System;

/// Resident memory, in KiB.
const AIM_AT_MEMORY: u64 = 20 * 1024;

/// Measures everything of the daemon and prints it.
pub(crate) async fn report(system: &System) -> anyhow::Result<()> {
    let home = Home::new(system, Wish::AtOnce).await?;
    let daemon = home.start().await?.process;
    doors::report(system, &home).await?;
    commands::report(&home).await?;
    daemon.stop().await?;
    rest::report(system, &home).await
}
