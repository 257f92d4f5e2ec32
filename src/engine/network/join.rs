//! A container joins its networks and publishes its ports, and leaves them again.
//!
//! What is taken is noted in the container's record before anything can run, so that what a killed
//! `skiff` left is found by `system prune`.

use super::{Endpoint, Error, Network, Networks, Published, bridge, dns, filter};
use crate::engine::container::{Container, Status};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a container asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wish {
    /// Names of networks; none is no network.
    pub networks: Vec<String>,
    /// An address in the first of them.
    pub address: Option<Ipv4Addr>,
    /// Further names in them.
    pub aliases: Vec<String>,
    /// Ports of the host.
    pub ports: Vec<Published>,
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
}

/// Joins networks and publishes ports for the container `id`. Nothing stays of what fails.
pub fn join(root: &Path, wish: &Wish, id: &str) -> Result<Joined, Error> {
    let mut joined = Joined::default();
    match fill(root, wish, id, &mut joined) {
        Ok(()) => Ok(joined),
        Err(error) => {
            // Only what is complete was published, and that comes last.
            joined.endpoints.iter().for_each(|e| Networks::open(root).give_back(e, id));
            Err(error)
        }
    }
}

fn fill(root: &Path, wish: &Wish, id: &str, joined: &mut Joined) -> Result<(), Error> {
    let networks = Networks::open(root);
    if let Some(name) = wish.networks.first()
        && !crate::kernel::userns::is_host_root()
    {
        return Err(Error::Rootless { name: name.clone() });
    }
    for (nth, network) in found(&networks, &wish.networks)?.iter().enumerate() {
        if bridge::ensure(root, network)? {
            publish_again(root, &networks)?;
        }
        let asked = wish.address.filter(|_| nth == 0);
        let endpoint = networks.lease(network, id, asked, nth)?;
        joined.endpoints.push(Endpoint { aliases: wish.aliases.clone(), ..endpoint });
        dns::ensure(root, network)?;
    }
    for port in &wish.ports {
        let mut port = *port;
        joined.held.push(port.reserve()?);
        joined.ports.push(port);
    }
    match joined.endpoints.first() {
        Some(endpoint) if !joined.ports.is_empty() => filter::publish(root, &joined.ports, endpoint.address.address),
        _ => Ok(()),
    }
}

fn found(networks: &Networks, names: &[String]) -> Result<Vec<Network>, Error> {
    names.iter().map(|name| if name == super::DEFAULT { networks.default() } else { networks.find(name) }).collect()
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
    for name in &wish.networks {
        match networks.find(name) {
            Ok(network) => endpoints.push(networks.preview(&network, id)?),
            Err(Error::NotFound { .. }) if name == super::DEFAULT => endpoints.push(networks.preview(&networks.planned_default()?, id)?),
            Err(error) => return Err(error),
        }
    }
    Ok(endpoints)
}

/// Gives back what a container has.
pub fn leave(root: &Path, endpoints: &[Endpoint], ports: &[Published], id: &str) {
    if !ports.is_empty() {
        filter::unpublish(root, ports);
    }
    endpoints.iter().for_each(|e| Networks::open(root).give_back(e, id));
}
