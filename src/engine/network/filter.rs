//! The rules: one table of our own, in which networks and ports are elements of sets.
//!
//! The rules stand still; a container that publishes a port adds an element to a map, and one that
//! publishes none changes nothing. Looked up, a thousand ports cost what one costs. See it live:
//! `nft list table ip skiff`.

use super::bridge::suffix;
use super::port::Published;
use super::{Endpoint, Error, Network};
use crate::kernel::netlink::Socket;
use crate::kernel::nft::{self, Batch, Expression as E, Hook, Kind, Verdict, link_key, padded};
use nix::errno::Errno;
use std::net::Ipv4Addr;
use std::path::Path;

/// RTN_LOCAL of linux/rtnetlink.h: an address of this host.
const LOCAL: [u8; 4] = 2u32.to_ne_bytes();
/// IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const REDIRECTED: [u8; 4] = 32u32.to_ne_bytes();
/// Where the IPv4 header has source and destination; where TCP and UDP have the destination's port.
const SOURCE: E<'static> = E::Header(0, 12, 4);
const PORT: (u32, u32) = (2, 2);

fn table(root: &Path) -> String {
    format!("skiff{}", suffix(root))
}

/// Sees to it that the table is there, and the network in its sets. True if there was no table: after
/// the first network, a reboot, or a flush of all rules.
pub(super) fn ensure(root: &Path, network: &Network) -> Result<bool, Error> {
    let socket = Socket::filter()?;
    let table = table(root);
    // The last that is put in: where it is, all is.
    if nft::has_element(&socket, &table, "within", &within(network))? {
        return Ok(false);
    }
    let new = !nft::has_table(&socket, &table)?;
    if new {
        let mut batch = Batch::of(&table);
        rules(&mut batch);
        batch.commit(&socket)?;
    }
    let mut batch = Batch::of(&table);
    let set = if network.internal { "internal" } else { "bridges" };
    batch.element(set, &link_key(&network.bridge), None);
    batch.element("within", &within(network), None);
    match batch.commit(&socket) {
        Err(e) if e.errno == Errno::EEXIST => Ok(new),
        other => Ok(other.map(|()| new)?),
    }
}

/// In and out by the same bridge.
fn within(network: &Network) -> Vec<u8> {
    link_key(&network.bridge).repeat(2)
}

fn rules(batch: &mut Batch<'_>) {
    batch.table();
    batch.set("bridges", &[Kind::Link], &[]);
    batch.set("internal", &[Kind::Link], &[]);
    batch.set("within", &[Kind::Link, Kind::Link], &[]);
    batch.set("ports", &[Kind::Protocol, Kind::Port], &[Kind::Address, Kind::Port]);
    batch.set("bound", &[Kind::Protocol, Kind::Address, Kind::Port], &[Kind::Address, Kind::Port]);

    // What comes from a container for 127.0.0.1 is not the host's own, whatever route_localnet says
    // (CVE-2020-8558).
    batch.chain("guard", Some(Hook { kind: "filter", number: 0, priority: -300 }));
    batch.rule("guard", &[E::InLink(0), E::In("bridges", 0), E::Header(0, 16, 4), E::Mask(0, [255, 0, 0, 0]), E::Is(0, &[127, 0, 0, 0]), E::Say(Verdict::Drop)]);

    // Published ports: first those of one address, then those of all.
    batch.chain("publish", None);
    batch.rule("publish", &[E::Protocol(0), E::Header(1, 16, 4), E::Transport(2, PORT.0, PORT.1), E::Map("bound", 0, 0), E::Destination(0, 1)]);
    batch.rule("publish", &[E::Protocol(0), E::Transport(1, PORT.0, PORT.1), E::Map("ports", 0, 0), E::Destination(0, 1)]);
    for (chain, number) in [("arriving", 0), ("from-here", 3)] {
        batch.chain(chain, Some(Hook { kind: "nat", number, priority: -100 }));
        batch.rule(chain, &[E::DestinationType(0), E::Is(0, &LOCAL), E::Say(Verdict::Jump("publish"))]);
    }

    // Where the answer would not come back this way, the host speaks in its own name: out to the
    // world; from 127.0.0.1 to a container; from a container by a published port to its neighbour.
    batch.chain("leaving", Some(Hook { kind: "nat", number: 4, priority: 100 }));
    batch.rule("leaving", &[E::InLink(0), E::In("bridges", 0), E::OutLink(0), E::NotIn("bridges", 0), E::Masquerade]);
    batch.rule("leaving", &[SOURCE, E::Mask(0, [255, 0, 0, 0]), E::Is(0, &[127, 0, 0, 0]), E::OutLink(0), E::In("bridges", 0), E::Masquerade]);
    let redirected = [E::Status(0), E::Mask(0, REDIRECTED), E::IsNot(0, &[0; 4])];
    batch.rule("leaving", &[&redirected[..], &[E::InLink(0), E::OutLink(4), E::In("within", 0), E::Masquerade]].concat());

    // Networks do not see each other; an internal one sees nobody.
    batch.chain("between", Some(Hook { kind: "filter", number: 2, priority: 0 }));
    batch.rule("between", &[E::InLink(0), E::OutLink(4), E::In("within", 0), E::Say(Verdict::Accept)]);
    batch.rule("between", &[E::InLink(0), E::In("bridges", 0), E::OutLink(0), E::In("bridges", 0), E::Say(Verdict::Drop)]);
    for link in [E::InLink(0), E::OutLink(0)] {
        batch.rule("between", &[link, E::In("internal", 0), E::Say(Verdict::Drop)]);
    }
}

/// Takes a network out of the sets.
pub(super) fn forget(root: &Path, network: &Network) -> Result<(), Error> {
    let table = table(root);
    let mut batch = Batch::of(&table);
    batch.remove_element(if network.internal { "internal" } else { "bridges" }, &link_key(&network.bridge));
    batch.remove_element("within", &within(network));
    not_there(batch.commit(&Socket::filter()?))
}

/// Removes the table.
pub(super) fn remove(root: &Path) -> Result<(), Error> {
    let table = table(root);
    let mut batch = Batch::of(&table);
    batch.remove_table();
    not_there(batch.commit(&Socket::filter()?))
}

/// Sends what comes for these ports to `to`.
pub fn publish(root: &Path, ports: &[Published], to: Ipv4Addr) -> Result<(), Error> {
    let (socket, table) = (Socket::filter()?, table(root));
    let mut batch = Batch::of(&table);
    for port in ports {
        let (map, key) = key(port);
        let value = [&to.octets()[..], &padded(&port.port.to_be_bytes())].concat();
        batch.element(map, &key, Some(&value));
    }
    Ok(batch.commit(&socket)?)
}

/// Ends that. Each on its own: one that is gone is no reason to leave the others.
pub fn unpublish(root: &Path, ports: &[Published]) {
    let table = table(root);
    let Ok(socket) = Socket::filter() else { return };
    for port in ports {
        let (map, key) = key(port);
        let mut batch = Batch::of(&table);
        batch.remove_element(map, &key);
        let _ = batch.commit(&socket);
    }
}

fn key(port: &Published) -> (&'static str, Vec<u8>) {
    let (protocol, number) = (padded(&[port.protocol.number()]), padded(&port.host_port.to_be_bytes()));
    match port.address {
        a if a.is_unspecified() => ("ports", [protocol, number].concat()),
        a => ("bound", [&protocol[..], &a.octets(), &number].concat()),
    }
}

/// The table, and those of its elements that are there for a container, as nft(8) writes them.
pub fn elements(root: &Path, endpoints: &[Endpoint], ports: &[Published]) -> Result<Option<(String, Vec<String>)>, Error> {
    if endpoints.is_empty() {
        return Ok(None);
    }
    let (socket, table) = (Socket::filter()?, table(root));
    let mut found = Vec::new();
    for endpoint in endpoints {
        for set in ["bridges", "internal"] {
            if nft::has_element(&socket, &table, set, &link_key(&endpoint.bridge))? {
                found.push(format!("{set:<8} has {}", endpoint.bridge));
            }
        }
    }
    for port in ports {
        let (map, key) = key(port);
        if nft::has_element(&socket, &table, map, &key)? {
            let address = if map == "bound" { format!(" . {}", port.address) } else { String::new() };
            let to = endpoints[0].address.address;
            found.push(format!("{map:<8} has {}{address} . {} : {to} . {}", port.protocol, port.host_port, port.port));
        }
    }
    Ok(Some((table, found)))
}

fn not_there(answer: Result<(), crate::kernel::SysError>) -> Result<(), Error> {
    match answer {
        Err(e) if e.errno == Errno::ENOENT => Ok(()),
        other => Ok(other?),
    }
}
