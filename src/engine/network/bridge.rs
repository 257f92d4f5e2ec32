//! The bridge of a network on the host, made when it is first needed, and again after a reboot.

use super::{DEFAULT, Error, Network, filter};
use crate::kernel::address::{self, Net};
use crate::kernel::netlink::Socket;
use crate::kernel::link::{self, Mac};
use crate::kernel::OrSys;
use nix::errno::Errno;
use std::net::Ipv4Addr;
use std::path::Path;

/// What is told apart by the skiff root: two roots on one host do not share a bridge. The usual root
/// has plain names.
pub fn suffix(root: &Path) -> String {
    if root == Path::new("/var/lib/skiff") {
        return String::new();
    }
    // FNV-1a: short, and no secret.
    let hash = root.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("-{:06x}", hash & 0xff_ffff)
}

/// A hardware address made from the other. The second bit of the first byte: made up, no card has it
/// (IEEE 802).
pub(super) fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// A bridge's name: 15 letters at most (IFNAMSIZ).
pub(super) fn name(root: &Path, network: &str, id: &str) -> String {
    if network == DEFAULT { format!("skiff0{}", suffix(root)) } else { format!("br-{}", &id[..12]) }
}

/// Sees to it that the network's bridge and the rules are there. A few messages where they are. True
/// if the rules were gone.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN; EEXIST if a foreign link has the bridge's name.
pub fn ensure(root: &Path, network: &Network) -> Result<bool, Error> {
    let socket = Socket::route()?;
    let found = match link::named(&socket, &network.bridge)? {
        Some(found) => found,
        None => match link::add_bridge(&socket, &network.bridge, mac(network.gateway)) {
            // Another skiff was quicker.
            Err(e) if e.errno == Errno::EEXIST => link::named(&socket, &network.bridge)?.ok_or(e)?,
            other => {
                other?;
                link::named(&socket, &network.bridge)?.ok_or_else(|| crate::kernel::SysError::new(format!("find the bridge {}", network.bridge), Errno::ENODEV))?
            }
        },
    };
    if found.kind.as_deref() != Some("bridge") {
        return Err(crate::kernel::SysError::new(format!("use the link {} as a bridge", network.bridge), Errno::EEXIST).into());
    }
    match address::add(&socket, found.index, Net { address: network.gateway, length: network.subnet.length }) {
        Err(e) if e.errno == Errno::EEXIST => {}
        other => other?,
    }
    if !network.internal {
        forward(&network.bridge)?;
    }
    filter::ensure(root, network)
}

/// Of the links that have an address in the network's subnet, is its bridge the oldest?
pub(super) fn is_first(network: &Network) -> Result<bool, Error> {
    let socket = Socket::route()?;
    let own = link::named(&socket, &network.bridge)?.map_or(0, |l| l.index);
    Ok(address::links(&socket)?.into_iter().all(|(index, net)| index >= own || !net.overlaps(network.subnet)))
}

/// The host passes packets on between its links, as a router does (ip_forward), and sends those that
/// its own programs address to 127.0.0.1 into this bridge too (route_localnet), where a rule says so.
fn forward(bridge: &str) -> Result<(), Error> {
    for (path, what) in [
        ("/proc/sys/net/ipv4/ip_forward".to_owned(), "let the host pass packets on"),
        (format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet"), "let 127.0.0.1 reach the bridge"),
    ] {
        if std::fs::read_to_string(&path).is_ok_and(|v| v.trim() != "1") {
            std::fs::write(&path, "1").or_sys(what)?;
        }
    }
    Ok(())
}

/// Removes a network's bridge and what the rules say of it; no error if it is not there.
pub(super) fn remove(root: &Path, network: &Network) -> Result<(), Error> {
    let socket = Socket::route()?;
    if let Some(found) = link::named(&socket, &network.bridge)? {
        link::remove(&socket, &found)?;
    }
    filter::forget(root, network)
}

/// Removes the table of rules.
pub(super) fn remove_table(root: &Path) -> Result<(), Error> {
    filter::remove(root)
}
