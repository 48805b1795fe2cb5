use std::{net::SocketAddr, str::FromStr};

use serde::Deserialize;
use url::Url;

use crate::ConfigError;

/// The URL of an OpenID issuer, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(Url);

impl Issuer {
    /// The issuer of a listener on loopback.
    ///
    /// # Panics
    ///
    /// Never: every socket address makes a URL.
    pub fn of_listener(address: SocketAddr) -> Self {
        Self(Url::parse(&format!("http://{address}")).expect("an address makes a URL"))
    }

    /// The issuer as it stands in `iss`.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Host and, where it is not the scheme's own, port: the domain of a SIWE message (EIP-4361).
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// The URL of a path of this issuer.
    ///
    /// # Panics
    ///
    /// Never: an issuer has no path of its own, and any may follow.
    pub fn join(&self, path: &str) -> Url {
        self.0.join(path).expect("a path follows an authority")
    }

    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }
}

impl FromStr for Issuer {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let url = Url::parse(text).map_err(|_| ConfigError::Value("`issuer` must be a URL"))?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let issuer = Self(url);
        if !plain || issuer.0.path() != "/" || issuer.as_str() != text.trim_end_matches('/') {
            return Err(ConfigError::Value(
                "`issuer` must be scheme and host alone, such as https://broker.example.com",
            ));
        }
        if issuer.is_loopback() {
            return Ok(issuer);
        }
        if issuer.0.scheme() != "https" {
            return Err(ConfigError::Value("`issuer` must start with https://, because clouds fetch keys from it"));
        }
        if issuer.0.port().is_some() {
            return Err(ConfigError::Value("`issuer` must not name a port, because AWS accepts none"));
        }
        Ok(issuer)
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_without_port_path_or_query() {
        for issuer in [
            "http://broker.example.com",
            "https://broker.example.com:8443",
            "https://broker.example.com/x",
            "https://broker.example.com?x",
            "https://a@broker.example.com",
            "https://Broker.example.com",
            "broker",
        ] {
            assert!(issuer.parse::<Issuer>().is_err(), "{issuer}");
        }
        assert_eq!("https://broker.example.com/".parse::<Issuer>().unwrap().as_str(), "https://broker.example.com");
        assert_eq!("http://127.0.0.1:8470".parse::<Issuer>().unwrap().authority(), "127.0.0.1:8470");
    }
}
