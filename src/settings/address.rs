//! Addresses that servers listen at.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String),
    /// Socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    /// Accepts `HOST:PORT`, `[IPV6]:PORT`, a port alone, which is one of the loopback interface, and
    /// a path with at least one `/`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
        let is_whole = !host.is_empty() && (host.starts_with('[') || !host.contains(':'));
        if !is_whole || port.parse::<u16>().is_err() {
            return Err(
                "give HOST:PORT, a port of this machine, or the path of a Unix socket".to_owned(),
            );
        }
        Ok(Self::Tcp(format!("{host}:{port}")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_with_a_port_a_port_or_a_path() {
        let tcp = |text: &str| Ok(Address::Tcp(text.to_owned()));
        for (text, expected) in [
            ("127.0.0.1:8674", tcp("127.0.0.1:8674")),
            ("8674", tcp("127.0.0.1:8674")),
            ("0", tcp("127.0.0.1:0")),
            ("localhost:80", tcp("localhost:80")),
            ("[::1]:8674", tcp("[::1]:8674")),
            ("./http.sock", Ok(Address::Unix("./http.sock".into()))),
            ("/run/http.sock", Ok(Address::Unix("/run/http.sock".into()))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in ["", ":80", "localhost", "::1:80", "host:99999", "http.sock"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
