//! `compose up`: from what there is to what the file says, by the fewest changes.
//!
//! First everything that is wanted is worked out, so that what cannot be is said before anything is
//! made. Then networks and volumes, then containers, each after those that it depends on: one that is
//! missing is made, one whose hash of its configuration (or whose image) is another is replaced, one
//! that is as it should be is left alone. Then they are started in the same order, each once those that
//! it waits for are ready.

use super::error::Error;
use super::found::{Found, Tell, containers, tell, told};
use super::labels;
use super::model::Service;
use super::place;
use super::project::Project;
use super::service::{Maker, Written};
use super::stop;
use super::turn::Turn;
use super::wait;
use crate::engine::container::{Container, Status};
use crate::engine::host::Host;
use crate::engine::network::{self, Networks, Published, Wanted};
use crate::engine::request::{Network, Request};
use crate::engine::find::check_name;
use crate::engine::volume::{self, Asked, Volume, Volumes};
use crate::engine::{monitor, start};
use crate::image::Image;
use crate::kernel::OrSys;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which containers are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recreate {
    /// Those that the file, or the image, changed.
    #[default]
    Changed,
    /// All.
    Always,
    /// None.
    Never,
}

/// What is to be brought up.
pub struct Up<'a> {
    /// The skiff root.
    pub root: &'a Path,
    /// The project.
    pub project: &'a Project,
    /// This machine.
    pub host: &'a Host,
    /// The image of each service.
    pub images: &'a BTreeMap<String, Image>,
    /// The services that are meant, those that they need among them.
    pub services: BTreeSet<String>,
    /// Which containers are replaced.
    pub recreate: Recreate,
    /// `--scale`.
    pub scale: BTreeMap<String, u32>,
    /// Seconds from the stop signal to SIGKILL, for what is replaced.
    pub timeout: Option<i64>,
    /// Anonymous volumes of what is replaced are not taken over.
    pub renew: bool,
    /// Who is told.
    pub tell: Tell<'a>,
    /// Who is told what the engine does otherwise than asked.
    pub notes: Option<fn(&str)>,
    /// The services whose containers were replaced.
    pub replaced: RefCell<BTreeSet<String>>,
    /// Those that were stopped for that, and are to be started again.
    pub halted: RefCell<BTreeSet<String>>,
}

/// One container that is wanted.
struct Planned {
    number: u32,
    request: Request,
    written: Vec<Written>,
}

impl Up<'_> {
    /// Networks, volumes and containers; nothing is started.
    pub fn create(&self) -> Result<(), Error> {
        let order: Vec<String> = self.project.order()?.into_iter().filter(|n| self.services.contains(n)).collect();
        let plans = order.iter().map(|name| Ok((name, self.plan(name)?))).collect::<Result<Vec<_>, Error>>()?;
        self.names(&plans)?;
        self.clashes(&plans)?;
        let _turn = Turn::wait(self.root, &self.project.name)?;
        self.parts()?;
        plans.iter().try_for_each(|(name, plan)| self.converge(name, plan))
    }

    /// The networks and volumes that the services have.
    pub fn parts(&self) -> Result<(), Error> {
        self.networks()?;
        self.volumes()
    }

    fn service(&self, name: &str) -> Result<&Service, Error> {
        self.project.services.get(name).ok_or_else(|| Error::NoService { name: name.to_owned(), known: self.project.services.keys().cloned().collect() })
    }

    fn image(&self, name: &str) -> Result<&Image, Error> {
        self.images.get(name).ok_or_else(|| Error::NoService { name: name.to_owned(), known: self.images.keys().cloned().collect() })
    }

    fn plan(&self, name: &str) -> Result<Vec<Planned>, Error> {
        let service = self.service(name)?;
        let maker = Maker { project: self.project, name, service, rootless: self.host.rootless };
        let count = self.scale.get(name).copied().unwrap_or_else(|| service.replicas());
        if service.container_name.is_some() && count > 1 {
            let fault = self.project.fault(&["services", name, "container_name"], format!("services.{name}.container_name: the service is to have {count} containers, and a name is one container's"));
            return Err(fault.try_this("leave out container_name, or scale and replicas").into());
        }
        let id = self.image(name)?.id.to_string();
        let written = maker.written()?;
        let one = |number| Ok(Planned { number, request: Request { told: self.notes, ..maker.request(number, &id)? }, written: written.clone() });
        (1..=count).map(one).collect()
    }

    /// Each container has a name that can be one, for itself; so have networks and volumes.
    fn names(&self, plans: &[(&String, Vec<Planned>)]) -> Result<(), Error> {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for (service, wanted) in plans.iter().flat_map(|(name, plan)| plan.iter().filter_map(|p| Some((name.as_str(), p.request.name.as_deref()?)))) {
            let fault = |what: String| self.project.fault(&["services", service, "container_name"], format!("services.{service}: {what}"));
            if check_name(wanted).is_err() {
                return Err(fault(format!("{wanted:?} cannot be a container's name")).because("a name has two characters or more: a letter or digit, then letters, digits, `_`, `.`, `-`").try_this("another container_name").into());
            }
            if let Some(other) = taken.insert(wanted, service) {
                return Err(fault(format!("the container's name {wanted:?} is that of the service {other} already")).try_this("another container_name").into());
            }
        }
        for (key, network) in self.project.networks.iter().filter(|(_, n)| !n.external) {
            if check_name(&network.name).is_err() {
                return Err(self.project.fault(&["networks", key, "name"], format!("networks.{key}: {:?} cannot be a network's name", network.name)).try_this("letters, digits, and _ . - after the first").into());
            }
        }
        for (key, volume) in self.project.volumes.iter().filter(|(_, v)| !v.external) {
            if volume::store::check_name(&volume.name).is_err() {
                return Err(self.project.fault(&["volumes", key, "name"], format!("volumes.{key}: {:?} cannot be a volume's name", volume.name)).try_this("letters, digits, and _ . - after the first").into());
            }
        }
        Ok(())
    }

    /// No port of the host leads to two containers.
    fn clashes(&self, plans: &[(&String, Vec<Planned>)]) -> Result<(), Error> {
        let mut taken: Vec<(Published, &str)> = Vec::new();
        for (name, planned) in plans.iter().flat_map(|(name, plan)| plan.iter().map(move |p| (name.as_str(), p))) {
            let Network::Joined(wish) = &planned.request.network else { continue };
            // One that is chosen when it starts takes what is free.
            for port in wish.ports.iter().filter(|p| p.host_port != 0 && p.until == 0) {
                let same = |other: &Published| (other.host_port, other.protocol) == (port.host_port, port.protocol) && (other.address == port.address || other.address.is_unspecified() || port.address.is_unspecified());
                if let Some((_, other)) = taken.iter().find(|(p, _)| same(p)) {
                    let who = if *other == name { format!("a container of {name} already") } else { format!("the service {other} already") };
                    let fault = self.project.fault(&["services", name, "ports"], format!("services.{name}.ports: port {}/{} of the host leads to {who}", port.host_port, port.protocol));
                    return Err(fault.try_this("another port, a range such as 8000-8009:80, or the container's alone: 80").into());
                }
                taken.push((*port, name));
            }
        }
        Ok(())
    }

    /// The networks that the services are on.
    fn networks(&self) -> Result<(), Error> {
        let networks = Networks::open(self.root);
        let used: BTreeSet<&String> = self.services.iter().filter_map(|s| self.project.services.get(s)).flat_map(|s| s.networks.keys()).collect();
        for (key, wanted) in self.project.networks.iter().filter(|(key, _)| used.contains(key) && !self.host.rootless) {
            let found = match networks.find(&wanted.name) {
                Err(network::Error::NotFound { .. }) => None,
                found => Some(found?),
            };
            match found {
                _ if wanted.external && matches!(wanted.name.as_str(), "bridge") => {}
                None if wanted.external => return Err(Error::NoExternal { kind: "network", name: wanted.name.clone() }),
                Some(_) if wanted.external => {}
                Some(found) => {
                    ours(self.project, "network", &found.name, &found.labels)?;
                    if let Some(note) = self.notes.filter(|_| found.internal != wanted.internal) {
                        note(&format!("the network {} is {}internal, and the file says otherwise: `skiff compose down`, then up, makes it anew", found.name, if found.internal { "" } else { "not " }));
                    }
                }
                None => {
                    let labels = labels::of_part(self.project, labels::NETWORK, key, &wanted.labels);
                    let pool = wanted.ipam.config.first();
                    let bad = |what: &str| self.project.fault(&["networks", key, "ipam"], format!("networks.{key}.ipam: {what} is no address of IPv4"));
                    let subnet = pool.and_then(|p| p.subnet.as_ref()).map(|s| s.parse().map_err(|_| bad(s))).transpose()?;
                    let gateway = pool.and_then(|p| p.gateway.as_ref()).map(|g| g.parse().map_err(|_| bad(g))).transpose()?;
                    let asked = Wanted { name: wanted.name.clone(), subnet, gateway, internal: wanted.internal, labels };
                    told(self.tell, "Network", &wanted.name, ("Creating", "Created"), || networks.create(&asked))?;
                }
            }
        }
        Ok(())
    }

    /// The volumes that the services have.
    fn volumes(&self) -> Result<(), Error> {
        let volumes = Volumes::open(self.root);
        let services = || self.services.iter().filter_map(|s| self.project.services.get(s));
        let used: BTreeSet<&String> = services().flat_map(|s| &s.volumes).filter_map(|m| m.source.as_ref()).collect();
        for (key, wanted) in self.project.volumes.iter().filter(|(key, _)| used.contains(key)) {
            match volumes.find(&wanted.name) {
                Err(crate::engine::volume::Error::NotFound { .. }) if wanted.external => return Err(Error::NoExternal { kind: "volume", name: wanted.name.clone() }),
                Err(crate::engine::volume::Error::NotFound { .. }) => {
                    let labels = labels::of_part(self.project, labels::VOLUME, key, &wanted.labels);
                    let asked = Volume { labels, options: wanted.driver_opts.clone(), ..Volume::new(&wanted.name) };
                    told(self.tell, "Volume", &wanted.name, ("Creating", "Created"), || volumes.create(&asked))?;
                }
                Ok(_) if wanted.external => {}
                found => ours(self.project, "volume", &wanted.name, &found?.labels)?,
            }
        }
        Ok(())
    }

    /// The containers of one service, as many as there are to be, each as it should be.
    fn converge(&self, name: &str, plan: &[Planned]) -> Result<(), Error> {
        let existing: Vec<Found> = containers(self.root, &self.project.name).into_iter().filter(|f| f.service == name && !f.oneoff).collect();
        let needs: BTreeSet<String> = self.service(name)?.network_of().into_iter().map(str::to_owned).collect();
        let lost_its_network = !needs.is_disjoint(&self.replaced.borrow());
        let (mut kept, mut surplus): (BTreeMap<u32, Found>, Vec<Found>) = (BTreeMap::new(), Vec::new());
        for found in existing {
            match plan.iter().any(|p| p.number == found.number) && !kept.contains_key(&found.number) {
                true => drop(kept.insert(found.number, found)),
                false => surplus.push(found),
            }
        }
        stop::remove(surplus, self.timeout, false, self.tell)?;
        for planned in plan {
            let wanted = planned.request.name.clone().unwrap_or_default();
            let mut old = kept.remove(&planned.number);
            // Its predecessor went, and a kill came before it got the name.
            if let Some(found) = old.as_mut().filter(|f| f.container.name() != wanted) {
                found.container.rename(&wanted)?;
            }
            match old {
                None => told(self.tell, "Container", &wanted, ("Creating", "Created"), || self.make(name, planned, &planned.request).map(drop))?,
                Some(old) if self.recreate == Recreate::Always || (self.recreate == Recreate::Changed && (lost_its_network || differs(&old, &planned.request))) => {
                    self.replaced.borrow_mut().insert(name.to_owned());
                    self.halt_dependents(name)?;
                    told(self.tell, "Container", &wanted, ("Recreate", "Recreated"), || self.replace(name, planned, &old))?;
                }
                Some(old) if old.is_live() => tell(self.tell, "Container", &wanted, "Running"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Stops what is to be restarted with a service (`restart: true`) that is replaced now.
    fn halt_dependents(&self, name: &str) -> Result<(), Error> {
        let with_it = |s: &Service| s.depends_on.get(name).is_some_and(|d| d.restart);
        for (of, _) in self.project.services.iter().filter(|(_, s)| with_it(s)) {
            let live: Vec<Found> = self.own(of).into_iter().filter(Found::is_live).collect();
            if !live.is_empty() {
                self.halted.borrow_mut().insert(of.clone());
            }
            stop::stop(&live.iter().collect::<Vec<_>>(), self.timeout, self.tell)?;
        }
        Ok(())
    }

    fn make(&self, name: &str, planned: &Planned, request: &Request) -> Result<Container, Error> {
        make_bound(request)?;
        let made = start::create(self.root, request, self.image(name)?, self.host)?;
        place::write(&made, &planned.written).inspect_err(|_| made.remove_with(true))?;
        Ok(made)
    }

    /// The new one is made before the old one is stopped, under a name of its own until that is gone.
    fn replace(&self, name: &str, planned: &Planned, old: &Found) -> Result<(), Error> {
        let wanted = planned.request.name.clone().unwrap_or_default();
        let mut request = Request { name: Some(format!("{}_{wanted}", old.container.short_id())), ..planned.request.clone() };
        if !self.renew {
            for mount in old.container.record.mounts.iter().filter(|m| m.anonymous) {
                let asked = |a: &&mut Asked| a.target == mount.target;
                match request.volumes.iter_mut().find(asked) {
                    Some(asked) if asked.name.is_none() => (asked.name, asked.inherited) = (mount.name.clone(), true),
                    Some(_) => {}
                    None => request.volumes.push(Asked { name: mount.name.clone(), target: mount.target.clone(), inherited: true, ..Asked::default() }),
                }
            }
            // An image's VOLUME that the file has put something else on by now.
            request.volumes.retain(|a| !a.inherited || !request.binds.iter().any(|b| b.target == a.target));
        }
        let mut made = self.make(name, planned, &request)?;
        let gone = crate::engine::life::stop(&old.container, self.timeout).and_then(|()| crate::engine::life::remove(&old.container, true, false));
        gone.inspect_err(|_| made.remove_with(false))?;
        Ok(made.rename(&wanted)?)
    }

    /// Starts all that is there and does not run. `with` are those whose output is followed: told of
    /// each container just before it starts.
    pub fn start(&self, with: &mut dyn FnMut(&Found) -> Result<(), Error>) -> Result<(), Error> {
        let meant = |name: &String| self.services.contains(name) || self.halted.borrow().contains(name);
        for name in self.project.order()?.into_iter().filter(meant) {
            let service = self.service(&name)?;
            if self.own(&name).iter().any(|f| !f.is_live()) {
                let conditions = service.depends_on.iter().filter(|(of, _)| self.services.contains(*of));
                let conditions: Vec<_> = conditions.map(|(of, d)| (of.clone(), d.condition, d.required)).collect();
                wait::for_all(self.root, &self.project.name, &conditions, None, self.tell)?;
            }
            let _turn = Turn::wait(self.root, &self.project.name)?;
            for mut found in self.own(&name) {
                with(&found)?;
                if !found.is_live() {
                    self.share(service, &mut found.container)?;
                    begin(found.container, self.host, self.tell)?;
                }
            }
        }
        Ok(())
    }

    /// The service's containers.
    fn own(&self, name: &str) -> Vec<Found> {
        containers(self.root, &self.project.name).into_iter().filter(|f| f.service == name && !f.oneoff).collect()
    }

    /// The network of another container, where the service has that.
    fn share(&self, service: &Service, container: &mut Container) -> Result<(), Error> {
        share(self.root, &self.project.name, service, container)
    }
}

/// The folders that are bound into a container: as `-v` does, what is missing is made.
pub fn make_bound(request: &Request) -> Result<(), Error> {
    for bind in request.binds.iter().filter(|b| !b.source.exists()) {
        std::fs::create_dir_all(&bind.source).or_sys_with(|| format!("make {} as a volume", bind.source.display()))?;
    }
    Ok(())
}

/// Gives a container the network of another, where its service says so.
pub fn share(root: &Path, project: &str, service: &Service, container: &mut Container) -> Result<(), Error> {
    let mode = service.network_mode.as_deref().unwrap_or_default();
    let other = match (mode.strip_prefix("service:"), mode.strip_prefix("container:")) {
        (Some(name), _) => {
            let other = containers(root, project).into_iter().find(|f| f.service == name && !f.oneoff);
            other.map(|f| f.container).ok_or_else(|| Error::NotRunning { service: name.to_owned(), index: 1 })?
        }
        (_, Some(name)) => Container::find(root, name)?,
        _ => return Ok(()),
    };
    Ok(start::share_network(container, &other)?)
}

/// Starts a container in the background.
pub fn begin(container: Container, host: &Host, to: Tell<'_>) -> Result<(), Error> {
    let name = container.name().to_owned();
    told(to, "Container", &name, ("Starting", "Started"), || match start::again(container, host) {
        Ok(Some((prepared, request))) => monitor::detached(prepared, &request),
        // It was started by somebody else, or is about to be.
        Ok(None) | Err(crate::engine::Error::Running { .. }) => Ok(()),
        Err(error) => Err(error),
    })?;
    Ok(())
}

/// Is a container another than the one that is wanted?
fn differs(old: &Found, wanted: &Request) -> bool {
    let of = |key: &str| wanted.labels.get(key).map_or("", String::as_str);
    old.container.status() == Status::Dead && !old.container.folder().join("request.json").exists() || [labels::HASH, labels::IMAGE].iter().any(|key| old.label(key) != of(key))
}

/// What has the name is of this project.
fn ours(project: &Project, kind: &'static str, name: &str, labels: &BTreeMap<String, String>) -> Result<(), Error> {
    match labels.get(labels::PROJECT) {
        Some(owner) if *owner == project.name => Ok(()),
        owner => Err(Error::Foreign { kind, name: name.to_owned(), owner: owner.cloned() }),
    }
}
