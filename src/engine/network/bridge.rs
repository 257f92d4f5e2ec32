//! The bridge of a network on the host, made when it is first needed, and again after a reboot.

use super::{DEFAULT, Error, Network, beside, endpoint, filter};
use crate::kernel::address::{self, Net};
use crate::kernel::netlink::Socket;
use crate::kernel::link::{self, Mac};
use crate::kernel::OrSys;
use nix::errno::Errno;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

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
    let there = link::named(&socket, &network.bridge)?;
    // A bridge and the setting come together, or who takes the setting back would not see the bridge.
    let _turn = if there.is_none() || !is_on(FORWARD) { Some(turn()?) } else { None };
    let found = match there {
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
        forward(root, &network.bridge)?;
    }
    beside::pass(&network.bridge)?;
    filter::ensure(root, network)
}

/// Of the links that have an address in the network's subnet, is its bridge the oldest?
pub(super) fn is_first(network: &Network) -> Result<bool, Error> {
    let socket = Socket::route()?;
    let own = link::named(&socket, &network.bridge)?.map_or(0, |l| l.index);
    Ok(address::links(&socket)?.into_iter().all(|(index, net)| index >= own || !net.overlaps(network.subnet)))
}

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The host passes packets on between its links, as a router does (ip_forward), and sends those that
/// its own programs address to 127.0.0.1 into this bridge too (route_localnet), where a rule says so.
fn forward(root: &Path, bridge: &str) -> Result<(), Error> {
    let local = format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet");
    if !is_on(&local) {
        std::fs::write(&local, "1").or_sys("let 127.0.0.1 reach the bridge")?;
    }
    if !is_on(FORWARD) {
        // Said before it is done: what was changed must be known afterwards, also by a prune after a kill.
        let note = note(root);
        note.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&note, "0")).or_sys_with(|| format!("write {}", note.display()))?;
        std::fs::write(FORWARD, "1").or_sys("let the host pass packets on")?;
    }
    Ok(())
}

fn is_on(setting: &str) -> bool {
    std::fs::read_to_string(setting).is_ok_and(|v| v.trim() == "1")
}

/// Who changes that setting does so alone, on the whole host: the setting's own file is the lock.
fn turn() -> Result<File, Error> {
    let file = File::open(FORWARD).or_sys_with(|| format!("open {FORWARD}"))?;
    file.lock().or_sys_with(|| format!("lock {FORWARD}"))?;
    Ok(file)
}

/// Says that it was off before the first network of this root came.
fn note(root: &Path) -> PathBuf {
    root.join("networks/.forward")
}

/// With the last network: the host passes packets on no more, if that was our doing and no other bridge,
/// tunnel or cable is there that may have come to rely on it.
fn forward_no_more(root: &Path) -> Result<(), Error> {
    if !note(root).exists() {
        return Ok(());
    }
    let _turn = turn()?;
    let relies = |kind: &String| !matches!(kind.as_str(), "dummy" | "ifb");
    if link::all()?.iter().all(|l| !l.kind.as_ref().is_some_and(relies)) {
        std::fs::write(FORWARD, "0").or_sys("let the host pass packets on no more")?;
    }
    let _ = std::fs::remove_file(note(root));
    Ok(())
}

/// Removes a network's bridge and what the rules say of it; no error if it is not there.
pub(super) fn remove(root: &Path, network: &Network) -> Result<(), Error> {
    let socket = Socket::route()?;
    if let Some(found) = link::named(&socket, &network.bridge)? {
        // A connection that its other end did not close in time keeps the namespace of a container that
        // has ended, and in it the cable, until TCP gives up after a minute or more (tcp(7), tcp_orphan_retries).
        for cable in link::list(&socket)?.iter().filter(|l| l.master == Some(found.index) && endpoint::is_cable(&l.name)) {
            // Gone meanwhile is as well.
            let _ = link::remove(&socket, cable);
        }
        link::remove(&socket, &found)?;
    }
    beside::forget(&network.bridge)?;
    filter::forget(root, network)
}

/// Removes the table of rules, and the host's setting.
pub(super) fn remove_table(root: &Path) -> Result<(), Error> {
    forward_no_more(root)?;
    filter::remove(root)
}
