//! A container's place in a network: an address, leased by a symbolic link.

use super::{Error, Network, Networks, bridge, subnet};
use crate::kernel::address::Net;
use crate::kernel::link::Mac;
use crate::kernel::OrSys;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// What a container has of a network; kept in its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network's name.
    pub network: String,
    /// Its id.
    pub id: String,
    /// The host's bridge.
    pub bridge: String,
    /// The host's end of the cable.
    pub link: String,
    /// The address, with the length of the subnet's part.
    pub address: Net,
    /// Where to send what is not for this subnet; none on an internal network.
    pub gateway: Option<Ipv4Addr>,
    /// The bridge's own address, where the network's resolver is.
    #[serde(default = "unspecified")]
    pub resolver: Ipv4Addr,
    /// The hardware address, made from the other.
    pub mac: Mac,
    /// Further names that it has there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// Of a record from before there were resolvers.
fn unspecified() -> Ipv4Addr {
    Ipv4Addr::UNSPECIFIED
}

impl Endpoint {
    fn new(network: &Network, address: Ipv4Addr, container: &str, nth: usize) -> Self {
        Self {
            network: network.name.clone(),
            id: network.id.clone(),
            bridge: network.bridge.clone(),
            // A link's name has 15 letters at most; the id's first eleven digits and a number fit.
            link: format!("ve{}{nth:x}", &container[..12]),
            address: Net { address, length: network.subnet.length },
            gateway: (!network.internal).then_some(network.gateway),
            resolver: network.gateway,
            mac: bridge::mac(address),
            aliases: Vec::new(),
        }
    }
}

impl Networks {
    /// Leases an address of the network for a container: the one asked for, or the lowest that is free.
    pub fn lease(&self, network: &Network, container: &str, asked: Option<Ipv4Addr>, nth: usize) -> Result<Endpoint, Error> {
        let folder = self.leases(network);
        let take = |address: Ipv4Addr| match std::os::unix::fs::symlink(container, folder.join(address.to_string())) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true).or_sys_with(|| format!("take the address {address}")),
        };
        if let Some(address) = asked {
            let refuse = |problem: &str| Err(Error::BadAddress { address, network: network.name.clone(), problem: problem.into() });
            if !subnet::usable(network.subnet, address) {
                return refuse("it is not one of its addresses");
            }
            if address == network.gateway || !take(address)? {
                return refuse("it is taken");
            }
            return Ok(Endpoint::new(network, address, container, nth));
        }
        for address in free(self, network) {
            // Another skiff may have been quicker.
            if take(address)? {
                return Ok(Endpoint::new(network, address, container, nth));
            }
        }
        Err(Error::NoAddress { network: network.name.clone(), subnet: network.subnet })
    }

    /// The endpoint that a container would get, with nothing taken: for `--dry-run`.
    pub fn preview(&self, network: &Network, container: &str) -> Result<Endpoint, Error> {
        let address = free(self, network).next();
        address.map(|a| Endpoint::new(network, a, container, 0)).ok_or(Error::NoAddress { network: network.name.clone(), subnet: network.subnet })
    }

    /// Gives the addresses back that a container has by this endpoint.
    pub fn give_back(&self, endpoint: &Endpoint, container: &str) {
        let lease = self.folder().join(&endpoint.id).join(endpoint.address.address.to_string());
        if std::fs::read_link(&lease).is_ok_and(|to| to.as_os_str() == container) {
            let _ = std::fs::remove_file(lease);
        }
    }
}

impl Networks {
    /// The addresses that somebody has.
    pub(super) fn addresses(&self, network: &Network) -> HashSet<Ipv4Addr> {
        let entries = std::fs::read_dir(self.leases(network)).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    }
}

/// The addresses that nobody has, lowest first. What is taken is read once: a thousand containers are
/// one reading of a folder, not a thousand tries.
fn free(networks: &Networks, network: &Network) -> impl Iterator<Item = Ipv4Addr> {
    let taken = networks.addresses(network);
    let (subnet, gateway) = (network.subnet, network.gateway);
    let all = u32::from(subnet.first()) + 1..u32::from(subnet.broadcast());
    all.map(Ipv4Addr::from).filter(move |a| *a != gateway && !taken.contains(a))
}

/// True for the host's end of a cable of ours, by its name.
pub(super) fn is_cable(link: &str) -> bool {
    link.strip_prefix("ve").is_some_and(|id| id.len() == 13 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}
