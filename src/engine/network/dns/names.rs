//! Who asks, and what names that one may see: those of its own networks.
//!
//! A container is known in a network by its name, by the first twelve digits of its id, and by its
//! aliases there; each also with the network's name behind a dot. What is read from the disk is kept
//! until a lease or a container's name comes or goes, which the folders' own times tell (stat(2)).

use super::super::{DEFAULT, Endpoint, Networks};
use crate::engine::container::{Container, Status};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// One container in one network.
#[derive(Debug, Clone)]
struct Place {
    names: Vec<String>,
    network: String,
    address: Ipv4Addr,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    networks: Vec<String>,
    /// Where it may ask for names of the world: its own servers, or the host's.
    pub servers: Vec<IpAddr>,
    /// Whether it may ask the world at all: one with internal networks only may not.
    pub outward: bool,
}

/// All the names of a skiff root, as last read.
#[derive(Debug)]
pub struct Names {
    root: PathBuf,
    /// By network's id.
    places: HashMap<String, Vec<Place>>,
    askers: HashMap<(String, Ipv4Addr), Asker>,
    stamp: Vec<Option<SystemTime>>,
}

/// Times of files are as fine as the kernel's clock tick; what changed just now may change again unseen.
const SETTLED: Duration = Duration::from_millis(50);

impl Names {
    /// Nothing read yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), places: HashMap::new(), askers: HashMap::new(), stamp: Vec::new() }
    }

    fn now(&self) -> Vec<Option<SystemTime>> {
        let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
        let entries = std::fs::read_dir(self.root.join("networks")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.extension().is_none()).collect();
        folders.sort();
        folders.push(self.root.join("names"));
        folders.iter().map(|f| modified(f)).collect()
    }

    fn refresh(&mut self) {
        let now = self.now();
        if now == self.stamp {
            return;
        }
        let old_enough = now.iter().flatten().all(|t| t.elapsed().is_ok_and(|age| age > SETTLED));
        self.places.clear();
        self.askers.clear();
        for container in Container::all(&self.root) {
            if matches!(container.status(), Status::Running | Status::Creating) {
                self.add(&container);
            }
        }
        // Whoever is about to start has an address before its record says so.
        self.stamp = if old_enough && self.knows_all() { now } else { Vec::new() };
    }

    /// True if there is a container for each leased address of the networks that have names.
    fn knows_all(&self) -> bool {
        let networks = Networks::open(&self.root);
        let named = networks.all().unwrap_or_default().into_iter().filter(|n| n.name != DEFAULT);
        let leases = named.flat_map(|n| networks.addresses(&n).into_iter().map(move |a| (n.id.clone(), a)));
        leases.into_iter().all(|lease| self.askers.contains_key(&lease))
    }

    fn add(&mut self, container: &Container) {
        let record = &container.record;
        let named: Vec<&Endpoint> = record.endpoints.iter().filter(|e| e.network != DEFAULT).collect();
        let asker = Asker {
            networks: named.iter().map(|e| e.id.clone()).collect(),
            servers: record.lookup.servers.clone(),
            outward: record.endpoints.iter().any(|e| e.gateway.is_some()),
        };
        for endpoint in named {
            let own = [record.name.clone(), container.short_id().to_owned()];
            let names = own.iter().chain(&endpoint.aliases).map(|n| n.to_ascii_lowercase()).collect();
            let address = endpoint.address.address;
            self.askers.insert((endpoint.id.clone(), address), asker.clone());
            self.places.entry(endpoint.id.clone()).or_default().push(Place { names, network: endpoint.network.to_ascii_lowercase(), address });
        }
    }

    /// The container that has that address in that network.
    pub fn asker(&mut self, network: &str, address: Ipv4Addr) -> Option<Asker> {
        self.refresh();
        self.askers.get(&(network.to_owned(), address)).cloned()
    }

    /// The addresses of a name in the networks of who asks; none if nobody has it.
    pub fn addresses(&self, asker: &Asker, name: &str) -> Vec<Ipv4Addr> {
        let is_meant = |place: &&Place| {
            let scoped = || name.strip_suffix(&place.network).and_then(|n| n.strip_suffix('.'));
            place.names.iter().any(|own| own == name || scoped() == Some(own))
        };
        self.seen_by(asker).filter(is_meant).map(|p| p.address).collect()
    }

    /// The name of an address in the networks of who asks.
    pub fn name(&self, asker: &Asker, address: Ipv4Addr) -> Option<String> {
        let place = self.seen_by(asker).find(|p| p.address == address)?;
        Some(format!("{}.{}", place.names.first()?, place.network))
    }

    fn seen_by<'a>(&'a self, asker: &'a Asker) -> impl Iterator<Item = &'a Place> {
        asker.networks.iter().filter_map(|id| self.places.get(id)).flatten()
    }
}
