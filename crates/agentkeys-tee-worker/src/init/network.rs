use std::fs;

use anyhow::{Context, Result};

use super::{
    machine::{Network, Subnet},
    netlink::Netlink,
};

/// Gives the machine its place in the network, and itself.
pub(super) fn configure(network: Option<&Network>) -> Result<()> {
    let netlink = Netlink::open().context("the kernel has no network")?;
    netlink.switch_on(index_of("lo")?).context("cannot reach the machine itself")?;
    let Some(network) = network else { return Ok(()) };
    let interface = index_of(&network.interface)?;
    let Subnet { address, prefix } = network.address;
    netlink.add_address(interface, address, prefix).with_context(|| format!("cannot be {address}"))?;
    netlink.switch_on(interface).with_context(|| format!("cannot switch {} on", network.interface))?;
    if let Some(gateway) = network.gateway {
        netlink.add_default_route(interface, gateway).with_context(|| format!("no way to {gateway}"))?;
    }
    Ok(())
}

/// The kernel's number of a network card.
fn index_of(interface: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{interface}/ifindex");
    let index = fs::read_to_string(&path).with_context(|| format!("there is no network card {interface}"))?;
    index.trim().parse().with_context(|| format!("{path} is no number"))
}
