//! Networks: a bridge on the host, a subnet of addresses, and containers plugged into it.
//!
//! A network is three things of the kernel: a *bridge* (a switch in software, with an address of its
//! own: the containers' gateway), a pair of *veth* a container (a cable: one end in the bridge, the
//! other its eth0), and rules of the packet filter, that change the source of what leaves for the
//! world (NAT) and the destination of what comes for a published port. What lies in the container's
//! namespace goes with it; what lies on the host is made at first use, again after a reboot or a
//! flush, and stays until `network prune`. See it live: `ip -details link`, `ip route`,
//! `nft list table ip skiff`.
//!
//! On disk, below the skiff root: `networks/NAME.json`, and `networks/ID/ADDRESS`, a symbolic link a
//! container: symlink(2) fails if it exists, so two `skiff` at once cannot take the same address.
//!
//! What Docker does more: IPv6, overlay and macvlan drivers, a proxy in user space.

mod beside;
pub mod bridge;
pub mod connect;
pub mod dns;
pub mod endpoint;
pub mod error;
pub mod etc;
pub mod filter;
pub mod join;
pub mod port;
pub mod slirp;
pub mod store;
pub mod subnet;

pub use endpoint::Endpoint;
pub use error::Error;
pub use etc::Lookup;
pub use join::{Joined, Place, Wish};
pub use port::Published;
pub use store::Networks;

use crate::kernel::address::Net;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::SystemTime;

/// The network of a container that was asked for no other.
pub const DEFAULT: &str = "bridge";

/// One network, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// The host's link.
    pub bridge: String,
    /// Its addresses.
    pub subnet: Net,
    /// The bridge's own address, which the containers route through.
    pub gateway: Ipv4Addr,
    /// Without a way out.
    #[serde(default)]
    pub internal: bool,
    /// Since when.
    pub created: SystemTime,
    /// `NAME=value`, the user's own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a new network is to be.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its addresses; a free subnet is taken where none is named.
    pub subnet: Option<Net>,
    /// The bridge's address; the first of the subnet where none is named.
    pub gateway: Option<Ipv4Addr>,
    /// Without a way out.
    pub internal: bool,
    /// `NAME=value`.
    pub labels: BTreeMap<String, String>,
}
