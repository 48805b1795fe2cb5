use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};

/// Distinct ports of loopback on which nobody listens.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All held until all are known, so that none comes twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Whether somebody listens there.
pub(super) fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_distinct() {
        let [one, two] = free().unwrap();

        assert_ne!(one, two);
    }
}
