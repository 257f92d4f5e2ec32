//! Process events: the kernel tells of every fork, exec, exit and change of id (the proc connector).
//!
//! A netlink socket of family NETLINK_CONNECTOR, group CN_IDX_PROC; each message is a netlink header,
//! a connector header and a `struct proc_event` (linux/cn_proc.h). Needs CAP_NET_ADMIN before Linux
//! 6.6, and the host's user and pid namespaces always; elsewhere the kernel refuses, or is silent, so
//! its answer is waited for. There is no man page; the source is drivers/connector/cn_proc.c.
#![allow(unsafe_code)]

use super::pidfd::own;
use super::{OrSys, SysError};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const NETLINK_CONNECTOR: i32 = 11;
const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
/// Bytes of a netlink header and a connector header.
const HEADERS: usize = 16 + 20;

/// Something that a process did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It made a child.
    Fork {
        /// Who made it.
        parent: i32,
        /// The child.
        child: i32,
    },
    /// It became another program.
    Exec {
        /// It.
        pid: i32,
    },
    /// It ended.
    Exit {
        /// It.
        pid: i32,
        /// As wait(2) gives it: the code in the high byte, the signal in the low seven bits.
        status: u32,
    },
    /// Events came faster than they were read, and some are lost.
    Lost,
}

/// The longest that the kernel's answer to the request is waited for, however many events come before it.
const PATIENCE: Duration = Duration::from_millis(300);
/// Bytes of events that may wait to be read: some ten thousand.
const ROOM: usize = 4 << 20;

/// The socket.
#[derive(Debug)]
pub struct Connector(OwnedFd);

impl Connector {
    /// Opens it and asks for events. EPERM where this process may not hear them.
    pub fn open() -> Result<Self, SysError> {
        let what = "listen to process events";
        // SAFETY: three integers in, a descriptor or an errno out.
        let raw = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, NETLINK_CONNECTOR) };
        let socket = own(Errno::result(raw).or_sys(what)?);
        // SAFETY: sockaddr_nl is plain integers; all zero is a valid value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = CN_IDX_PROC;
        // SAFETY: the address outlives the call and its true size is passed.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_nl>() as u32) };
        Errno::result(bound).or_sys(what)?;
        // Needs CAP_NET_ADMIN; with less room events are lost sooner, and that is told.
        let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &ROOM);
        nix::unistd::write(&socket, &listen_message()).or_sys(what)?;
        if answered(&socket) { Ok(Self(socket)) } else { Err(SysError::new(what, Errno::EPERM)) }
    }

    /// The next event, if one has arrived.
    pub fn next(&self) -> Option<Event> {
        let mut buffer = [0u8; 1024];
        loop {
            match nix::unistd::read(&self.0, &mut buffer) {
                Ok(n) => {
                    if let Some(event) = parse(&buffer[..n]) {
                        return Some(event);
                    }
                }
                Err(Errno::ENOBUFS) => return Some(Event::Lost),
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Reads and forgets what has arrived.
    pub fn drain(&self) {
        while self.next().is_some() {}
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// True when the kernel says that it will tell. Its answer goes to all who listen; ours carries the
/// number that we asked with, plus one. Events that come before it are of no interest yet.
fn answered(socket: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut buffer = [0u8; 1024];
    let end = Instant::now() + PATIENCE;
    let left = || PollTimeout::try_from(end.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::ZERO);
    // On a machine where something begins or ends all the time, an event is always there to be read.
    while Instant::now() < end && poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], left()).is_ok_and(|n| n > 0) {
        let Ok(n) = nix::unistd::read(socket, &mut buffer) else { continue };
        let number = |at: usize| Some(u32::from_ne_bytes(buffer[..n].get(at..at + 4)?.try_into().ok()?));
        // cn_msg's ack; then the event, PROC_EVENT_NONE, whose own field is an errno.
        if number(28) == Some(std::process::id() + 1) && number(HEADERS) == Some(0) {
            return number(HEADERS + 16) == Some(0);
        }
    }
    false
}

fn listen_message() -> Vec<u8> {
    let length = (HEADERS + 4) as u32;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type NLMSG_DONE, flags, sequence, port.
    message.extend(length.to_ne_bytes());
    message.extend((libc::NLMSG_DONE as u16).to_ne_bytes());
    message.extend(0u16.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    // struct cn_msg: idx, val, seq, ack, len, flags.
    message.extend(CN_IDX_PROC.to_ne_bytes());
    message.extend(CN_VAL_PROC.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(std::process::id().to_ne_bytes());
    message.extend(4u16.to_ne_bytes());
    message.extend(0u16.to_ne_bytes());
    message.extend(PROC_CN_MCAST_LISTEN.to_ne_bytes());
    message
}

/// struct proc_event: what, cpu, timestamp (8 bytes), then the event's own fields.
fn parse(message: &[u8]) -> Option<Event> {
    let event = message.get(HEADERS..)?;
    let number = |at: usize| Some(u32::from_ne_bytes(event.get(at..at + 4)?.try_into().ok()?));
    match number(0)? {
        // fork: parent pid, parent tgid, child pid, child tgid. A thread's pid differs from its tgid.
        0x1 if number(24)? == number(28)? => Some(Event::Fork { parent: number(20)? as i32, child: number(28)? as i32 }),
        0x2 => Some(Event::Exec { pid: number(20)? as i32 }),
        // exit: pid, tgid, code, signal, …
        0x8000_0000 if number(16)? == number(20)? => Some(Event::Exit { pid: number(20)? as i32, status: number(24)? }),
        _ => None,
    }
}
