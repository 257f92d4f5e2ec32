//! Pipes and terminals that a server waits for beside its sockets (epoll(7)).
//!
//! Contract: within a tokio runtime.
#![allow(unsafe_code)]

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// A descriptor that is asked whether it can be read or written, and never waited in. From now on it
/// does not block, for whoever has the same open file too.
pub fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    // SAFETY: an OwnedFd is the same open descriptor for as long as it lives, and the registration has it.
    Ok(unsafe { AsyncFd::register(fd) }?)
}
