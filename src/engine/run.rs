//! `skiff run`: prepare a container, start it, wait for it, clean up.
//!
//! In the foreground this process itself waits; nothing else stays. With `-d` a child does, the
//! monitor, which also writes the log. Either way the one that waits holds the container's lock,
//! and the container's process dies with it, so that nothing is left that nobody looks after.

use super::config::{self, Names};
use super::attach;
use super::container::{Container, Record, Status};
use super::find::{check_name, fresh_id};
use super::error::Error;
use super::hold::{Started, spawn_straight};
use super::health::Check;
use super::host::Host;
use super::log::Log;
use super::names;
use super::plan::{Place, Plan};
use super::relay::Signals;
use super::network;
use super::request::{Network, Request};
use super::restart::Policy;
use super::seccomp::Filter;
use super::steps::rootfs::Source;
use super::volume;
use crate::image::Image;
use crate::kernel::{OrSys, SysError};
use oci_spec::runtime::Spec;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A container that is ready to be started.
#[derive(Debug)]
pub struct Prepared {
    /// Its folder and record.
    pub container: Container,
    /// Its OCI runtime config.
    pub spec: Spec,
    /// What will be done.
    pub plan: Plan,
    /// The sockets that keep its published ports from others.
    pub held: Vec<OwnedFd>,
    /// Who is told of what is done otherwise than asked.
    pub told: Option<fn(&str)>,
    /// It was there before: it stays if it cannot be started.
    pub keep: bool,
}

/// The plan alone, with nothing made: for `--dry-run`.
pub fn plan(store: &Path, request: &Request, image: &Image, host: &Host) -> Result<Plan, Error> {
    let id = "0".repeat(64);
    let folder = store.join("containers").join(&id);
    let mounts = volume::attach::preview(store, request, image)?;
    let spec = config::config(request, image, &Names { id: &id, folder: &folder, mounts: &mounts }, host.rootless)?;
    let (endpoints, tap) = match &request.network {
        Network::Joined(wish) => (network::join::preview(store, wish, &id)?, network::slirp::suits(wish).then(|| wish.ports.clone())),
        _ => (Vec::new(), None),
    };
    Ok(Plan::from_config(&spec, &Place { tap, ..place(store, &id, image, endpoints, super::seccomp::of(&spec, None)?)? }, host))
}

fn place(store: &Path, id: &str, image: &Image, endpoints: Vec<network::Endpoint>, filter: Option<Filter>) -> Result<Place, Error> {
    let below = |layer: &PathBuf| layer.strip_prefix(store).map_or_else(|_| layer.clone(), Path::to_path_buf);
    Ok(Place { id: id.to_owned(), root: Source::Layers(image.dirs().iter().map(below).collect()), endpoints, tap: None, filter, bundle: None, no_pivot: false })
}

/// Makes the container's folder and plan. Nothing runs yet; dropping it without
/// [`Container::remove_all`] leaves the folder for `prune`.
pub fn prepare(store: &Path, request: &Request, image: &Image, host: &Host) -> Result<Prepared, Error> {
    let record = blank(store, request, image)?;
    let (mounts, id) = (record.mounts.clone(), record.id.clone());
    furnished(store, record, request, image, host).inspect_err(|_| volume::attach::leave(store, &mounts, &id, true))
}

fn furnished(store: &Path, mut record: Record, request: &Request, image: &Image, host: &Host) -> Result<Prepared, Error> {
    let made = Made::of(store, &mut record, request, image, host)?;
    let given = record.clone();
    let leave = |_: &Error| network::join::leave(store, &given.endpoints, &given.ports, &given.id);
    let container = create(store, record, request.name.is_some()).inspect_err(leave)?;
    keep_request(&container, request).and_then(|()| write_files(&container, &made.spec, request)).inspect_err(|_| container.remove_with(true))?;
    Ok(made.of_container(container, request.told))
}

/// The record of a container that is to be, with a name, and with its volumes.
pub(super) fn blank(store: &Path, request: &Request, image: &Image) -> Result<Record, Error> {
    let id = fresh_id()?;
    let name = match &request.name {
        Some(name) => {
            check_name(name)?;
            name.clone()
        }
        None => names::for_id(&id),
    };
    let mut record = Record::creating(id, name, request, image, Vec::new());
    record.health = Check::effective(&request.health, store, image);
    record.mounts = volume::attach::attach(store, request, image, &record.id)?;
    Ok(record)
}

/// What a start needs, made anew for each: its networks, its config, its plan.
pub(super) struct Made {
    pub(super) spec: Spec,
    pub(super) plan: Plan,
    pub(super) held: Vec<OwnedFd>,
}

impl Made {
    /// Joins the networks, which the record then has, and puts the plan together. Nothing stays of
    /// what fails.
    pub(super) fn of(store: &Path, record: &mut Record, request: &Request, image: &Image, host: &Host) -> Result<Self, Error> {
        let folder = store.join("containers").join(&record.id);
        let spec = config::config(request, image, &Names { id: &record.id, folder: &folder, mounts: &record.mounts }, host.rootless)?;
        let filter = super::seccomp::of(&spec, Some(store))?;
        record.command = spec.process().as_ref().and_then(|p| p.args().clone()).unwrap_or_default();
        let mut held = Vec::new();
        if let Network::Joined(wish) = &request.network {
            let exposed = image.config.config().as_ref().and_then(|c| c.exposed_ports().clone()).unwrap_or_default();
            let joined = network::join::join(store, wish, &exposed, &record.id)?;
            (record.endpoints, record.ports, held) = (joined.endpoints, joined.ports, joined.held);
            record.tap = joined.tap;
        }
        let place = place(store, &record.id, image, record.endpoints.clone(), filter);
        let place = place.inspect_err(|_| network::join::leave(store, &record.endpoints, &record.ports, &record.id))?;
        let tap = record.tap.then(|| record.ports.clone());
        let plan = Plan::from_config(&spec, &Place { tap, ..place }, host);
        Ok(Self { spec, plan, held })
    }

    pub(super) fn of_container(self, container: Container, told: Option<fn(&str)>) -> Prepared {
        Prepared { container, spec: self.spec, plan: self.plan, held: self.held, told, keep: false }
    }
}

/// A name that we made up may be taken already; then a part of the id goes with it.
pub(super) fn create(store: &Path, mut record: Record, asked: bool) -> Result<Container, Error> {
    match Container::create(store, record.clone()) {
        Err(Error::NameTaken { .. }) if !asked => {
            record.name = format!("{}_{}", record.name, &record.id[8..12]);
            Container::create(store, record)
        }
        other => other,
    }
}

/// Keeps what was asked for, so that it can be done again.
pub(super) fn keep_request(container: &Container, request: &Request) -> Result<(), SysError> {
    let path = container.folder().join("request.json");
    let text = serde_json::to_vec(request).map_err(|_| SysError::new("write request.json", nix::errno::Errno::EINVAL))?;
    std::fs::write(&path, text).or_sys_with(|| format!("write {}", path.display()))
}

/// The container's config.json, and the three files of /etc that are the engine's to write.
pub(super) fn write_files(container: &Container, spec: &Spec, request: &Request) -> Result<(), SysError> {
    let folder = container.folder();
    let write = |name: &str, text: &[u8]| {
        let path = folder.join(name);
        // Everybody inside reads the three of /etc, whatever the caller's umask(2).
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::write(&path, text).and_then(|()| std::fs::set_permissions(&path, mode)).or_sys_with(|| format!("write {}", path.display()))
    };
    let config = serde_json::to_vec(spec).map_err(|_| SysError::new("write config.json", nix::errno::Errno::EINVAL))?;
    write("config.json", &config)?;
    let hostname = spec.hostname().clone().or_else(|| nix::unistd::gethostname().ok().map(|h| h.to_string_lossy().into_owned())).unwrap_or_default();
    write("hostname", format!("{hostname}\n").as_bytes())?;
    let record = &container.record;
    let lookup = if record.tap { record.lookup.by_tap(&hostname) } else { record.lookup.clone() };
    let (hosts, resolv) = network::etc::texts(&folder, &lookup, request.network == Network::Host, &hostname, &record.endpoints);
    write("hosts", hosts.as_bytes())?;
    write("resolv.conf", resolv.as_bytes())
}

/// True where the foreground takes more than this process: a monitor does the rest, and we attach.
///
/// A terminal can be left and come back to; a policy and health checks go on when we have gone.
pub fn wants_monitor(prepared: &Prepared, request: &Request) -> bool {
    request.tty || request.restart != Policy::No || prepared.container.record.health.is_some()
}

/// Starts the container, relays its streams, waits, cleans up. Returns its exit code.
pub fn foreground(mut prepared: Prepared, request: &Request) -> Result<i32, Error> {
    let mut signals = Signals::block()?;
    prepared.container.say("attach", []);
    let ended = start_and_wait(&mut prepared, request, &mut signals);
    let container = &mut prepared.container;
    match ended {
        Ok(code) => finish(container, code),
        Err(error) => {
            abandon(container, prepared.keep, &error);
            Err(error)
        }
    }
}

/// It could not be started: nothing of it is worth keeping, unless it was there before.
pub(super) fn abandon(container: &mut Container, keep: bool, error: &Error) {
    use crate::kernel::Explain;
    if !keep {
        return container.remove_with(true);
    }
    container.release();
    let _ = container.change(|record| {
        record.status = if record.started.is_some() { Status::Exited } else { Status::Created };
        record.exit_code = error.exit_code().into();
        record.error = error.to_string();
        record.endpoints.clear();
        record.ports.clear();
    });
}

/// Notes how it ended, frees what lies outside its processes, removes it if that was asked.
pub fn finish(container: &mut Container, code: i32) -> Result<i32, Error> {
    container.tell_code(code);
    let removed = container.record.auto_remove;
    // Where it is noted; and where it must have been a kill, for the journal alone.
    let oom = (!removed || code == 137) && super::life::oom_killed(container.id());
    container.say_ended(code, oom);
    let noted = if removed {
        container.remove_all();
        Ok(())
    } else {
        container.release();
        container.set_ended(code, oom, false)
    };
    container.let_go();
    noted?;
    Ok(code)
}

fn start_and_wait(prepared: &mut Prepared, request: &Request, signals: &mut Signals) -> Result<i32, Error> {
    // What is removed at its end and written to a pipe is handed over as it is: whoever reads there has it.
    let passed_on = prepared.container.record.auto_remove && attach::is_pipe(std::io::stdout());
    let log = (!passed_on).then(|| Log::later(&prepared.container.folder(), &request.log));
    attach::connect(false, request.interactive, signals, log.as_ref(), |stdio| start(prepared, stdio))
}

pub(super) fn start(prepared: &mut Prepared, stdio: Vec<OwnedFd>) -> Result<Started, Error> {
    let container = &mut prepared.container;
    volume::device::ready(container.store(), &container.record.mounts)?;
    let started = spawn_straight(container.id(), container.store(), &prepared.plan.steps, stdio)?;
    started.notes.iter().for_each(|note| prepared.told.iter().for_each(|told| told(note)));
    container.record.pid = started.process.pid();
    container.set_running()?;
    container.say_started();
    // Somebody removes or stops it who came before there was a process to be signalled.
    if container.is_halted() {
        started.process.signal(nix::sys::signal::Signal::SIGKILL)?;
    }
    Ok(started)
}
