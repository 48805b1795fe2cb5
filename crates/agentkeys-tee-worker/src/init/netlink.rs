use std::{io, net::IpAddr, os::fd::OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// `linux/netlink.h` and `linux/rtnetlink.h`.
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;

/// The header of every message.
const HEADER: usize = 16;

/// A connection to the part of the kernel that knows network cards, addresses and routes.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Connects to the kernel.
    pub(super) fn open() -> io::Result<Self> {
        // Protocol 0 of netlink is that of routes.
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?))
    }

    /// Switches a network card on.
    pub(super) fn switch_on(&self, interface: u32) -> io::Result<()> {
        self.ask(&switch_on(interface))
    }

    /// Gives a network card an address.
    pub(super) fn add_address(&self, interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
        self.ask(&add_address(interface, address, prefix))
    }

    /// Sends everything that no other route takes to a router.
    pub(super) fn add_default_route(&self, interface: u32, gateway: IpAddr) -> io::Result<()> {
        self.ask(&add_default_route(interface, gateway))
    }

    /// Sends a message; the kernel answers each with a code.
    fn ask(&self, message: &[u8]) -> io::Result<()> {
        send(&self.0, message, SendFlags::empty())?;
        let mut answer = [0; 4096];
        let (_, length) = recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        outcome_of(answer.get(..length).unwrap_or_default())
    }
}

fn switch_on(interface: u32) -> Vec<u8> {
    let mut body = vec![AF_UNSPEC, 0, 0, 0];
    for field in [interface, IFF_UP, IFF_UP] {
        body.extend(field.to_ne_bytes());
    }
    message(RTM_NEWLINK, 0, &body)
}

fn add_address(interface: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    let (family, octets) = family_and_octets(address);
    let mut body = vec![family, prefix, 0, RT_SCOPE_UNIVERSE];
    body.extend(interface.to_ne_bytes());
    body.extend(attribute(IFA_LOCAL, &octets));
    body.extend(attribute(IFA_ADDRESS, &octets));
    message(RTM_NEWADDR, NLM_F_CREATE, &body)
}

fn add_default_route(interface: u32, gateway: IpAddr) -> Vec<u8> {
    let (family, octets) = family_and_octets(gateway);
    let mut body = vec![family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0];
    body.extend(attribute(RTA_GATEWAY, &octets));
    body.extend(attribute(RTA_OIF, &interface.to_ne_bytes()));
    message(RTM_NEWROUTE, NLM_F_CREATE, &body)
}

fn family_and_octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
    }
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    // Neither a sequence number nor a sender: one message is on its way at a time.
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn outcome_of(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| Some(u16::from_ne_bytes(bytes.try_into().ok()?)));
    let code = answer.get(HEADER..HEADER + 4).and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::other("the kernel did not answer with a code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_for_as_the_kernel_reads_it() {
        let message = add_address(2, "10.0.2.15".parse().unwrap(), 24);

        let fields = [
            [40, 0, 0, 0],
            [20, 0, 5, 4],
            [0; 4],
            [0; 4],
            [2, 24, 0, 0],
            [2, 0, 0, 0],
            [8, 0, 2, 0],
            [10, 0, 2, 15],
            [8, 0, 1, 0],
            [10, 0, 2, 15],
        ];
        assert_eq!(message, fields.concat());
    }

    #[test]
    fn every_message_says_how_long_it_is() {
        let gateway = "fe80::1".parse().unwrap();
        for message in [switch_on(7), add_address(7, gateway, 64), add_default_route(7, gateway)] {
            let length = u32::from_ne_bytes(message[..4].try_into().unwrap());

            assert_eq!(length as usize, message.len());
        }
    }

    #[test]
    fn the_kernel_s_code_is_the_outcome() {
        let answer = |kind: u16, code: i32| {
            let mut answer = vec![36, 0, 0, 0];
            answer.extend(kind.to_ne_bytes());
            answer.resize(HEADER, 0);
            answer.extend(code.to_ne_bytes());
            answer
        };

        assert!(outcome_of(&answer(NLMSG_ERROR, 0)).is_ok());
        assert_eq!(outcome_of(&answer(NLMSG_ERROR, -17)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(outcome_of(&answer(3, 0)).is_err());
        assert!(outcome_of(&[]).is_err());
    }

    #[test]
    fn a_real_kernel_reads_our_messages() {
        let netlink = Netlink::open().unwrap();

        // A card that nobody has: refused for that, and not for how it is asked for.
        let refused = netlink.switch_on(u32::MAX >> 1).unwrap_err();

        assert!([Some(19), Some(1)].contains(&refused.raw_os_error()), "{refused}");
    }
}
