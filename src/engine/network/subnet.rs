//! Which addresses a new network has: the first part of the pool that nobody on this host uses.
//!
//! An overlap would be felt, not seen: the host would send what is meant for one to the other. So a
//! new network keeps clear of skiff's others and of all that the host has a route to.

use super::{Error, Network};
use crate::kernel::address::{self, Net};
use crate::kernel::netlink::Socket;
use std::net::Ipv4Addr;

/// The pool: 10.111.0.0 to 10.126.255.255, in parts of 4096 addresses.
const POOL: std::ops::RangeInclusive<u8> = 111..=126;
const PART: u8 = 20;

/// The subnet that was asked for, if it can be had, or a free one of the pool.
pub(super) fn choose(networks: &[Network], asked: Option<Net>) -> Result<Net, Error> {
    let mut taken = address::known(&Socket::route()?)?;
    let hosts = taken.len();
    taken.extend(networks.iter().map(|n| n.subnet));
    if let Some(asked) = asked {
        let subnet = Net { address: asked.first(), length: asked.length };
        let refuse = |problem: String| Err(Error::BadSubnet { subnet: asked, problem });
        if !(8..=30).contains(&subnet.length) {
            return refuse("between /8 and /30 there is room for a bridge and a container".into());
        }
        return match taken.iter().position(|other| other.overlaps(subnet)) {
            Some(at) if at < hosts => refuse(format!("this host reaches {} by another way already", taken[at])),
            Some(at) => refuse(format!("it overlaps the network {} ({})", networks[at - hosts].name, taken[at])),
            None => Ok(subnet),
        };
    }
    let parts = POOL.flat_map(|second| (0..=255u8).step_by(16).map(move |third| Net { address: Ipv4Addr::new(10, second, third, 0), length: PART }));
    parts.into_iter().find(|part| !taken.iter().any(|other| other.overlaps(*part))).ok_or(Error::NoSubnet)
}

/// The bridge's own address: as asked for, or the first.
pub(super) fn gateway(subnet: Net, asked: Option<Ipv4Addr>) -> Result<Ipv4Addr, Error> {
    let gateway = asked.unwrap_or_else(|| Ipv4Addr::from(u32::from(subnet.first()) + 1));
    if !usable(subnet, gateway) {
        return Err(Error::BadSubnet { subnet, problem: format!("its gateway {gateway} is not an address in it") });
    }
    Ok(gateway)
}

/// An address that a machine may have: not the network's own, not that of all.
pub(super) fn usable(subnet: Net, address: Ipv4Addr) -> bool {
    subnet.has(address) && address != subnet.first() && address != subnet.broadcast()
}
