//! `skiff run -d` and `start`: a child of ours, the monitor, waits for the container and writes its log.
//!
//! There is no daemon: each container that runs in the background has this one small process, which is
//! its parent. It ends with the container, or starts it again where a policy says so. Who looks after
//! the monitor: see [`watch`].

mod again;
mod checks;
mod watch;

use super::error::Error;
use super::health;
use super::hold::Started;
use super::log::Log;
use super::relay::{self, Signals, Stream};
use super::request::Request;
use super::restart::Backoff;
use super::run::{self, Prepared};
use crate::kernel::{OrSys, SysError, pidfd};
use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

/// Starts the container with a monitor of its own and returns once its command runs.
pub fn detached(prepared: Prepared, request: &Request) -> Result<(), Error> {
    begin(prepared, request, None)
}

/// The same; what is written to the pipe that comes back is the command's standard input, which ends
/// when that is closed.
pub fn with_input(prepared: Prepared, request: &Request) -> Result<OwnedFd, Error> {
    let (read, write) = relay::pipe()?;
    let ours = write.try_clone().or_sys("make a pipe")?;
    begin(prepared, request, Some((read, write, ours.as_raw_fd())))?;
    Ok(ours)
}

fn begin(mut prepared: Prepared, request: &Request, input: Option<(OwnedFd, OwnedFd, RawFd)>) -> Result<(), Error> {
    let (tell, told) = {
        let (read, write) = relay::pipe()?;
        (write, read)
    };
    match pidfd::fork()? {
        pidfd::Fork::Child => {
            drop(told);
            // Its own standard error will be /dev/null; notes travel by the pipe.
            prepared.told = None;
            // The ends to be written are the other process's, or the input would never end.
            let input = input.map(|(read, write, copy)| {
                drop((write, pidfd::own(copy)));
                read
            });
            pidfd::exit_now(monitor(prepared, request, tell, input))
        }
        pidfd::Fork::Parent(_) => {
            drop(tell);
            let mut text = String::new();
            use std::io::Read;
            std::fs::File::from(told).read_to_string(&mut text).or_sys("hear from the monitor")?;
            if let Some(notes) = text.strip_prefix("started") {
                notes.lines().filter(|n| !n.is_empty()).for_each(|note| request.told.iter().for_each(|told| told(note)));
                return Ok(());
            }
            let lost = |_| SysError::new("start the monitor", nix::errno::Errno::ECHILD);
            Err(serde_json::from_str::<super::step::StepError>(&text).map_err(lost)?.into())
        }
    }
}

/// What the monitor has, from its beginning to its end.
struct Monitor<'a> {
    prepared: Prepared,
    request: &'a Request,
    signals: Signals,
    log: Rc<RefCell<Log>>,
    backoff: Backoff,
    /// Who takes over from it.
    watch: Option<watch::Watch>,
}

/// A container that runs, and its streams.
struct Running {
    started: Started,
    streams: Vec<Stream<'static>>,
    /// Its standard input, which stays open for `-i`.
    _input: Option<OwnedFd>,
    since: Instant,
}

/// The monitor: starts the container, says so, logs, waits, starts it again, cleans up.
fn monitor(mut prepared: Prepared, request: &Request, tell: OwnedFd, input: Option<OwnedFd>) -> i32 {
    let _ = nix::unistd::setsid();
    let _ = prepared.container.attend();
    let parts = Signals::block().map_err(Error::from).and_then(|signals| Ok((signals, Log::create(&prepared.container.folder(), &request.log)?, leave_terminal()?)));
    let (signals, log, _) = match parts {
        Ok(parts) => parts,
        Err(error) => return refuse(&mut prepared, &error, tell),
    };
    let mut monitor = Monitor { prepared, request, signals, log, backoff: Backoff::default(), watch: None };
    let mut running = match monitor.start(input) {
        Ok(running) => running,
        Err(error) => return refuse(&mut monitor.prepared, &error, tell),
    };
    relay::write_all(tell.as_fd(), format!("started\n{}", running.started.notes.join("\n")).as_bytes());
    drop(tell);
    loop {
        let code = monitor.attend_to(&mut running);
        running = match monitor.again(code, running.since.elapsed()) {
            Some(next) => next,
            None => return 0,
        };
    }
}

/// Says why it could not be started.
fn refuse(prepared: &mut Prepared, error: &Error, tell: OwnedFd) -> i32 {
    run::abandon(&mut prepared.container, prepared.keep, error);
    // Last: who waits for this may start it again at once.
    prepared.container.let_go();
    relay::write_all(tell.as_fd(), failure(error).as_bytes());
    125
}

impl Monitor<'_> {
    /// Starts the container's command.
    fn start(&mut self, input: Option<OwnedFd>) -> Result<Running, Error> {
        // Docker keeps standard input open for -i: what `attach` writes comes there, and it does not end.
        let open = if self.request.interactive && input.is_none() { Some(relay::pipe()?) } else { None };
        let (mut streams, theirs) = Log::streams(&self.log, self.request.tty)?;
        let (input, ours) = match (open, input) {
            (Some((read, write)), _) => (read, Some(write)),
            (None, Some(read)) => (read, None),
            (None, None) => (std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into(), None),
        };
        let stdio = if self.request.tty { Vec::new() } else { std::iter::once(input).chain(theirs).collect() };
        if self.prepared.container.record.health.is_some() {
            health::Report::default().write(&self.prepared.container)?;
        }
        let mut started = run::start(&mut self.prepared, stdio)?;
        if let Some(master) = started.terminal.take() {
            streams = vec![Log::stream(&self.log, master, "stdout")];
        }
        self.show_input(ours.as_ref());
        Ok(Running { started, streams, _input: ours, since: Instant::now() })
    }
}

impl Monitor<'_> {
    /// Leaves a link in the container's folder to the pipe that its standard input is read from, for
    /// `attach`: who may open a descriptor of this process is said by ptrace(2).
    fn show_input(&self, input: Option<&OwnedFd>) {
        let path = self.prepared.container.folder().join("stdin");
        let _ = std::fs::remove_file(&path);
        if let Some(input) = input {
            let _ = std::os::unix::fs::symlink(format!("/proc/{}/fd/{}", std::process::id(), input.as_raw_fd()), &path);
        }
    }
}

/// An error as it travels from the monitor to the one that waits for the start.
pub(super) fn failure(error: &Error) -> String {
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
