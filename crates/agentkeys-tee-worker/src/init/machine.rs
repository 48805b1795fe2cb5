use std::{collections::BTreeMap, fmt::Write, fs, net::IpAddr, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The machine's settings, as read from `machine.toml`. There is no secret in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    /// What the machine calls itself.
    #[serde(default = "Machine::default_hostname")]
    pub(super) hostname: String,
    /// Its place in the network; none means that it has only itself.
    pub(super) network: Option<Network>,
    /// The addresses of the names that it may need: there is no resolver.
    #[serde(default)]
    hosts: BTreeMap<String, IpAddr>,
}

/// A static place in a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// The kernel's name of the network card.
    #[serde(default = "Network::default_interface")]
    pub(super) interface: String,
    /// The machine's own address with the length of the network's prefix: `10.0.2.15/24`.
    pub(super) address: Subnet,
    /// The router to everywhere else.
    pub(super) gateway: Option<IpAddr>,
}

/// An address in a network: `10.0.2.15/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Subnet {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

impl Machine {
    /// Reads the settings.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not as it should be", path.display()))
    }

    /// `/etc/hosts`.
    pub(super) fn hosts_file(&self) -> String {
        let mut file = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for (name, address) in &self.hosts {
            // Writing to a string does not fail.
            let _ = writeln!(file, "{address} {name}");
        }
        file
    }

    fn default_hostname() -> String {
        "agentkeys-worker".to_owned()
    }
}

impl Network {
    fn default_interface() -> String {
        "eth0".to_owned()
    }
}

impl TryFrom<String> for Subnet {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let (address, prefix) =
            text.split_once('/').context("`address` needs the length of its prefix: 10.0.2.15/24")?;
        let address: IpAddr = address.parse().context("`address` does not start with an IP address")?;
        let prefix = prefix.parse().context("`address` does not end with a number")?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        ensure!(prefix <= longest, "the prefix of `address` is longer than an address");
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_to_be_set() {
        let machine: Machine = toml::from_str("").unwrap();

        assert_eq!(machine.hostname, "agentkeys-worker");
        assert!(machine.network.is_none());
    }

    #[test]
    fn a_place_in_the_network_and_names_are_read() {
        let machine: Machine = toml::from_str(
            "hostname = \"signer-1\"\n[network]\naddress = \"10.0.2.15/24\"\ngateway = \"10.0.2.2\"\n\
             [hosts]\n\"broker.example\" = \"10.0.2.100\"",
        )
        .unwrap();

        let network = machine.network.as_ref().unwrap();
        assert_eq!(network.address, Subnet { address: "10.0.2.15".parse().unwrap(), prefix: 24 });
        assert_eq!(network.interface, "eth0");
        assert!(machine.hosts_file().ends_with("\n10.0.2.100 broker.example\n"));
    }

    #[test]
    fn what_is_misspelt_or_impossible_is_refused() {
        let refused =
            ["gateway = \"10.0.2.2\"", "[network]\naddress = \"10.0.2.15\"", "[network]\naddress = \"10.0.2.15/33\""];

        for settings in refused {
            assert!(toml::from_str::<Machine>(settings).is_err(), "{settings}");
        }
    }
}
