//! `skiff run -d` and `start`: a child of ours, the monitor, waits for the container and writes its log.
//!
//! There is no daemon: each container that runs in the background has this one small process, which is
//! its parent. It ends with the container, or starts it again where a policy says so. Who looks after
//! the monitor: see [`watch`].

mod again;
mod checks;
pub(super) mod door;
mod watch;

use self::door::Door;
use super::error::Error;
use super::health;
use super::hold::Started;
use super::log::Log;
use super::relay::{self, Beside, Signals, Stream};
use super::request::Request;
use super::restart::Backoff;
use super::run::{self, Prepared};
use crate::kernel::{OrSys, SysError, pidfd};
use nix::poll::PollFd;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

/// Starts the container with a monitor of its own and returns once its command runs.
pub fn detached(prepared: Prepared, request: &Request) -> Result<(), Error> {
    begin(prepared, request, None)
}

/// The same, with somebody attached from the beginning, by the socket that comes back (see [`door`]).
/// With `input` its standard input is that one's, and ends with it.
pub fn attached(prepared: Prepared, request: &Request, input: bool) -> Result<OwnedFd, Error> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).or_sys("make a pair of sockets")?;
    prepared.container.say("attach", []);
    begin(prepared, request, Some((theirs, ours.as_raw_fd(), input)))?;
    Ok(ours)
}

fn begin(mut prepared: Prepared, request: &Request, guest: Option<(OwnedFd, RawFd, bool)>) -> Result<(), Error> {
    let (tell, told) = {
        let (read, write) = relay::pipe()?;
        (write, read)
    };
    match pidfd::fork()? {
        pidfd::Fork::Child => {
            drop(told);
            // Its own standard error will be /dev/null; notes travel by the pipe.
            prepared.told = None;
            // The other end is the other process's, or nobody would see it leave.
            let guest = guest.map(|(theirs, ours, input)| {
                drop(pidfd::own(ours));
                (theirs, input)
            });
            pidfd::exit_now(monitor(prepared, request, tell, guest))
        }
        pidfd::Fork::Parent(_) => {
            drop((tell, guest));
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
    around: Around,
}

/// What the monitor looks after beside the container's streams.
#[derive(Default)]
struct Around {
    /// Who takes over from it.
    watch: Option<watch::Watch>,
    /// Where `attach` knocks.
    door: Option<Door>,
}

impl Beside for Around {
    fn fds(&self) -> Vec<PollFd<'_>> {
        self.watch.iter().map(watch::Watch::fd).chain(self.door.iter().flat_map(Beside::fds)).collect()
    }
    /// The relay ends when the second process does.
    fn act(&mut self, ready: &[bool]) -> bool {
        let (watch, door) = ready.split_at(usize::from(self.watch.is_some()));
        if let Some(open) = &mut self.door {
            open.act(door);
        }
        !watch.contains(&true)
    }
    fn heard(&mut self, stream: u8, bytes: &[u8]) {
        self.door.iter_mut().for_each(|door| door.heard(stream, bytes));
    }
}

/// A container that runs, and its streams.
struct Running {
    started: Started,
    streams: Vec<Stream<'static>>,
    /// Its standard input, which stays open for `-d -i`.
    _input: Option<OwnedFd>,
    since: Instant,
}

/// The monitor: starts the container, says so, logs, waits, starts it again, cleans up.
fn monitor(mut prepared: Prepared, request: &Request, tell: OwnedFd, guest: Option<(OwnedFd, bool)>) -> i32 {
    let _ = nix::unistd::setsid();
    let takes_input = guest.as_ref().is_some_and(|(_, input)| *input);
    let _ = prepared.container.attend();
    let parts = Signals::block().map_err(Error::from).and_then(|signals| Ok((signals, Log::create(&prepared.container.folder(), &request.log)?, leave_terminal()?, Door::of(&prepared.container, request.tty, guest.map(|(guest, _)| guest))?)));
    let (signals, log, _, door) = match parts {
        Ok(parts) => parts,
        Err(error) => return refuse(&mut prepared, &error, tell),
    };
    let mut monitor = Monitor { prepared, request, signals, log, backoff: Backoff::default(), around: Around { watch: None, door } };
    let mut running = match monitor.start(takes_input) {
        Ok(running) => running,
        Err(error) => return refuse(&mut monitor.prepared, &error, tell),
    };
    relay::write_all(tell.as_fd(), format!("started\n{}", running.started.notes.join("\n")).as_bytes());
    drop(tell);
    loop {
        let code = monitor.attend_to(&mut running);
        monitor.around.door.iter_mut().for_each(|door| door.say_ended(code));
        // Before it is started again, or its ports would not be free.
        running.started.helper = None;
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
    ///
    /// Docker keeps standard input open for -d -i: what `attach` writes comes there, and it does not end.
    /// Where somebody came with it and `takes_input`, it is that one's, and ends with it.
    fn start(&mut self, takes_input: bool) -> Result<Running, Error> {
        let (tty, interactive) = (self.request.tty, self.request.interactive);
        let (mut streams, theirs) = Log::streams(&self.log, tty)?;
        let (input, mut ours) = if interactive && !tty {
            let (read, write) = relay::pipe()?;
            (read, Some(write))
        } else {
            (std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into(), None)
        };
        let stdio = if tty { Vec::new() } else { std::iter::once(input).chain(theirs).collect() };
        if self.prepared.container.record.health.is_some() {
            health::Report::default().write(&self.prepared.container)?;
        }
        let mut started = run::start(&mut self.prepared, stdio)?;
        let mut given = None;
        if let Some(master) = started.terminal.take() {
            given = Some((if interactive { door::INPUT } else { door::SIZE }, master.try_clone().or_sys("keep the terminal")?));
            streams = vec![Log::stream(&self.log, master, "stdout")];
        } else if takes_input {
            given = ours.take().map(|input| (door::INPUT, input));
        }
        self.around.door.iter_mut().for_each(|door| door.welcome(given.take(), tty));
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
