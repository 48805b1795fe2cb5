use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, Url};

use crate::ClientError;

/// The base URL of a server to which tokens may go: `https`, or plain `http` on this machine.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether it names a port that is not its scheme's own.
    pub fn has_port(&self) -> bool {
        self.0.port().is_some()
    }

    /// Whether requests go out without TLS, which only happens on this machine.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The host and, where it is not the scheme's own, the port: as in a `Host` header.
    pub(crate) fn authority(&self) -> &str {
        self.0.authority()
    }

    /// The URL of `path` there; `path` starts with a slash.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl FromStr for ServerUrl {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let invalid = |reason| ClientError::InvalidUrl { url: text.to_owned(), reason };
        let url = Url::parse(text).map_err(|_| invalid("it is not of the form https://host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: what stands there may be a secret.
            return Err(ClientError::InvalidUrl {
                url: "…".to_owned(),
                reason: "a name or password has no place in it",
            });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it ends before any ? or #"));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => Err(ClientError::InsecureUrl { url: text.to_owned() }),
            _ => Err(invalid("it must start with https://")),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerUrl({self})")
    }
}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // RFC 6761 section 6.3: the whole of `localhost` is this machine.
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for text in ["http://127.0.0.1:8470", "http://localhost", "http://[::1]:1", "https://broker.example.com"] {
            assert!(text.parse::<ServerUrl>().is_ok(), "{text}");
        }
        for text in ["http://broker.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://0.0.0.0"] {
            assert!(matches!(text.parse::<ServerUrl>(), Err(ClientError::InsecureUrl { .. })), "{text}");
        }
    }

    #[test]
    fn a_server_url_is_only_a_server() {
        for text in ["", "broker", "ftp://a.example", "https://a.example?b", "https://a.example#b", "file:///etc"] {
            assert!(matches!(text.parse::<ServerUrl>(), Err(ClientError::InvalidUrl { .. })), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_without_being_repeated() {
        let error = "https://ada:hunter2@broker.example.com".parse::<ServerUrl>().unwrap_err();

        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn paths_are_added_with_one_slash() {
        let plain: ServerUrl = "https://broker.example.com/".parse().unwrap();
        let below: ServerUrl = "https://example.com/keys/".parse().unwrap();

        assert_eq!(plain.join("/v1/session").as_str(), "https://broker.example.com/v1/session");
        assert_eq!(below.join("/v1/session").as_str(), "https://example.com/keys/v1/session");
        assert_eq!(plain.to_string(), "https://broker.example.com");
    }
}
