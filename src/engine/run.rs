//! `skiff run`: prepare a container, start it, wait for it, clean up.
//!
//! In the foreground this process itself waits; nothing else stays. With `-d` a child does, the
//! monitor, which also writes the log. Either way the one that waits holds the container's lock,
//! and the container's process dies with it, so that nothing is left that nobody looks after.

use super::config::{self, Names};
use super::container::{Container, Record, check_name, fresh_id};
use super::error::Error;
use super::hold::{Held, Started, spawn_held, spawn_straight};
use super::host::Host;
use super::log::Log;
use super::names;
use super::plan::{Place, Plan};
use super::relay::{self, Signals, Stream};
use super::request::Request;
use super::seccomp::Filter;
use super::step::Step;
use super::steps::rootfs::Source;
use crate::image::Image;
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError, pidfd};
use oci_spec::runtime::Spec;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
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
}

/// The plan alone, with nothing made: for `--dry-run`.
pub fn plan(store: &Path, request: &Request, image: &Image, host: &Host) -> Result<Plan, Error> {
    let id = "0".repeat(64);
    let folder = store.join("containers").join(&id);
    let spec = config::config(request, image, &Names { id: &id, folder: &folder }, host.rootless)?;
    Ok(Plan::from_config(&spec, &place(store, &id, image, super::seccomp::of(&spec, None)?)?, host))
}

fn place(store: &Path, id: &str, image: &Image, filter: Option<Filter>) -> Result<Place, Error> {
    let below = |layer: &PathBuf| layer.strip_prefix(store).map_or_else(|_| layer.clone(), Path::to_path_buf);
    Ok(Place { id: id.to_owned(), root: Source::Layers(image.layer_dirs()?.iter().map(below).collect()), filter })
}

/// Makes the container's folder and plan. Nothing runs yet; dropping it without
/// [`Container::remove_all`] leaves the folder for `prune`.
pub fn prepare(store: &Path, request: &Request, image: &Image, host: &Host) -> Result<Prepared, Error> {
    let id = fresh_id()?;
    let name = match &request.name {
        Some(name) => {
            check_name(name)?;
            name.clone()
        }
        None => names::for_id(&id),
    };
    let folder = store.join("containers").join(&id);
    let spec = config::config(request, image, &Names { id: &id, folder: &folder }, host.rootless)?;
    let plan = Plan::from_config(&spec, &place(store, &id, image, super::seccomp::of(&spec, Some(store))?)?, host);
    let command = spec.process().as_ref().and_then(|p| p.args().clone()).unwrap_or_default();
    let record = Record::creating(id, name, request, image, command);
    let container = create(store, record, request.name.is_some())?;
    let written = write_files(&container, &spec, request);
    if let Err(error) = written {
        container.remove_all();
        return Err(error.into());
    }
    Ok(Prepared { container, spec, plan })
}

/// A name that we made up may be taken already; then a part of the id goes with it.
fn create(store: &Path, mut record: Record, asked: bool) -> Result<Container, Error> {
    match Container::create(store, record.clone()) {
        Err(Error::NameTaken { .. }) if !asked => {
            record.name = format!("{}_{}", record.name, &record.id[8..12]);
            Container::create(store, record)
        }
        other => other,
    }
}

/// The container's config.json, and the three files of /etc that are the engine's to write.
pub(super) fn write_files(container: &Container, spec: &Spec, request: &Request) -> Result<(), SysError> {
    let folder = container.folder();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text).or_sys_with(|| format!("write {}/{name}", folder.display()));
    let config = serde_json::to_vec(spec).map_err(|_| SysError::new("write config.json", nix::errno::Errno::EINVAL))?;
    write("config.json", &config)?;
    let hostname = spec.hostname().clone().or_else(|| nix::unistd::gethostname().ok().map(|h| h.to_string_lossy().into_owned())).unwrap_or_default();
    write("hostname", format!("{hostname}\n").as_bytes())?;
    let mut hosts = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if request.network == super::request::Network::Host {
        hosts = std::fs::read_to_string("/etc/hosts").unwrap_or(hosts);
    }
    write("hosts", hosts.as_bytes())?;
    let resolv = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    write("resolv.conf", &resolv)
}

/// Starts the container, relays its streams, waits, cleans up. Returns its exit code.
pub fn foreground(mut prepared: Prepared, request: &Request) -> Result<i32, Error> {
    let mut signals = Signals::block()?;
    let ended = start_and_wait(&mut prepared, request, &mut signals);
    let container = &mut prepared.container;
    match ended {
        Ok(code) => finish(container, code),
        Err(error) => {
            // It never ran: nothing of it is worth keeping.
            container.remove_all();
            Err(error)
        }
    }
}

/// Notes how it ended, frees what lies outside its processes, removes it if that was asked.
pub fn finish(container: &mut Container, code: i32) -> Result<i32, Error> {
    if container.record.auto_remove {
        container.remove_all();
        return Ok(code);
    }
    let oom = super::life::oom_killed(container.id());
    container.release();
    container.set_exited(code, oom)?;
    Ok(code)
}

fn start_and_wait(prepared: &mut Prepared, request: &Request, signals: &mut Signals) -> Result<i32, Error> {
    connect(request.tty, request.interactive, signals, |stdio| start(prepared, stdio))
}

/// Connects our streams to a process that `start` starts, until it ends: for `skiff exec`.
pub fn attached(tty: bool, interactive: bool, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    connect(tty, interactive, &mut Signals::block()?, start)
}

fn connect(tty: bool, interactive: bool, signals: &mut Signals, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    let Ends { theirs, ours, input } = Ends::foreground(tty, interactive)?;
    let started = start(theirs)?;
    if let Some(master) = started.terminal {
        return Ok(terminal(&started.process, master, signals, interactive)?);
    }
    let streams = ours.into_iter().map(|(from, to)| Stream { from, to: Box::new(move |bytes: &[u8]| relay::write_all(to.as_fd(), bytes)) });
    Ok(relay::relay(&started.process, signals, streams.collect(), input)?)
}

/// A run that stops before each step: this process holds the one that becomes the container.
#[derive(Debug)]
pub struct Stepwise {
    prepared: Prepared,
    held: Held,
    tty: bool,
    interactive: bool,
}

impl Stepwise {
    /// Starts the process; it has carried out nothing yet.
    pub fn start(mut prepared: Prepared, request: &Request) -> Result<Self, Error> {
        let container = &mut prepared.container;
        let held = spawn_held(container.id(), container.store()).inspect_err(|_| container.remove_all())?;
        container.set_pid(held.process.pid())?;
        Ok(Self { prepared, held, tty: request.tty, interactive: request.interactive })
    }

    /// The plan's steps.
    pub fn steps(&self) -> &[Step] {
        &self.prepared.plan.steps
    }

    /// The process that is held now.
    pub fn pid(&self) -> i32 {
        self.held.process.pid()
    }

    /// Carries out one step. When it is refused, nothing of the container stays.
    pub fn carry(&mut self, index: usize) -> Result<(), Error> {
        let done = self.held.carry(&self.prepared.plan.steps[index], &[]).map_err(Error::from);
        let noted = done.and_then(|()| Ok(self.prepared.container.set_pid(self.held.process.pid())?));
        noted.inspect_err(|_| self.end())
    }

    /// Ends the held process and removes the container.
    pub fn give_up(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.held.process.signal(nix::sys::signal::Signal::SIGKILL);
        let _ = self.held.process.wait();
        self.prepared.container.remove_all();
    }

    /// The last step: the process becomes the command. Relays, waits, cleans up.
    pub fn exec(self) -> Result<i32, Error> {
        let Self { mut prepared, mut held, tty, interactive } = self;
        let mut signals = Signals::block()?;
        let last = prepared.plan.steps.last().cloned();
        let ended = connect(tty, interactive, &mut signals, |stdio| {
            if let Some(step) = &last {
                held.carry(step, &stdio)?;
            }
            prepared.container.set_running()?;
            Ok(Started { process: held.process, terminal: held.terminal })
        });
        match ended {
            Ok(code) => finish(&mut prepared.container, code),
            Err(error) => {
                prepared.container.remove_all();
                Err(error)
            }
        }
    }
}

fn start(prepared: &mut Prepared, stdio: Vec<OwnedFd>) -> Result<Started, Error> {
    let container = &mut prepared.container;
    let started = spawn_straight(container.id(), container.store(), &prepared.plan.steps, stdio)?;
    container.record.pid = started.process.pid();
    container.set_running()?;
    Ok(started)
}

/// The two ends of the container's standard streams.
struct Ends {
    theirs: Vec<OwnedFd>,
    ours: Vec<(OwnedFd, OwnedFd)>,
    input: Option<OwnedFd>,
}

impl Ends {
    /// Files and pipes are handed over as they are. A terminal of ours is not: the container could
    /// type into it (TIOCSTI), so a pipe goes in between.
    fn foreground(tty: bool, interactive: bool) -> Result<Self, Error> {
        let mut ends = Ends { theirs: Vec::new(), ours: Vec::new(), input: None };
        if tty {
            return Ok(ends);
        }
        let stdin = std::io::stdin();
        ends.theirs.push(if !interactive {
            std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into()
        } else if stdin.is_terminal() {
            let (theirs, ours) = relay::pipe()?;
            ends.input = Some(ours);
            theirs
        } else {
            stdin.as_fd().try_clone_to_owned().or_sys("pass on standard input")?
        });
        ends.output(std::io::stdout().as_fd(), std::io::stdout().is_terminal())?;
        ends.output(std::io::stderr().as_fd(), std::io::stderr().is_terminal())?;
        Ok(ends)
    }

    fn output(&mut self, mine: std::os::fd::BorrowedFd<'_>, is_terminal: bool) -> Result<(), Error> {
        let mine = mine.try_clone_to_owned().or_sys("pass on standard output")?;
        if is_terminal {
            let (read, write) = relay::pipe()?;
            self.ours.push((read, mine));
            self.theirs.push(write);
        } else {
            self.theirs.push(mine);
        }
        Ok(())
    }
}

/// Relays between our terminal and the container's, in raw mode, until the command ends.
pub fn terminal(process: &pidfd::Pidfd, master: OwnedFd, signals: &mut Signals, interactive: bool) -> Result<i32, SysError> {
    let stdin = std::io::stdin();
    // Only a terminal has a raw mode; from a pipe the bytes come as they are.
    let raw = if interactive && stdin.is_terminal() { Some(Raw::enter(&stdin)?) } else { None };
    let input = if interactive { Some(master.try_clone().or_sys("keep the terminal")?) } else { None };
    signals.follow_size(master.try_clone().or_sys("keep the terminal")?);
    let out = std::io::stdout();
    let to: Box<dyn FnMut(&[u8])> = Box::new(move |bytes| relay::write_all(out.as_fd(), bytes));
    let code = relay::relay(process, signals, vec![Stream { from: master, to }], input);
    drop(raw);
    code
}

/// Starts the container with a monitor of its own and returns once its command runs.
pub fn detached(mut prepared: Prepared, request: &Request) -> Result<(), Error> {
    let (tell, told) = {
        let (read, write) = relay::pipe()?;
        (write, read)
    };
    match pidfd::fork()? {
        pidfd::Fork::Child => {
            drop(told);
            pidfd::exit_now(monitor(&mut prepared, request, tell))
        }
        pidfd::Fork::Parent(_) => {
            drop(tell);
            let mut text = String::new();
            use std::io::Read;
            std::fs::File::from(told).read_to_string(&mut text).or_sys("hear from the monitor")?;
            match text.as_str() {
                "started" => Ok(()),
                other => Err(serde_json::from_str::<super::step::StepError>(other)
                    .map_err(|_| SysError::new("start the monitor", nix::errno::Errno::ECHILD))?
                    .into()),
            }
        }
    }
}

/// The monitor: starts the container, says so, logs, waits, cleans up.
fn monitor(prepared: &mut Prepared, request: &Request, tell: OwnedFd) -> i32 {
    let _ = nix::unistd::setsid();
    let started = Signals::block().map_err(Error::from).and_then(|signals| {
        let log = Log::create(&prepared.container.folder())?;
        let (streams, theirs) = Log::streams(&log, request.tty)?;
        let stdio = leave_terminal().map(|null| if request.tty { Vec::new() } else { std::iter::once(null).chain(theirs).collect() })?;
        Ok((signals, log, streams, start(prepared, stdio)?))
    });
    let (mut signals, log, mut streams, started) = match started {
        Ok(parts) => parts,
        Err(error) => {
            relay::write_all(tell.as_fd(), failure(&error).as_bytes());
            prepared.container.remove_all();
            return 125;
        }
    };
    relay::write_all(tell.as_fd(), b"started");
    drop(tell);
    if let Some(master) = started.terminal {
        streams = vec![Log::stream(&log, master, "stdout")];
    }
    let code = relay::relay(&started.process, &mut signals, streams, None).unwrap_or(255);
    finish(&mut prepared.container, code).map_or(255, |_| 0)
}

/// An error as it travels from the monitor to the one that waits for the start.
fn failure(error: &Error) -> String {
    use crate::kernel::Explain;
    let step = match error {
        Error::Step(step) => step.clone(),
        Error::System(system) => system.clone().into(),
        other => super::step::StepError { what: other.to_string(), errno: 0, why: other.why(), hint: other.hint() },
    };
    serde_json::to_string(&step).unwrap_or_default()
}

/// Lets go of the terminal that the monitor was started from. Returns a descriptor of /dev/null.
pub(super) fn leave_terminal() -> Result<OwnedFd, SysError> {
    let null: OwnedFd = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").or_sys("open /dev/null")?.into();
    nix::unistd::dup2_stdin(&null).or_sys("let go of standard input")?;
    nix::unistd::dup2_stdout(&null).or_sys("let go of standard output")?;
    nix::unistd::dup2_stderr(&null).or_sys("let go of standard error")?;
    Ok(null)
}
