//! What can go wrong with a network.

use super::port::Published;
use crate::kernel::address::Net;
use crate::kernel::{Explain, SysError};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use thiserror::Error;

/// An error of a network.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SysError),
    /// No network has this name or id.
    #[error("network {name} not found")]
    NotFound {
        /// What was asked for.
        name: String,
        /// A name much like it.
        nearest: Option<String>,
    },
    /// The name cannot be one.
    #[error("invalid network name {name:?}")]
    BadName {
        /// The name.
        name: String,
    },
    /// The name is in use.
    #[error("network with name {name} already exists")]
    Taken {
        /// The name.
        name: String,
    },
    /// Containers are on it.
    #[error("network {name} has active endpoints")]
    InUse {
        /// The network.
        name: String,
        /// The containers' ids.
        containers: Vec<String>,
    },
    /// The subnet cannot be used.
    #[error("the subnet {subnet} cannot be used: {problem}")]
    BadSubnet {
        /// What was asked for.
        subnet: Net,
        /// Why not.
        problem: String,
    },
    /// Every subnet of the pool is in use.
    #[error("no free subnet is left for a network")]
    NoSubnet,
    /// Every address of the network is taken.
    #[error("no free address is left in the network {network} ({subnet})")]
    NoAddress {
        /// The network.
        network: String,
        /// Its subnet.
        subnet: Net,
    },
    /// The address that was asked for cannot be had.
    #[error("the address {address} cannot be had in the network {network}: {problem}")]
    BadAddress {
        /// The address.
        address: Ipv4Addr,
        /// The network.
        network: String,
        /// Why not.
        problem: String,
    },
    /// `-p` that cannot be read.
    #[error("invalid published port {text:?}")]
    BadPort {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody has the port.
    #[error("cannot publish {port}: {errno}")]
    PortTaken {
        /// The port.
        port: Published,
        /// What the kernel said of it.
        errno: nix::errno::Errno,
    },
    /// It has no network to publish them in.
    #[error("cannot publish {port}")]
    NowhereToPublish {
        /// The first of the ports.
        port: Published,
    },
    /// The container publishes others, or none.
    #[error("no public port '{port}' published for {container}")]
    NotPublished {
        /// What was asked for.
        port: String,
        /// The container's name.
        container: String,
    },
    /// A record that cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The network's resolver did not come up.
    #[error("cannot start the resolver of the network {network}: {reason}")]
    Resolver {
        /// The network.
        network: String,
        /// What it said.
        reason: String,
    },
    /// It was not made, and cannot be removed.
    #[error("{name} is a pre-defined network and cannot be removed")]
    Predefined {
        /// The network.
        name: String,
    },
    /// It is on that network already.
    #[error("endpoint with name {container} already exists in network {network}")]
    Connected {
        /// The container's name.
        container: String,
        /// The network.
        network: String,
    },
    /// It is not on that network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container's name.
        container: String,
        /// The network.
        network: String,
    },
    /// `host` and `none` are had alone, and from the start.
    #[error("container {container} cannot be disconnected from or connected to the network {network}")]
    NotWith {
        /// The container's name.
        container: String,
        /// The network.
        network: String,
    },
    /// It was to have none.
    #[error("container {container} cannot be connected to multiple networks with one of the networks in private (none) mode")]
    Private {
        /// The container's name.
        container: String,
    },
    /// It has the network of another container.
    #[error("container {container} is sharing the network namespace of another container and cannot be connected or disconnected")]
    Shares {
        /// The container's name.
        container: String,
    },
    /// The default bridge has no names.
    #[error("network-scoped alias is supported only for containers in user defined networks")]
    NoAlias,
    /// Asked for by an ordinary user.
    #[error("cannot join the network {name}: EPERM")]
    Rootless {
        /// The network.
        name: String,
    },
}

impl Explain for Error {
    fn why(&self) -> Option<String> {
        Some(match self {
            Self::System(e) => return e.why(),
            Self::NotFound { nearest, .. } => format!("did you mean {}?", nearest.as_ref()?),
            Self::BadName { .. } => "letters, digits, and _ . - after the first".into(),
            Self::Taken { .. } => "each network has a name of its own; none, host and bridge are there from the beginning".into(),
            Self::InUse { containers, .. } => {
                let short: Vec<&str> = containers.iter().map(|c| c.get(..12).unwrap_or(c)).collect();
                format!("containers have addresses of it: {}", short.join(" "))
            }
            Self::NoSubnet => "the pool 10.111.0.0/16 to 10.126.0.0/16 is in use by networks of skiff and by the host's own routes".into(),
            Self::BadPort { problem, .. } => problem.clone(),
            Self::PortTaken { errno: nix::errno::Errno::EADDRINUSE, .. } => "something on this host listens there, or another container has published it".into(),
            Self::PortTaken { .. } => "the host refuses that address or port".into(),
            Self::NowhereToPublish { .. } => "a published port leads into a network, and this container has none of its own".into(),
            Self::Rootless { name } if name == super::DEFAULT => "a link on the host is root's to make, and slirp4netns, which does without, is not installed".into(),
            Self::Rootless { .. } => "a link on the host and rules in its packet filter are root's to make".into(),
            _ => return None,
        })
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => "skiff network ls, or make it: skiff network create NAME".into(),
            Self::InUse { .. } => "remove them first: skiff rm -f CONTAINER".into(),
            Self::NoSubnet | Self::NoAddress { .. } => "skiff network prune, or name one: skiff network create --subnet 10.200.0.0/16 NAME".into(),
            Self::BadPort { .. } => "-p [ADDRESS:][HOSTPORT:]PORT[/udp], such as -p 8080:80 or -p 127.0.0.1:5353:53/udp".into(),
            Self::PortTaken { port, .. } => format!("another port, or find who has it: ss -ltnup sport = :{}", port.host_port),
            Self::NowhereToPublish { .. } => "leave --network out, or --network bridge".into(),
            Self::NotWith { .. } | Self::Private { .. } => "start it on a network of its own: --network NAME, or --network bridge".into(),
            Self::Connected { container, network } => format!("skiff network disconnect {network} {container}"),
            Self::NotConnected { network, .. } => format!("skiff network inspect {network} shows who is"),
            Self::NoAlias => "skiff network create NAME, then --network NAME".into(),
            Self::NotPublished { container, .. } => format!("skiff port {container} lists what is; -p publishes at run"),
            Self::Rootless { .. } => "--network host or --network none, or run it with sudo".into(),
            Self::System(e) => return e.hint(),
            _ => return None,
        })
    }

    fn exit_code(&self) -> u8 {
        125
    }
}
