//! Published ports: `-p [ADDRESS:][HOSTPORT:]PORT[/PROTOCOL]`, ranges too, as Docker writes them.
//!
//! The port is kept from others by a socket that is bound to it and never read: the packet filter
//! takes its packets on before they get there, and a program that asks the kernel for the same port
//! is told EADDRINUSE, as it would be by any server.

use super::Error;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Tcp { "tcp" } else { "udp" })
    }
}

/// One port of the host that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The host's address; 0.0.0.0 is all of them.
    pub address: Ipv4Addr,
    /// The host's port; 0 until the kernel has chosen one.
    pub host_port: u16,
    /// Where any of a range will do, the last of it; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub until: u16,
    /// The container's.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}->{}/{}", self.address, self.host_port, self.port, self.protocol)
    }
}

impl Published {
    /// Reads one `-p`; a range gives several.
    pub fn parse(text: &str) -> Result<Vec<Self>, Error> {
        let bad = |problem: &str| Error::BadPort { text: text.to_owned(), problem: problem.to_owned() };
        let (rest, protocol) = match text.rsplit_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((rest, "udp")) => (rest, Protocol::Udp),
            Some((_, "sctp")) => return Err(bad("skiff carries tcp and udp, not sctp")),
            Some(_) => return Err(bad("after the / comes tcp or udp")),
        };
        let parts: Vec<&str> = rest.split(':').collect();
        let (address, host, port) = match parts.as_slice() {
            [port] => (None, "", *port),
            [host, port] => (None, *host, *port),
            [address, host, port] => (Some(*address), *host, *port),
            _ => return Err(bad("IPv6 addresses are not carried")),
        };
        let address = match address.filter(|a| !a.is_empty()) {
            None => Ipv4Addr::UNSPECIFIED,
            Some(text) => text.parse().map_err(|_| bad("the part before the host's port is an IPv4 address"))?,
        };
        let ports = range(port).ok_or_else(|| bad("a port is a number from 1 to 65535, or a range such as 8000-8010"))?;
        let hosts = if host.is_empty() || host == "0" { None } else { Some(range(host).ok_or_else(|| bad("the host's port is a number from 1 to 65535, or a range"))?) };
        // One port, and a range of the host's to choose from.
        let until = hosts.as_ref().filter(|h| ports.len() == 1 && h.len() > 1).and_then(|h| h.last().copied()).unwrap_or(0);
        if until == 0 && hosts.as_ref().is_some_and(|h| h.len() != ports.len()) {
            return Err(bad("the two ranges differ in length"));
        }
        let host_port = |n: usize| hosts.as_ref().map_or(0, |h| h[n]);
        Ok(ports.iter().enumerate().map(|(n, port)| Self { address, host_port: host_port(n), until, port: *port, protocol }).collect())
    }

    /// Keeps the host's port from everybody else, for as long as the socket is open. A port of 0
    /// becomes the one that the kernel chose.
    pub fn reserve(&mut self) -> Result<OwnedFd, Error> {
        loop {
            match self.take() {
                Err(Error::PortTaken { errno: Errno::EADDRINUSE, .. }) if self.host_port < self.until => self.host_port += 1,
                other => {
                    self.until = 0;
                    return other;
                }
            }
        }
    }

    fn take(&mut self) -> Result<OwnedFd, Error> {
        let taken = |port: &Self, errno| Error::PortTaken { port: *port, errno };
        let kind = if self.protocol == Protocol::Tcp { SockType::Stream } else { SockType::Datagram };
        let held = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None).map_err(|e| taken(self, e))?;
        bind(held.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(self.address, self.host_port))).map_err(|e| taken(self, e))?;
        if self.protocol == Protocol::Tcp {
            // Two may bind a TCP port that nobody listens on, if both say SO_REUSEADDR.
            nix::sys::socket::listen(&held, nix::sys::socket::Backlog::new(1).map_err(|e| taken(self, e))?).map_err(|e| taken(self, e))?;
        }
        let name: SockaddrIn = getsockname(held.as_raw_fd()).map_err(|e: Errno| taken(self, e))?;
        self.host_port = name.port();
        Ok(held)
    }
}

fn range(text: &str) -> Option<Vec<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then(|| (first..=last).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_docker_writes_is_read() {
        let show = |text: &str| Published::parse(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()).map_err(|e| e.to_string());
        assert_eq!(show("8080:80").unwrap(), ["0.0.0.0:8080->80/tcp"]);
        assert_eq!(show("80").unwrap(), ["0.0.0.0:0->80/tcp"]);
        assert_eq!(show("0:80").unwrap(), ["0.0.0.0:0->80/tcp"]);
        assert_eq!(show("127.0.0.1:5353:53/udp").unwrap(), ["127.0.0.1:5353->53/udp"]);
        assert_eq!(show("127.0.0.1::80").unwrap(), ["127.0.0.1:0->80/tcp"]);
        assert_eq!(show("8000-8001:80-81").unwrap(), ["0.0.0.0:8000->80/tcp", "0.0.0.0:8001->81/tcp"]);
        assert_eq!(Published::parse("8000-8010:80").unwrap()[0].until, 8010);
        for wrong in ["", "0-1:80", "80:0", "70000:1", "8000-8002:80-81", "x:80:80", "80/sctp", "80/http", "[::1]:80:80", "9-8:9-8"] {
            assert!(show(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Published::parse(&text);
        }
    }
}
