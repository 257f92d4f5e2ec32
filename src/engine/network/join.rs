//! A container joins its networks and publishes its ports, and leaves them again.
//!
//! What is taken is noted in the container's record before anything can run, so that what a killed
//! `skiff` left is found by `system prune`.

use super::{Endpoint, Error, Networks, Published, bridge, dns, filter, slirp};
use crate::engine::container::{Container, Status};
use crate::kernel::link;
use crate::kernel::netlink::Socket;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// One network that a container asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The network's name or id.
    pub network: String,
    /// An address of it, instead of the next free one.
    pub address: Option<Ipv4Addr>,
    /// Further names there.
    pub aliases: Vec<String>,
}

/// What a container asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wish {
    /// The networks; none is no network.
    pub places: Vec<Place>,
    /// Ports of the host.
    pub ports: Vec<Published>,
    /// Also a port of the host for each of these of the container: `80/tcp`.
    pub exposed: Vec<String>,
    /// And for each that the image names.
    pub all_exposed: bool,
}

impl Wish {
    /// The ports that are published: those asked for, and where that was asked, those exposed.
    fn published(&self, of_image: &[String]) -> Result<Vec<Published>, Error> {
        let mut ports = self.ports.clone();
        let exposed = self.exposed.iter().chain(of_image).filter(|_| self.all_exposed);
        for port in exposed.map(|text| Published::parse(text)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            if !ports.iter().any(|p| (p.port, p.protocol) == (port.port, port.protocol)) {
                ports.push(port);
            }
        }
        Ok(ports)
    }
}

/// What it has got.
#[derive(Debug, Default)]
pub struct Joined {
    /// Its place in each network.
    pub endpoints: Vec<Endpoint>,
    /// Its ports, each with the host's number.
    pub ports: Vec<Published>,
    /// The sockets that keep those from others; to be held for as long as the container runs.
    pub held: Vec<OwnedFd>,
    /// Without root: a tap device instead of a cable.
    pub tap: bool,
}

/// Joins networks and publishes ports for the container `id`; `exposed` are the ports that its image
/// names. Nothing stays of what fails.
pub fn join(root: &Path, wish: &Wish, exposed: &[String], id: &str) -> Result<Joined, Error> {
    if slirp::suits(wish) {
        let mut ports = wish.published(exposed)?;
        // Who carries them takes them in a moment; here they are chosen, and an answer found in time.
        ports.iter_mut().try_for_each(|port| port.reserve().map(drop))?;
        return Ok(Joined { ports, tap: true, ..Joined::default() });
    }
    let mut joined = Joined::default();
    match fill(root, wish, exposed, id, &mut joined) {
        Ok(()) => Ok(joined),
        Err(error) => {
            // Only what is complete was published, and that comes last.
            joined.endpoints.iter().for_each(|e| Networks::open(root).give_back(e, id));
            Err(error)
        }
    }
}

fn fill(root: &Path, wish: &Wish, exposed: &[String], id: &str, joined: &mut Joined) -> Result<(), Error> {
    for (nth, place) in wish.places.iter().enumerate() {
        joined.endpoints.push(settle(root, place, id, nth)?);
    }
    for mut port in wish.published(exposed)? {
        joined.held.push(port.reserve()?);
        joined.ports.push(port);
    }
    match joined.endpoints.first() {
        Some(endpoint) if !joined.ports.is_empty() => filter::publish(root, &joined.ports, endpoint.address.address),
        _ => Ok(()),
    }
}

/// A container's place in one network: bridge and rules are there, an address is leased, and the
/// network's resolver knows.
pub(super) fn settle(root: &Path, place: &Place, id: &str, nth: usize) -> Result<Endpoint, Error> {
    if !crate::kernel::userns::is_host_root() {
        return Err(Error::Rootless { name: place.network.clone() });
    }
    let networks = Networks::open(root);
    let network = if place.network == super::DEFAULT { networks.default()? } else { networks.find(&place.network)? };
    if bridge::ensure(root, &network)? {
        publish_again(root, &networks)?;
    }
    let endpoint = networks.lease(&network, id, place.address, nth)?;
    dns::ensure(root, &network).inspect_err(|_| networks.give_back(&endpoint, id))?;
    Ok(Endpoint { aliases: place.aliases.clone(), ..endpoint })
}

/// After a flush: the other networks into the sets, and the ports of the containers that run.
fn publish_again(root: &Path, networks: &Networks) -> Result<(), Error> {
    for network in networks.all()?.iter().filter(|n| !networks.users(n).is_empty()) {
        bridge::ensure(root, network)?;
        dns::publish_again(root, network)?;
    }
    for container in Container::all(root).iter().filter(|c| c.status() == Status::Running && !c.record.ports.is_empty()) {
        if let Some(endpoint) = container.record.endpoints.first() {
            filter::publish(root, &container.record.ports, endpoint.address.address)?;
        }
    }
    Ok(())
}

/// Makes whole again what a flush of the rules, a restart of the host's network or a kill took from the
/// containers that run. Nothing where nothing runs.
pub fn mend(root: &Path) -> Result<(), Error> {
    let networks = Networks::open(root);
    if !crate::kernel::userns::is_host_root() {
        return Ok(());
    }
    for network in networks.all()?.iter().filter(|n| !networks.users(n).is_empty()) {
        if bridge::ensure(root, network)? {
            publish_again(root, &networks)?;
        }
        dns::ensure(root, network)?;
    }
    Ok(())
}

/// What [`join`] would give, with nothing made or taken: for `--dry-run`.
pub fn preview(root: &Path, wish: &Wish, id: &str) -> Result<Vec<Endpoint>, Error> {
    let networks = Networks::open(root);
    let mut endpoints = Vec::new();
    if slirp::suits(wish) {
        return Ok(endpoints);
    }
    for name in wish.places.iter().map(|p| p.network.as_str()) {
        match networks.find(name) {
            Ok(network) => endpoints.push(networks.preview(&network, id)?),
            Err(Error::NotFound { .. }) if name == super::DEFAULT => endpoints.push(networks.preview(&networks.planned_default()?, id)?),
            Err(error) => return Err(error),
        }
    }
    Ok(endpoints)
}

/// Pulls the cables of a container that has ended. The kernel does so by itself when the network namespace
/// goes, a moment after its last process; but a connection that its other end did not close in time keeps
/// it for a minute or more (tcp(7), tcp_orphan_retries). Some 16 ms: for whoever keeps nobody waiting.
pub fn unplug(endpoints: &[Endpoint]) {
    let Ok(socket) = Socket::route() else { return };
    for endpoint in endpoints {
        if let Ok(Some(cable)) = link::named(&socket, &endpoint.link) {
            let _ = link::remove(&socket, &cable);
        }
    }
}

/// Gives back what a container has.
pub fn leave(root: &Path, endpoints: &[Endpoint], ports: &[Published], id: &str) {
    if !ports.is_empty() {
        filter::unpublish(root, ports);
    }
    if endpoints.is_empty() {
        return;
    }
    // It may have been connected to more since whoever leaves here last looked.
    let later = Container::find(root, id).map(|c| c.record.endpoints).unwrap_or_default();
    endpoints.iter().chain(&later).for_each(|e| Networks::open(root).give_back(e, id));
}
