//! The networks of a skiff root: made, found, removed; each one's record, and its folder of addresses.

use super::{DEFAULT, Error, Network, Wanted, bridge, subnet};
use crate::engine::events::{self, Event};
use crate::engine::find;
use crate::kernel::OrSys;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Longer than it takes from a container's address to its folder.
const MAKING: std::time::Duration = std::time::Duration::from_secs(10);

/// The networks of one skiff root.
#[derive(Debug, Clone)]
pub struct Networks {
    root: PathBuf,
}

impl Networks {
    /// Those under `root`. Nothing is made until something is written.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.root.join("networks")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}.json"))
    }

    /// Where a network's addresses are taken.
    pub(super) fn leases(&self, network: &Network) -> PathBuf {
        self.folder().join(&network.id)
    }

    /// All of them, by name.
    pub fn all(&self) -> Result<Vec<Network>, Error> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "json") {
                found.push(read(&path)?);
            }
        }
        found.sort_by(|a: &Network, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The one of that name, that id, or the only one whose id begins so.
    pub fn find(&self, wanted: &str) -> Result<Network, Error> {
        find::check_name(wanted).map_err(|_| Error::NotFound { name: wanted.to_owned(), nearest: None })?;
        if self.file(wanted).exists() {
            return read(&self.file(wanted));
        }
        let all = self.all()?;
        let by_id: Vec<&Network> = all.iter().filter(|n| n.id.starts_with(wanted)).collect();
        match by_id.as_slice() {
            [one] => Ok((*one).clone()),
            _ => {
                let near = all.iter().map(|n| (strsim::damerau_levenshtein(&n.name, wanted), &n.name)).min();
                let nearest = near.filter(|(distance, name)| *distance <= 1 + name.len() / 3).map(|(_, name)| name.clone());
                Err(Error::NotFound { name: wanted.to_owned(), nearest })
            }
        }
    }

    /// The default network, made if it is not there yet.
    pub fn default(&self) -> Result<Network, Error> {
        match self.find(DEFAULT) {
            Err(Error::NotFound { .. }) => match self.create(&Wanted { name: DEFAULT.into(), ..Wanted::default() }) {
                // Another skiff was quicker.
                Err(Error::Taken { .. }) => self.find(DEFAULT),
                other => other,
            },
            other => other,
        }
    }

    /// Makes a network: its bridge, and its record.
    pub fn create(&self, wanted: &Wanted) -> Result<Network, Error> {
        find::check_name(&wanted.name).map_err(|_| Error::BadName { name: wanted.name.clone() })?;
        if matches!(wanted.name.as_str(), "none" | "host") {
            return Err(Error::Taken { name: wanted.name.clone() });
        }
        let _turn = self.lock()?;
        if self.file(&wanted.name).exists() {
            return Err(Error::Taken { name: wanted.name.clone() });
        }
        if !crate::kernel::userns::is_host_root() {
            return Err(Error::Rootless { name: wanted.name.clone() });
        }
        let network = self.settled(wanted)?;
        self.keep(&network).inspect_err(|_| drop(bridge::remove(&self.root, &network)))?;
        self.say("create", &network);
        Ok(network)
    }

    fn say(&self, action: &str, network: &Network) {
        let attributes = events::attributes([("name", network.name.as_str()), ("type", "bridge")]);
        events::note(&self.root, &[Event::new(events::Kind::Network, action, network.id.as_str(), attributes)]);
    }

    /// A network whose bridge is there and whose subnet is nobody else's. Two `skiff` with roots of
    /// their own may choose the same at once: then one of them yields, and chooses again.
    fn settled(&self, wanted: &Wanted) -> Result<Network, Error> {
        loop {
            let network = self.planned(wanted)?;
            bridge::ensure(&self.root, &network).inspect_err(|_| drop(bridge::remove(&self.root, &network)))?;
            if wanted.subnet.is_some() || bridge::is_first(&network)? {
                return Ok(network);
            }
            bridge::remove(&self.root, &network)?;
        }
    }

    fn keep(&self, network: &Network) -> Result<(), Error> {
        let (path, aside) = (self.file(&network.name), self.folder().join(".new"));
        std::fs::create_dir_all(self.leases(network)).or_sys_with(|| format!("make {}", self.folder().display()))?;
        let text = serde_json::to_vec_pretty(network).map_err(|e| Error::Damaged { path: path.clone(), reason: e.to_string() })?;
        std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path)).or_sys_with(|| format!("write {}", path.display()))?;
        Ok(())
    }

    /// The default network as it would be made.
    pub(super) fn planned_default(&self) -> Result<Network, Error> {
        self.planned(&Wanted { name: DEFAULT.into(), ..Wanted::default() })
    }

    fn planned(&self, wanted: &Wanted) -> Result<Network, Error> {
        let id = find::fresh_id()?;
        let subnet = subnet::choose(&self.all()?, wanted.subnet)?;
        Ok(Network {
            bridge: bridge::name(&self.root, &wanted.name, &id),
            name: wanted.name.clone(),
            id,
            subnet,
            gateway: subnet::gateway(subnet, wanted.gateway)?,
            internal: wanted.internal,
            created: SystemTime::now(),
            labels: wanted.labels.clone(),
        })
    }

    /// Removes a network: its bridge, its rules, its record. Refused while containers are on it.
    pub fn remove(&self, network: &Network) -> Result<(), Error> {
        let _turn = self.lock()?;
        let containers = self.users(network);
        if !containers.is_empty() {
            return Err(Error::InUse { name: network.name.clone(), containers });
        }
        bridge::remove(&self.root, network)?;
        let _ = std::fs::remove_dir_all(self.leases(network));
        let _ = std::fs::remove_file(self.folder().join(format!("{}.dns", network.id)));
        std::fs::remove_file(self.file(&network.name)).or_sys_with(|| format!("remove the network {}", network.name))?;
        self.say("destroy", network);
        if self.all()?.is_empty() {
            bridge::remove_table(&self.root)?;
            let _ = std::fs::remove_dir_all(self.folder());
        }
        Ok(())
    }

    /// The ids of the containers that have an address of it.
    pub fn users(&self, network: &Network) -> Vec<String> {
        let leases = std::fs::read_dir(self.leases(network)).into_iter().flatten().flatten();
        let mut ids: Vec<String> = leases.filter_map(|e| Some(std::fs::read_link(e.path()).ok()?.to_string_lossy().into_owned())).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Gives back the addresses of containers that are gone, and removes the networks that nobody uses.
    /// The names of those.
    pub fn prune(&self) -> Result<Vec<String>, Error> {
        let known = find::ids(&self.root);
        let mut gone = Vec::new();
        for network in self.all()? {
            for lease in std::fs::read_dir(self.leases(&network)).into_iter().flatten().flatten() {
                // A container takes its address a moment before it has a folder.
                let settled = lease.metadata().and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|age| age > MAKING));
                let owner = std::fs::read_link(lease.path()).unwrap_or_default();
                if settled && !known.iter().any(|id| owner.as_os_str() == id.as_str()) {
                    let _ = std::fs::remove_file(lease.path());
                }
            }
            if self.users(&network).is_empty() {
                self.remove(&network)?;
                gone.push(network.name);
            }
        }
        Ok(gone)
    }

    /// One writer at a time.
    pub(super) fn lock(&self) -> Result<nix::fcntl::Flock<File>, Error> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).or_sys_with(|| format!("make {}", folder.display()))?;
        let file = File::create(folder.join(".lock")).or_sys_with(|| format!("open {}", folder.display()))?;
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).map_err(|(_, e)| crate::kernel::SysError::new("wait for the networks", e).into())
    }
}

fn read(path: &Path) -> Result<Network, Error> {
    let text = std::fs::read(path).or_sys_with(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| Error::Damaged { path: path.to_owned(), reason: e.to_string() })
}
