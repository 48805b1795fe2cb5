use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use clap::Args;

use super::DevError;

/// The port flags. `0` picks a free port.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(super) struct Ports {
    /// The broker's port [default: 8470]
    #[arg(long, value_name = "PORT")]
    broker_port: Option<u16>,

    /// The port of the broker's metrics [default: 9470]
    #[arg(long, value_name = "PORT")]
    metrics_port: Option<u16>,

    /// The port of the signer and the mailbox [default: 8471]
    #[arg(long, value_name = "PORT")]
    signer_port: Option<u16>,

    /// The port of the AWS stand-in [default: 8472]
    #[arg(long, value_name = "PORT")]
    aws_port: Option<u16>,

    /// The port of the mailbox's SMTP listener [default: 8473]
    #[arg(long, value_name = "PORT")]
    smtp_port: Option<u16>,
}

/// Where each part listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) broker: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) signer: SocketAddr,
    pub(super) aws: SocketAddr,
    pub(super) smtp: SocketAddr,
}

impl Ports {
    /// The ports asked for. A default that is taken makes way for a free port, and `say` is told.
    pub(super) fn choose(&self, mut say: impl FnMut(String)) -> Result<Addresses, DevError> {
        let mut choose = |name: &str, asked: Option<u16>, default: u16| match asked {
            Some(port) if is_taken(at(port)) => Err(DevError::PortTaken(at(port))),
            Some(port) => Ok(at(port)),
            None if is_taken(at(default)) => {
                say(format!("port {default} is taken: the {name} gets a free one"));
                Ok(at(0))
            }
            None => Ok(at(default)),
        };
        Ok(Addresses {
            broker: choose("broker", self.broker_port, 8470)?,
            metrics: choose("broker's metrics page", self.metrics_port, 9470)?,
            signer: choose("signer", self.signer_port, 8471)?,
            aws: choose("AWS stand-in", self.aws_port, 8472)?,
            smtp: choose("SMTP listener", self.smtp_port, 8473)?,
        })
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether another process listens there. Anything else that is wrong shows when the part itself listens.
fn is_taken(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(broker_port: Option<u16>) -> Ports {
        Ports { broker_port, metrics_port: Some(0), signer_port: Some(0), aws_port: Some(0), smtp_port: Some(0) }
    }

    #[test]
    fn a_port_that_was_asked_for_and_is_taken_is_refused() {
        let other = TcpListener::bind(at(0)).unwrap();
        let taken = other.local_addr().unwrap().port();

        let refused = ports(Some(taken)).choose(|_| {});

        assert!(matches!(refused, Err(DevError::PortTaken(address)) if address.port() == taken));
    }

    #[test]
    fn a_default_that_is_taken_makes_way_and_says_so() {
        // Whoever holds it, somebody does now.
        let _other = TcpListener::bind(at(8470));
        let mut said = Vec::new();

        let addresses = ports(None).choose(|note| said.push(note)).unwrap();

        assert_eq!(addresses.broker.port(), 0);
        assert_eq!(said, ["port 8470 is taken: the broker gets a free one"]);
    }
}
