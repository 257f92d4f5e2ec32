//! The other side of a container's door (see `monitor/door.rs`): its streams here, what is typed here there.
//!
//! `run -it` and `start -a` come with the connection from the beginning, so that they miss nothing;
//! `attach` knocks later. Leaving, by the detach keys or by force, leaves the container as it is.

use super::container::Container;
use super::error::Error;
use super::keys::Keys;
use super::monitor::door::{self, INPUT, NOTHING};
use super::input::Input;
use super::relay::{Signals, write_all};
use crate::kernel::pidfd::{Pidfd, own};
use crate::kernel::pty::Raw;
use crate::kernel::{OrSys, SysError};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType};
use std::fs::File;
use std::io::{IoSliceMut, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// What the visitor wants.
#[derive(Debug)]
pub struct Wish {
    /// What is typed here goes there.
    pub input: bool,
    /// The keys that leave.
    pub keys: Keys,
    /// A terminal that is closed here ends the container: with `--rm` nobody would be left to miss it.
    pub ends_with_us: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The command has ended with this code.
    Ended(i32),
    /// By the keys, or because our own terminal is gone.
    Detached,
    /// Whoever looks after the container is gone.
    Lost,
}

/// Knocks at a container's door; `None` if it has none.
pub fn knock(container: &Container) -> Result<Option<OwnedFd>, SysError> {
    let what = || format!("attach to {}", container.name());
    let folder = File::open(container.folder()).or_sys_with(what)?;
    let client = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).or_sys_with(what)?;
    match socket::connect(client.as_raw_fd(), &door::address(&folder)?) {
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(None),
        other => other.map(|()| Some(client)).or_sys_with(what),
    }
}

/// A visit that goes on.
struct Visit {
    socket: OwnedFd,
    /// What has come and is no whole frame yet.
    begun: Vec<u8>,
    input: Option<Input>,
}

/// Stays until the command ends, or somebody leaves. `process` gets the signals that we get.
pub fn stay(socket: OwnedFd, tty: bool, wish: Wish, signals: &mut Option<Signals>, process: Option<&Pidfd>) -> Result<Left, Error> {
    let Some((kind, given)) = greeting(&socket)? else { return Ok(Left::Lost) };
    let mut raw = None;
    let mut visit = Visit { socket, begun: Vec::new(), input: None };
    if let Some(given) = given {
        if tty {
            if let Some(signals) = signals.as_mut() {
                signals.follow_size(given.try_clone().or_sys("keep the terminal")?);
            }
            if wish.input && kind == INPUT && std::io::stdin().is_terminal() {
                raw = Some(Raw::enter(std::io::stdin())?);
            }
        }
        if wish.input && kind == INPUT {
            // As Docker has it, the keys are looked for at a terminal alone: a pipe's bytes are nobody's keys.
            let keys = std::io::stdin().is_terminal().then_some(wish.keys);
            visit.input = Some(Input::watched(given, keys)?);
        }
    }
    let left = visit.go_on(signals, process, tty && wish.ends_with_us);
    drop(raw);
    Ok(left?)
}

impl Visit {
    fn go_on(&mut self, signals: &mut Option<Signals>, process: Option<&Pidfd>, ends_with_us: bool) -> Result<Left, SysError> {
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let stdin = std::io::stdin();
            let mut fds = vec![PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            let signalled = signals.as_ref().map(|s| { fds.push(s.interest()); fds.len() - 1 });
            let typed = self.input.as_ref().map(|i| { fds.push(i.interest(&stdin)); fds.len() - 1 });
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.or_sys("wait for the container")?,
            };
            let ready: Vec<bool> = fds.iter().map(|f| f.any().unwrap_or(false)).collect();
            drop(fds);
            if signalled.is_some_and(|nth| ready[nth])
                && let (Some(signals), Some(process)) = (signals.as_mut(), process)
                && signals.pass_on(process, ends_with_us)
            {
                return Ok(Left::Detached);
            }
            if typed.is_some_and(|nth| ready[nth])
                && let Some(input) = &mut self.input
                && !input.feed(&mut buffer)
            {
                if input.has_left() {
                    return Ok(Left::Detached);
                }
                self.input = None;
            }
            if ready[0] {
                let n = match nix::unistd::read(&self.socket, &mut buffer) {
                    Err(Errno::EINTR | Errno::EAGAIN) => continue,
                    Err(_) | Ok(0) => return Ok(Left::Lost),
                    Ok(n) => n,
                };
                self.begun.extend_from_slice(&buffer[..n]);
                if let Some(code) = self.show() {
                    return Ok(Left::Ended(code));
                }
            }
        }
    }

    /// Writes out the frames that are whole; the exit code if it was among them.
    fn show(&mut self) -> Option<i32> {
        let mut at = 0;
        let mut ended = None;
        while let Some(head) = self.begun.get(at..at + 5) {
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let Some(bytes) = self.begun.get(at + 5..at + 5 + length) else { break };
            match head[0] {
                0 => ended = Some(bytes.try_into().map_or(255, i32::from_le_bytes)),
                2 => write_all(std::io::stderr().as_fd(), bytes),
                _ => write_all(std::io::stdout().as_fd(), bytes),
            }
            at += 5 + length;
        }
        self.begun.drain(..at);
        ended
    }
}

/// The first byte, and what comes with it: the end of its input, or its terminal. `None` if nobody is there.
///
/// # Errors
/// What recvmsg(2) says.
pub fn greeting(socket: &OwnedFd) -> Result<Option<(u8, Option<OwnedFd>)>, SysError> {
    let what = "hear from the container's monitor";
    let mut control = cmsg_space!([RawFd; 1]);
    let mut byte = [NOTHING];
    loop {
        let mut slices = [IoSliceMut::new(&mut byte)];
        let message = match socket::recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => continue,
            Err(Errno::ECONNRESET) => return Ok(None),
            other => other.or_sys(what)?,
        };
        if message.bytes == 0 {
            return Ok(None);
        }
        let mut given = None;
        for part in message.cmsgs().or_sys(what)? {
            if let ControlMessageOwned::ScmRights(fds) = part {
                given = fds.into_iter().map(own).next();
            }
        }
        return Ok(Some((byte[0], given)));
    }
}
