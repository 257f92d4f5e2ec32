//! Our streams and the container's, connected until its command ends (`run` and `exec` in the foreground).

use super::error::Error;
use super::hold::Started;
use super::input::Input;
use super::log::Log;
use super::relay::{self, Signals, Stream};
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError, pidfd};
use nix::sys::stat::fstat;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Connects our streams to a process that `start` starts, until it ends: for `skiff exec`.
pub fn attached(tty: bool, interactive: bool, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    let code = connect(tty, interactive, &mut Signals::block()?, None, start)?;
    // A zombie in the container's pid namespace would keep its process 1 from ending.
    pidfd::reap_any()?;
    Ok(code)
}

/// Starts a process that nobody waits for, for `skiff exec -d`: a child of ours stays, reaps it, and
/// tells `ended` its exit code.
pub fn detached(tty: bool, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>, ended: impl FnOnce(i32)) -> Result<(), Error> {
    use std::io::Read;
    let (told, tell) = relay::pipe()?;
    if let pidfd::Fork::Parent(_) = pidfd::fork()? {
        drop(tell);
        let mut text = String::new();
        std::fs::File::from(told).read_to_string(&mut text).or_sys("hear from the process")?;
        if text.is_empty() {
            return Ok(());
        }
        let lost = |_| SysError::new("start the process", nix::errno::Errno::ECHILD);
        return Err(serde_json::from_str::<super::step::StepError>(&text).map_err(lost)?.into());
    }
    drop(told);
    let _ = nix::unistd::setsid();
    let begun = Signals::block().map_err(Error::from).and_then(|signals| {
        let null = super::monitor::leave_terminal()?;
        let copy = || null.try_clone().or_sys("keep /dev/null");
        let stdio = if tty { Vec::new() } else { vec![copy()?, copy()?, copy()?] };
        Ok((signals, start(stdio)?))
    });
    match begun {
        Ok((mut signals, started)) => {
            drop(tell);
            // Read and forgotten, or it would stand still when the terminal is full.
            let streams = started.terminal.into_iter().map(|from| Stream { from, to: Box::new(|_: &[u8]| ()), number: 1 }).collect();
            let code = relay::relay(&started.process, &mut signals, streams, None);
            ended(code.unwrap_or(255));
            pidfd::exit_now(0)
        }
        Err(error) => {
            relay::write_all(tell.as_fd(), super::monitor::failure(&error).as_bytes());
            pidfd::exit_now(125)
        }
    }
}

/// The same; what is written goes into a log too, if there is one.
pub(super) fn connect(tty: bool, interactive: bool, signals: &mut Signals, log: Option<&Rc<RefCell<Log>>>, start: impl FnOnce(Vec<OwnedFd>) -> Result<Started, Error>) -> Result<i32, Error> {
    let Ends { theirs, ours, input } = Ends::foreground(tty, interactive, log.is_some())?;
    let started = start(theirs)?;
    if let Some(master) = started.terminal {
        return Ok(terminal(&started.process, master, signals, interactive)?);
    }
    Ok(relay::relay(&started.process, signals, Ends::streams(ours, log), input)?)
}

/// The two ends of the container's standard streams.
pub(super) struct Ends {
    /// What the container gets as 0, 1 and 2; nothing where it gets a terminal.
    pub(super) theirs: Vec<OwnedFd>,
    /// What it writes, and where that goes.
    pub(super) ours: Vec<(OwnedFd, OwnedFd)>,
    /// Where our standard input goes, if it cannot have that itself.
    pub(super) input: Option<Input>,
}

impl Ends {
    /// A pipe is handed over as it is; between everything else and the container there is one.
    ///
    /// A descriptor is more than its bytes: through /proc/self/fd root inside could open a file of
    /// ours again to write it, make it set-user-ID, walk out of a directory, type into a terminal
    /// (TIOCSTI). A pipe has no name and no mode that would matter to anybody.
    ///
    /// What is `kept` passes through our hands in any case.
    pub(super) fn foreground(tty: bool, interactive: bool, kept: bool) -> Result<Self, Error> {
        let mut ends = Ends { theirs: Vec::new(), ours: Vec::new(), input: None };
        if tty {
            return Ok(ends);
        }
        let stdin = std::io::stdin();
        ends.theirs.push(if !interactive {
            // The exec step puts the container's own in its place.
            std::fs::File::open("/dev/null").or_sys("open /dev/null")?.into()
        } else if is_pipe(&stdin) {
            stdin.as_fd().try_clone_to_owned().or_sys("pass on standard input")?
        } else {
            let (theirs, ours) = relay::pipe()?;
            ends.input = Some(Input::new(ours)?);
            theirs
        });
        ends.output(std::io::stdout().as_fd(), kept)?;
        // `>file 2>&1` keeps its order only where both are one pipe.
        if is_same(std::io::stdout(), std::io::stderr()) {
            let both = ends.theirs[1].try_clone().or_sys("pass on standard error")?;
            ends.theirs.push(both);
        } else {
            ends.output(std::io::stderr().as_fd(), kept)?;
        }
        Ok(ends)
    }

    fn output(&mut self, mine: BorrowedFd<'_>, kept: bool) -> Result<(), Error> {
        let copy = mine.try_clone_to_owned().or_sys("pass on standard output")?;
        if is_pipe(mine) && !kept {
            self.theirs.push(copy);
        } else {
            let (read, write) = relay::pipe()?;
            self.ours.push((read, copy));
            self.theirs.push(write);
        }
        Ok(())
    }

    /// Our ends of what it writes, for the relay, and for the log if there is one. Where both are one
    /// pipe, the log has both as standard output: their order is worth more.
    pub(super) fn streams<'a>(ours: Vec<(OwnedFd, OwnedFd)>, log: Option<&Rc<RefCell<Log>>>) -> Vec<Stream<'a>> {
        let stream = |(number, (from, to)): (u8, (OwnedFd, OwnedFd))| match log {
            None => Stream { from, to: Box::new(move |bytes: &[u8]| relay::write_all(to.as_fd(), bytes)), number },
            Some(log) => {
                let Stream { from, to: mut keep, .. } = Log::stream(log, from, if number == 2 { "stderr" } else { "stdout" });
                let to = move |bytes: &[u8]| {
                    relay::write_all(to.as_fd(), bytes);
                    keep(bytes);
                };
                Stream { from, to: Box::new(to), number }
            }
        };
        (1..).zip(ours).map(stream).collect()
    }
}

/// True for a pipe without a name; a FIFO that lies in a folder is a file as any other (pipe(7)).
pub(super) fn is_pipe(fd: impl AsFd) -> bool {
    const PIPEFS: i64 = 0x5049_5045; // PIPEFS_MAGIC, linux/magic.h
    #[allow(clippy::unnecessary_cast)] // its width is the machine's
    nix::sys::statfs::fstatfs(fd).is_ok_and(|fs| fs.filesystem_type().0 as i64 == PIPEFS)
}

/// True where both lead to the same file.
fn is_same(one: impl AsFd, other: impl AsFd) -> bool {
    let file = |fd: BorrowedFd<'_>| fstat(fd).map(|s| (s.st_dev, s.st_ino, s.st_rdev));
    file(one.as_fd()).is_ok_and(|one| file(other.as_fd()) == Ok(one))
}

/// Relays between our terminal and the container's, in raw mode, until the command ends.
fn terminal(process: &pidfd::Pidfd, master: OwnedFd, signals: &mut Signals, interactive: bool) -> Result<i32, SysError> {
    let stdin = std::io::stdin();
    // Only a terminal has a raw mode; from a pipe the bytes come as they are.
    let raw = if interactive && stdin.is_terminal() { Some(Raw::enter(&stdin)?) } else { None };
    let input = if interactive { Some(Input::new(master.try_clone().or_sys("keep the terminal")?)?) } else { None };
    signals.follow_size(master.try_clone().or_sys("keep the terminal")?);
    let out = std::io::stdout();
    let to: Box<dyn FnMut(&[u8])> = Box::new(move |bytes| relay::write_all(out.as_fd(), bytes));
    let code = relay::relay(process, signals, vec![Stream { from: master, to, number: 1 }], input);
    drop(raw);
    code
}
