//! What is typed or piped to us, on its way into a container.

use super::keys::Keys;
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, OwnedFd};

/// Our standard input on its way into the container.
///
/// Never waited for: while the container does not read, we must still carry what it writes, or
/// both would wait for each other for ever.
#[derive(Debug)]
pub struct Input {
    to: OwnedFd,
    waiting: Vec<u8>,
    ended: bool,
    keys: Option<Keys>,
    left: bool,
}

impl Input {
    /// What is typed or piped to us goes `to` there, a pipe's write side or a terminal's master.
    pub fn new(to: OwnedFd) -> Result<Self, SysError> {
        Self::watched(to, None)
    }

    /// The same, until these keys are typed.
    pub fn watched(to: OwnedFd, keys: Option<Keys>) -> Result<Self, SysError> {
        let flags = OFlag::from_bits_retain(fcntl(&to, FcntlArg::F_GETFL).or_sys("look at the container's input")?);
        fcntl(&to, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).or_sys("write to the container's input without waiting")?;
        Ok(Self { to, waiting: Vec::new(), ended: false, keys, left: false })
    }

    /// What to wait for: more input, or room for what there is.
    pub(super) fn interest<'a>(&'a self, stdin: &'a std::io::Stdin) -> PollFd<'a> {
        if self.waiting.is_empty() { PollFd::new(stdin.as_fd(), PollFlags::POLLIN) } else { PollFd::new(self.to.as_fd(), PollFlags::POLLOUT) }
    }

    /// Moves what can be moved; false when all of it was, or nobody reads it any more.
    pub(super) fn feed(&mut self, buffer: &mut [u8]) -> bool {
        if self.waiting.is_empty() {
            match nix::unistd::read(std::io::stdin(), buffer) {
                Ok(n) if n > 0 => self.typed(&buffer[..n]),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                _ => self.ended = true,
            }
        }
        while !self.waiting.is_empty() {
            match nix::unistd::write(&self.to, &self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        !self.ended
    }

    fn typed(&mut self, bytes: &[u8]) {
        match &mut self.keys {
            None => self.waiting.extend_from_slice(bytes),
            Some(keys) => {
                let (on, left) = keys.take(bytes);
                self.waiting.extend(on);
                (self.left, self.ended) = (left, left);
            }
        }
    }

    /// The keys were typed.
    pub(super) fn has_left(&self) -> bool {
        self.left
    }
}
