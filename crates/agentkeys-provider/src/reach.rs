use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which machines a provider may make this one talk to.
///
/// A provider's metadata names further URLs, so whoever controls it chooses whom we ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// For development: as [`Reach::Public`], and this machine itself, by http as well.
    Loopback,
    /// By https, to addresses of the public internet alone.
    Public,
}

impl Reach {
    /// Whether a connection to `address` may be opened.
    pub fn allows_address(self, address: IpAddr) -> bool {
        let is_public = match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        is_public || (self == Self::Loopback && address.is_loopback())
    }

    /// Whether `url` may be asked, as far as its text tells; the addresses of a name are judged when it is resolved.
    pub(crate) fn allows(self, url: &Url) -> bool {
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return false;
        }
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if self == Self::Loopback => true,
            _ => return false,
        };
        match url.host() {
            Some(Host::Domain(name)) => !is_plain || is_localhost(name),
            Some(Host::Ipv4(address)) => self.allows_host(address.into(), is_plain),
            Some(Host::Ipv6(address)) => self.allows_host(address.into(), is_plain),
            None => false,
        }
    }

    fn allows_host(self, address: IpAddr, is_plain: bool) -> bool {
        self.allows_address(address) && (!is_plain || address.is_loopback())
    }

    /// Whether `address` may be what `name` stands for.
    fn allows_resolved(self, name: &str, address: IpAddr) -> bool {
        self.allows_address(address) && (!is_localhost(name) || address.is_loopback())
    }
}

/// Resolves names to the addresses that the reach allows, so that the connection goes to what was judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReachableAddresses(pub(crate) Reach);

impl Resolve for ReachableAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let Self(reach) = *self;
        Box::pin(async move {
            let name: Arc<str> = name.as_str().into();
            let found = tokio::net::lookup_host((&*name, 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| reach.allows_resolved(&name, address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name stands for no address that may be asked".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether IANA's registry of special addresses has nothing on this one, or calls it globally reachable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]        // this network, private, loopback, multicast and reserved
            | [100, 64..=127, ..]         // shared by the customers of a carrier
            | [169, 254, ..]              // link-local
            | [172, 16..=31, ..]          // private
            | [192, 0, 0 | 2, _]          // protocol assignments, documentation
            | [192, 88, 99, _]            // relays of 6to4
            | [192, 168, ..]              // private
            | [198, 18 | 19, ..]          // benchmarks
            | [198, 51, 100, _]           // documentation
            | [203, 0, 113, _] // documentation
    )
}

/// Whether it is global unicast without a special purpose, or a translation of a public IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 (RFC 6052)
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
        }
        // Protocol assignments (Teredo, benchmarks, ORCHID and others), documentation, and 6to4, which names an IPv4
        // address of anybody's choice.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_of_the_public_internet_may_be_asked() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            let address: IpAddr = text.parse().unwrap();

            assert!(Reach::Public.allows_address(address), "{text}");
            assert!(Reach::Loopback.allows_address(address), "{text}");
        }
    }

    #[test]
    fn addresses_with_a_special_purpose_may_not_be_asked() {
        for text in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "fc00::1",
            "fdff::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "64:ff9b:0:0:1::808:808",
            "2002:7f00:1::",
            "2002:a00:1::",
            "2002:808:808::",
            "2001::1",
            "2001:2::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "100::1",
            "5f00::1",
            "4000::1",
        ] {
            let address: IpAddr = text.parse().unwrap();

            assert!(!Reach::Public.allows_address(address), "{text}");
            assert!(!Reach::Loopback.allows_address(address), "{text}");
        }
    }

    #[test]
    fn this_machine_may_be_asked_in_development_alone() {
        for text in ["127.0.0.1", "127.255.255.255", "::1"] {
            let address: IpAddr = text.parse().unwrap();

            assert!(Reach::Loopback.allows_address(address), "{text}");
            assert!(!Reach::Public.allows_address(address), "{text}");
        }
    }

    #[test]
    fn a_url_is_judged_by_its_scheme_and_its_host() {
        let allows = |reach: Reach, text: &str| reach.allows(&Url::parse(text).unwrap());

        for text in ["https://accounts.example.com/x?y=z", "https://8.8.8.8", "https://[2606:4700::1111]"] {
            assert!(allows(Reach::Public, text) && allows(Reach::Loopback, text), "{text}");
        }
        for text in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://127.0.0.1", "http://127.1"]
        {
            assert!(!allows(Reach::Public, text) && allows(Reach::Loopback, text), "{text}");
        }
        for text in [
            "http://accounts.example.com",
            "http://8.8.8.8",
            "https://10.1",
            "https://0x7f000001.example.com@10.0.0.1",
            "https://ada@accounts.example.com",
            "https://:pw@accounts.example.com",
            "https://a.example#b",
            "https://[::ffff:127.0.0.1]",
            "https://0xa9fea9fe",
            "https://2852039166",
            "http://0.0.0.0",
            "https://[::]",
            "file:///etc/passwd",
            "data:,",
            "gopher://accounts.example.com",
            "http://localhost.example.com",
        ] {
            assert!(!allows(Reach::Public, text) && !allows(Reach::Loopback, text), "{text}");
        }
    }

    #[test]
    fn a_local_name_stands_for_this_machine_alone() {
        let public: IpAddr = "8.8.8.8".parse().unwrap();
        let own: IpAddr = "127.0.0.1".parse().unwrap();

        assert!(Reach::Loopback.allows_resolved("localhost", own));
        assert!(!Reach::Loopback.allows_resolved("localhost", public));
        assert!(!Reach::Public.allows_resolved("accounts.example.com", own));
        assert!(Reach::Public.allows_resolved("accounts.example.com", public));
    }

    #[tokio::test]
    async fn a_name_that_stands_for_a_forbidden_address_resolves_to_none() {
        let resolve = async |reach| {
            let resolved = ReachableAddresses(reach).resolve("localhost".parse().unwrap()).await;
            resolved.map(Iterator::count)
        };

        assert!(resolve(Reach::Public).await.is_err());
        assert!(resolve(Reach::Loopback).await.is_ok_and(|count| count > 0));
    }

    proptest! {
        #[test]
        fn no_address_that_the_standard_library_calls_special_may_be_asked(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let is_special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();

            prop_assert!(!(is_special && Reach::Public.allows_address(address.into())));
            prop_assert!(!Reach::Public.allows_address(address.to_ipv6_mapped().into()));
            prop_assert!(!Reach::Public.allows_address(address.to_ipv6_compatible().into()));
        }
    }
}
