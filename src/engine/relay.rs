//! Carries bytes between a container and whoever waits for it, and passes signals on.
//!
//! One poll(2) loop, no threads: the container's pipes (or its terminal), our standard input,
//! signals by signalfd(2), and the pidfd that tells the end. What the container wrote before it
//! ended is read to the last byte, but a grandchild that keeps the pipe open is not waited for.

use super::input::Input;
use crate::kernel::pidfd::{self, Pidfd};
use crate::kernel::pty;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Signals that are passed on to the container (Docker: `--sig-proxy`).
const PASSED: [Signal; 6] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals held back from their default action, to be read one by one.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    urgent: u32,
    terminal: Option<OwnedFd>,
}

impl Signals {
    /// Blocks the signals that are passed on; done before the fork, so that none is lost.
    pub fn block() -> Result<Self, SysError> {
        let set: SigSet = PASSED.into_iter().chain([Signal::SIGWINCH]).collect();
        set.thread_block().or_sys("block signals")?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).or_sys("open a signalfd")?;
        Ok(Self { fd, urgent: 0, terminal: None })
    }

    /// From now on this terminal has the size of ours.
    pub fn follow_size(&mut self, terminal: OwnedFd) {
        self.terminal = Some(terminal);
        self.resize();
    }

    /// Passes signals on for as long as the process runs.
    pub fn pass_all_on(mut self, to: &Pidfd) {
        loop {
            let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN), PollFd::new(to.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::NONE).is_err_and(|e| e != Errno::EINTR) || fds[1].any().unwrap_or(false) {
                return;
            }
            self.pass_on(to, false);
        }
    }

    fn resize(&self) {
        if let (Some(terminal), Ok(size)) = (&self.terminal, pty::size(std::io::stdin())) {
            let _ = pty::set_size(terminal, size);
        }
    }

    /// Passes on what has arrived. Process 1 of a pid namespace ignores what it has no handler for
    /// (pid_namespaces(7)), so the third Ctrl-C is a SIGKILL, which it cannot ignore. True if our
    /// terminal was closed, which does not come back; a container that has it ends then, if it is to.
    pub(super) fn pass_on(&mut self, to: &Pidfd, ends_with_us: bool) -> bool {
        let mut closed = false;
        while let Ok(Some(info)) = self.fd.read_signal() {
            let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else { continue };
            if signal == Signal::SIGWINCH {
                self.resize();
                continue;
            }
            if matches!(signal, Signal::SIGINT | Signal::SIGTERM) {
                self.urgent += 1;
            }
            if signal == Signal::SIGHUP && self.terminal.is_some() {
                closed = true;
                if !ends_with_us {
                    continue;
                }
            }
            let _ = to.signal(if self.urgent >= 3 || closed { Signal::SIGKILL } else { signal });
        }
        closed
    }

    /// To be waited for.
    pub(super) fn interest(&self) -> PollFd<'_> {
        PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)
    }
}

/// Where the bytes of one of the container's streams go.
pub struct Stream<'a> {
    /// Read side: the container writes the other end.
    pub from: OwnedFd,
    /// What to do with the bytes.
    pub to: Box<dyn FnMut(&[u8]) + 'a>,
    /// 1 or 2, as the container has it.
    pub number: u8,
}

/// Makes a pipe: (ours to read, the container's to write).
pub fn pipe() -> Result<(OwnedFd, OwnedFd), SysError> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).or_sys("make a pipe")
}

/// Writes everything, to a descriptor that may be a slow terminal or a closed pipe.
pub fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match nix::unistd::write(to, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(to, PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(_) => return,
        }
    }
}

/// Relays until the command has ended and what it wrote has been read. Returns its exit code;
/// the process is left for its parent to reap.
pub fn relay(process: &Pidfd, signals: &mut Signals, streams: Vec<Stream<'_>>, input: Option<Input>) -> Result<i32, SysError> {
    until_end(process, signals, streams, input)?;
    // Not reaped: until the container's lock is free, its pid must be nobody else's.
    Ok(pidfd::exit_code(process.ended()?))
}

/// What else the loop looks after, beside the container's streams.
pub trait Beside {
    /// What to wait for.
    fn fds(&self) -> Vec<PollFd<'_>>;
    /// Something of that has come, in the same order; false ends the relay.
    fn act(&mut self, ready: &[bool]) -> bool;
    /// The container wrote this to its stream of that number.
    fn heard(&mut self, _stream: u8, _bytes: &[u8]) {}
}

/// Nothing else.
impl Beside for () {
    fn fds(&self) -> Vec<PollFd<'_>> {
        Vec::new()
    }
    fn act(&mut self, _: &[bool]) -> bool {
        true
    }
}

/// Relays until the process has ended; it is left for its parent to reap.
pub fn until_end(process: &Pidfd, signals: &mut Signals, mut streams: Vec<Stream<'_>>, mut input: Option<Input>) -> Result<(), SysError> {
    until(process, signals, &mut streams, &mut input, &mut ()).map(drop)
}

/// The same, and looks after what is `beside`. False if it was that which ended it.
pub fn until(process: &Pidfd, signals: &mut Signals, streams: &mut Vec<Stream<'_>>, input: &mut Option<Input>, beside: &mut dyn Beside) -> Result<bool, SysError> {
    let mut buffer = vec![0u8; if streams.is_empty() && input.is_none() { 0 } else { 64 * 1024 }];
    loop {
        let stdin = std::io::stdin();
        let mut fds = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN), PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
        fds.extend(streams.iter().map(|s| PollFd::new(s.from.as_fd(), PollFlags::POLLIN)));
        fds.extend(input.iter().map(|input| input.interest(&stdin)));
        let others = fds.len();
        fds.extend(beside.fds());
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other.or_sys("wait for the container")?,
        };
        let ready: Vec<bool> = fds.iter().map(|f| f.any().unwrap_or(false)).collect();
        drop(fds);
        if ready[1] {
            // Nobody else could reach a terminal of ours that was closed.
            signals.pass_on(process, true);
        }
        let mut index = 2;
        streams.retain_mut(|stream| {
            let is_ready = ready[index];
            index += 1;
            !is_ready || pump(stream, &mut buffer, beside)
        });
        if index < others && ready[index] {
            input.take_if(|input| !input.feed(&mut buffer));
        }
        if ready[0] {
            drain(streams, &mut buffer, beside);
            return Ok(true);
        }
        if ready[others..].contains(&true) && !beside.act(&ready[others..]) {
            return Ok(false);
        }
    }
}

/// Moves one buffer full; false at the end of the stream.
fn pump(stream: &mut Stream<'_>, buffer: &mut [u8], beside: &mut dyn Beside) -> bool {
    match nix::unistd::read(&stream.from, buffer) {
        Ok(0) => false,
        Ok(n) => {
            (stream.to)(&buffer[..n]);
            beside.heard(stream.number, &buffer[..n]);
            true
        }
        Err(Errno::EINTR | Errno::EAGAIN) => true,
        // EIO is how a terminal says that its last user has gone (pty(7)).
        Err(_) => false,
    }
}

/// Reads what is still in the pipes, without waiting for more.
pub(super) fn drain(streams: &mut [Stream<'_>], buffer: &mut [u8], beside: &mut dyn Beside) {
    for stream in streams {
        loop {
            let mut fds = [PollFd::new(stream.from.as_fd(), PollFlags::POLLIN)];
            let waiting = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0);
            if !waiting || !pump(stream, buffer, beside) {
                break;
            }
        }
    }
}
