//! From a service to what the engine is asked for: the same request that `skiff run` makes of its
//! options. Nothing is made here; what cannot be is said with its place in the file.

use super::error::{Error, Fault};
use super::labels;
use super::model::{Content, Grant, Mount, MountKind, Service};
use super::project::Project;
use crate::engine::Error as Engine;
use crate::engine::health::{Check, nanos};
use crate::engine::limits::{Wanted, limits};
use crate::engine::log;
use crate::engine::network::{self, Lookup, Place, Published, Wish, etc};
use crate::engine::request::{Bind, Network, Request, Tmpfs};
use crate::engine::restart::Policy;
use crate::engine::volume::Asked;
use crate::kernel::{Explain, units};
use std::path::{Path, PathBuf};

/// A service of a project, on its way to the engine.
pub struct Maker<'a> {
    /// The project.
    pub project: &'a Project,
    /// The service's name.
    pub name: &'a str,
    /// The service.
    pub service: &'a Service,
    /// No networks can be made here: it gets none.
    pub rootless: bool,
}

impl Maker<'_> {
    fn fault(&self, key: &str, what: impl std::fmt::Display) -> Fault {
        self.project.fault(&["services", self.name, key], format!("services.{}.{key}: {what}", self.name))
    }

    /// What the engine says of a value, said of its key.
    fn of_engine<E: Into<Engine>>(&self, key: &str, error: E) -> Error {
        match error.into() {
            Engine::Option { value, reason, .. } => self.fault(key, format!("invalid value {value:?}: {reason}")).into(),
            other => {
                let fault = self.fault(key, &other);
                Fault { why: other.why(), hint: other.hint(), ..fault }.into()
            }
        }
    }

    /// The name of its container with this number.
    pub fn container_name(&self, number: u32) -> String {
        self.service.container_name.clone().unwrap_or_else(|| format!("{}-{}-{number}", self.project.name, self.name))
    }

    /// The request for a container.
    pub fn request(&self, number: u32, image_id: &str) -> Result<Request, Error> {
        let service = self.service;
        if let Some(name) = service.environment.keys().find(|n| n.is_empty() || n.contains(['=', '\0'])) {
            return Err(self.fault("environment", format!("{name:?} is no variable's name")).into());
        }
        let (entrypoint, command) = self.words();
        let mut request = Request {
            image: service.image_name(&self.project.name, self.name),
            command,
            entrypoint,
            name: Some(self.container_name(number)),
            hostname: service.hostname.clone(),
            env: service.environment.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect(),
            workdir: service.working_dir.clone(),
            user: service.user.clone(),
            read_only: service.read_only,
            limits: self.limits()?,
            network: self.network()?,
            lookup: self.lookup()?,
            cap_add: service.cap_add.clone(),
            cap_drop: service.cap_drop.clone(),
            privileged: service.privileged,
            init: service.init,
            tty: service.tty,
            interactive: service.stdin_open,
            detach: true,
            labels: labels::of_container(self.project, self.name, service, number, image_id),
            restart: self.restart()?,
            health: self.health()?,
            log: self.log()?,
            stop_signal: service.stop_signal.clone(),
            stop_timeout: service.stop_grace_period.as_deref().and_then(nanos).map(|n| i64::try_from(n.div_ceil(1_000_000_000)).unwrap_or(i64::MAX)),
            ulimits: service.ulimits.iter().map(|(name, limit)| format!("{name}={}:{}", limit.soft, limit.hard)).collect(),
            program: crate::kernel::sealed::program()?,
            ..Request::default()
        };
        if let Some(signal) = &service.stop_signal {
            crate::engine::life::signal_number(signal).map_err(|e| self.of_engine("stop_signal", e))?;
        }
        service.security_opt.iter().try_for_each(|opt| request.secure(opt)).map_err(|e| self.of_engine("security_opt", e))?;
        self.share(&mut request)?;
        self.mounts(&mut request)?;
        Ok(request)
    }

    /// Entrypoint and command: what follows the entrypoint's first word stands before the command.
    fn words(&self) -> (Option<String>, Vec<String>) {
        let command = self.service.command.clone().unwrap_or_default();
        match self.service.entrypoint.as_deref() {
            None => (None, command),
            Some([]) => (Some(String::new()), command),
            Some([first, rest @ ..]) => (Some(first.clone()), rest.iter().cloned().chain(command).collect()),
        }
    }

    fn limits(&self) -> Result<crate::kernel::cgroup::Limits, Error> {
        let (service, deploy) = (self.service, &self.service.deploy.resources.limits);
        let cpus = service.cpus.or(deploy.cpus).filter(|c| *c != 0.0).map(|c| c.to_string());
        let memory = service.mem_limit.as_deref().or(deploy.memory.as_deref()).filter(|m| *m != "0");
        let wanted = Wanted { memory, memory_swap: service.memswap_limit.as_deref(), cpus: cpus.as_deref(), cpu_shares: service.cpu_shares, pids: service.pids_limit.or(deploy.pids) };
        let key = |option: &str| match option {
            "--memory" => "mem_limit",
            "--memory-swap" => "memswap_limit",
            _ => "cpus",
        };
        limits(&wanted).map_err(|e| match &e {
            Engine::Option { option, .. } => self.of_engine(key(option), e),
            _ => e.into(),
        })
    }

    fn restart(&self) -> Result<Policy, Error> {
        let deploy = &self.service.deploy.restart_policy;
        let text = match (&self.service.restart, deploy.condition.as_deref()) {
            (Some(text), _) => text.clone(),
            (None, Some("any")) => "always".into(),
            (None, Some("on-failure")) => deploy.max_attempts.map_or("on-failure".into(), |most| format!("on-failure:{most}")),
            (None, _) => "no".into(),
        };
        text.parse().map_err(|e: String| self.fault("restart", e).try_this("\"no\", always, on-failure[:MOST] or unless-stopped").into())
    }

    fn health(&self) -> Result<Check, Error> {
        let check = &self.service.healthcheck;
        let test = match check.test.as_deref() {
            _ if check.disable => vec!["NONE".to_owned()],
            None => Vec::new(),
            Some([first, ..]) if matches!(first.as_str(), "NONE" | "CMD" | "CMD-SHELL") => check.test.clone().unwrap_or_default(),
            Some(other) => {
                let fault = self.fault("healthcheck", format!("the test begins with {:?}", other.first().map_or("", String::as_str)));
                return Err(fault.try_this("test: [\"CMD\", \"curl\", \"-f\", \"http://localhost\"], or [\"CMD-SHELL\", \"a line for the shell\"]").into());
            }
        };
        let time = |text: &Option<String>| text.as_deref().and_then(nanos).unwrap_or(0);
        Ok(Check { test, interval: time(&check.interval), timeout: time(&check.timeout), start_period: time(&check.start_period), retries: check.retries.unwrap_or(0) })
    }

    fn log(&self) -> Result<log::Options, Error> {
        let driver = self.service.logging.driver.as_deref().unwrap_or("json-file");
        if !matches!(driver, "json-file" | "local" | "none") {
            return Err(self.fault("logging", format!("there is no log driver {driver:?}")).try_this("json-file, local or none").into());
        }
        let options: Vec<String> = self.service.logging.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        log::Options::read(driver, &options).map_err(|e| self.of_engine("logging", e))
    }

    /// Namespaces of the host.
    fn share(&self, request: &mut Request) -> Result<(), Error> {
        for (key, value, host) in [("pid", &self.service.pid, &mut request.host_pid), ("ipc", &self.service.ipc, &mut request.host_ipc), ("uts", &self.service.uts, &mut request.host_uts)] {
            match value.as_deref() {
                None | Some("private" | "shareable") => {}
                Some("host") => *host = true,
                Some(other) => return Err(self.fault(key, format!("{other:?} is not carried")).try_this("host, or leave it out").into()),
            }
        }
        Ok(())
    }

    fn network(&self) -> Result<Network, Error> {
        let service = self.service;
        let mut ports = Vec::new();
        for port in &service.ports {
            ports.extend(Published::parse(&port.short()).map_err(|e| self.of_engine("ports", e))?);
        }
        let nowhere = |mode: &str| match ports.first() {
            Some(port) => Err(self.fault("ports", network::Error::NowhereToPublish { port: *port }).because(format!("the service's network is {mode}")).into()),
            None => Ok(Network::None),
        };
        match service.network_mode.as_deref() {
            Some("host") => return Ok(Network::Host),
            // Whose network it has is filled in when that one runs.
            Some(mode) if mode == "none" || mode.starts_with("service:") || mode.starts_with("container:") => return nowhere(mode),
            Some("bridge") => {
                let places = vec![Place { network: network::DEFAULT.into(), ..Place::default() }];
                return Ok(Network::Joined(Wish { places, ports, ..Wish::default() }));
            }
            Some(other) => return Err(self.fault("network_mode", format!("there is no mode {other:?}")).try_this("none, host, bridge, service:NAME or container:NAME").into()),
            None => {}
        }
        if self.rootless {
            return nowhere("none, since networks need root");
        }
        let mut wanted: Vec<_> = service.networks.iter().map(|(key, place)| (key, place.clone().unwrap_or_default())).collect();
        wanted.sort_by_key(|(_, place)| -place.priority);
        let mut places = Vec::new();
        for (key, place) in wanted {
            let address = place.ipv4_address.as_deref().map(str::parse).transpose().map_err(|_| self.fault("networks", format!("{:?} is no IPv4 address", place.ipv4_address.clone().unwrap_or_default())))?;
            let mut aliases = vec![self.name.to_owned()];
            aliases.extend(place.aliases.clone());
            let network = self.project.networks.get(key).map_or(key.as_str(), |n| n.name.as_str());
            // Docker's default network knows no names.
            places.push(Place { network: network.to_owned(), address, aliases: if network == network::DEFAULT { Vec::new() } else { aliases } });
        }
        Ok(Network::Joined(Wish { places, ports, exposed: service.expose.clone(), all_exposed: false }))
    }

    fn lookup(&self) -> Result<Lookup, Error> {
        let service = self.service;
        let servers = service.dns.iter().map(|text| text.parse().map_err(|_| self.fault("dns", format!("{text:?} is no address")))).collect::<Result<_, _>>()?;
        let host = |text: &String| {
            let (name, address) = text.split_once('=').unwrap_or((text, ""));
            let address = address.trim_matches(['[', ']']);
            let fits = !name.is_empty() && (address == etc::HOST_GATEWAY || address.parse::<std::net::IpAddr>().is_ok());
            if fits { Ok((name.to_owned(), address.to_owned())) } else { Err(self.fault("extra_hosts", format!("{text:?} is not NAME=ADDRESS")).try_this("extra_hosts: [\"db=10.0.0.5\"]")) }
        };
        let hosts = service.extra_hosts.iter().map(host).collect::<Result<_, _>>()?;
        Ok(Lookup { servers, search: service.dns_search.clone(), options: service.dns_opt.clone(), hosts, like: None })
    }

    fn mounts(&self, request: &mut Request) -> Result<(), Error> {
        for text in &self.service.tmpfs {
            let (target, options) = text.split_once(':').unwrap_or((text, ""));
            let target = self.inside("tmpfs", Path::new(target))?;
            request.tmpfs.push(Tmpfs { target, options: options.split(',').filter(|o| !o.is_empty()).map(String::from).collect() });
        }
        if let Some(size) = self.service.shm_size.as_deref().and_then(|s| units::bytes(s).ok()) {
            // Over the one that every container has.
            request.tmpfs.push(Tmpfs { target: "/dev/shm".into(), options: vec![format!("size={size}"), "mode=1777".into()] });
        }
        for mount in &self.service.volumes {
            self.mount(mount, request)?;
        }
        for (kind, grants, declared, folder) in [("secrets", &self.service.secrets, &self.project.secrets, "/run/secrets"), ("configs", &self.service.configs, &self.project.configs, "/")] {
            for grant in grants {
                let Some(Content { file: Some(file), .. }) = declared.get(&grant.source) else { continue };
                if !file.exists() {
                    let fault = self.project.fault(&[kind, &grant.source, "file"], format!("{kind}.{}: there is no file {}", grant.source, file.display()));
                    return Err(fault.into());
                }
                request.binds.push(Bind { source: file.clone(), target: self.inside(kind, &target(grant, folder))?, read_only: true, propagation: None });
            }
        }
        for from in &self.service.volumes_from {
            let (name, mode) = from.strip_prefix("container:").unwrap_or(from).split_once(':').map_or((from.as_str(), ""), |(name, mode)| (name, mode));
            let of_service = !from.starts_with("container:");
            let name = name.strip_prefix("container:").unwrap_or(name);
            let other = self.project.services.get(name).filter(|_| of_service);
            let container = other.map_or(name.to_owned(), |s| Maker { project: self.project, name, service: s, rootless: self.rootless }.container_name(1));
            request.volumes_from.push(if mode == "ro" { format!("{container}:ro") } else { container });
        }
        Ok(())
    }

    fn mount(&self, mount: &Mount, request: &mut Request) -> Result<(), Error> {
        let target = self.inside("volumes", &mount.target)?;
        match mount.kind {
            MountKind::Bind => {
                let source = PathBuf::from(mount.source.clone().unwrap_or_default());
                if !source.exists() && !mount.bind.create_host_path {
                    return Err(self.fault("volumes", format!("bind source path does not exist: {}", source.display())).try_this("create_host_path: true makes it").into());
                }
                request.binds.push(Bind { source, target, read_only: mount.read_only, propagation: mount.bind.propagation.clone() });
            }
            MountKind::Volume => {
                let name = mount.source.as_ref().map(|s| self.project.volumes.get(s).map_or(s.clone(), |v| v.name.clone()));
                request.volumes.push(Asked { name, target, read_only: mount.read_only, no_copy: mount.volume.nocopy, ..Asked::default() });
            }
            MountKind::Tmpfs => {
                let size = mount.tmpfs.size.as_ref().map(|s| format!("size={s}"));
                let mode = mount.tmpfs.mode.as_ref().map(|m| format!("mode={m}"));
                let read_only = mount.read_only.then(|| "ro".to_owned());
                request.tmpfs.push(Tmpfs { target, options: size.into_iter().chain(mode).chain(read_only).collect() });
            }
        }
        Ok(())
    }

    /// A path inside: absolute, not / itself, and without `..`, which would mean something else after each link.
    fn inside(&self, key: &str, path: &Path) -> Result<PathBuf, Error> {
        let up = path.components().any(|c| c == std::path::Component::ParentDir);
        if path.is_absolute() && !up && path.components().count() > 1 {
            return Ok(path.to_owned());
        }
        Err(self.fault(key, format!("{} cannot be a path in the container", path.display())).because("it must be absolute, without `..`, and not / itself").into())
    }

    /// What is to be written into its containers: secrets and configs that are no files of the host.
    pub fn written(&self) -> Result<Vec<Written>, Error> {
        let mut all = Vec::new();
        for (kind, grants, declared, folder) in [("secrets", &self.service.secrets, &self.project.secrets, "/run/secrets"), ("configs", &self.service.configs, &self.project.configs, "/")] {
            for grant in grants {
                let fault = |what: String| self.project.fault(&[kind, &grant.source], format!("{kind}.{}: {what}", grant.source));
                let content = match declared.get(&grant.source) {
                    None | Some(Content { file: Some(_), .. }) => continue,
                    Some(Content { content: Some(text), .. }) => text.clone(),
                    Some(Content { environment: Some(name), .. }) => self.project.environment.get(name).cloned().ok_or_else(|| fault(format!("environment variable {name:?} required but not set")))?,
                    Some(Content { external: true, .. }) => return Err(fault("there is no store of secrets that an external one could come from".into()).try_this("file: PATH, environment: NAME or content: TEXT").into()),
                    Some(_) => return Err(fault("it says neither file, environment nor content".into()).into()),
                };
                let number = |text: &Option<String>, radix, usual| match text {
                    None => Ok(usual),
                    Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), radix).map_err(|_| fault(format!("{text:?} is no number"))),
                };
                let (mode, uid, gid) = (number(&grant.mode, 8, 0o444)?, number(&grant.uid, 10, 0)?, number(&grant.gid, 10, 0)?);
                all.push(Written { target: self.inside(kind, &target(grant, folder))?, content, mode, uid, gid });
            }
        }
        Ok(all)
    }
}

/// A file that is put into a container before its first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it lies inside.
    pub target: PathBuf,
    /// What is in it.
    pub content: String,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

fn target(grant: &Grant, folder: &str) -> PathBuf {
    Path::new(folder).join(grant.target.as_deref().unwrap_or(&grant.source))
}
