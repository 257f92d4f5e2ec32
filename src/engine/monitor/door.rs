//! The door of a container: a socket in its folder at which `attach` knocks (unix(7)).
//!
//! Whoever comes gets the end that the container's input is written to, or its terminal's master side
//! (SCM_RIGHTS), and writes there himself: keys and window sizes take no way through the monitor. What
//! the container writes is sent to all who are there, in frames: the stream's number (1, 2), four bytes
//! of length, the bytes; and at the end the number 0 with the exit code. A guest who reads too slowly
//! holds up nobody: [`MOST`] bytes wait for him, and of what he misses then he is told how much it was.
//!
//! Containers with a terminal have a door, and those that were started with somebody attached; whoever
//! attaches to another reads its log. Docker's daemon does the same with HTTP's connections.

use crate::engine::container::Container;
use crate::engine::relay::Beside;
use crate::kernel::{OrSys, SysError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, Backlog, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// So much waits for a guest.
const MOST: usize = 4 << 20;
/// So long the end waits for guests to read on.
const PATIENCE: Duration = Duration::from_secs(2);

/// What comes with the first byte that a guest is sent.
pub(in crate::engine) const INPUT: u8 = b'i';
/// A terminal whose size alone is the guest's.
pub(in crate::engine) const SIZE: u8 = b's';
/// Nothing comes with it.
pub(in crate::engine) const NOTHING: u8 = b'n';

/// The listening socket, and who has come.
#[derive(Debug)]
pub(super) struct Door {
    listener: OwnedFd,
    guests: Vec<Guest>,
    /// What the next guests are given while the container runs, and as what.
    given: Option<(u8, OwnedFd)>,
}

#[derive(Debug)]
struct Guest {
    socket: OwnedFd,
    waiting: Vec<u8>,
    /// Bytes that he was not sent.
    missed: usize,
}

/// The short name of the socket, by way of the open folder: a path in an address has 108 bytes at most.
pub(in crate::engine) fn address(folder: &File) -> Result<UnixAddr, SysError> {
    UnixAddr::new(format!("/proc/self/fd/{}/attach.sock", folder.as_raw_fd()).as_str()).or_sys("name the container's socket")
}

impl Door {
    /// The door of a container that has one.
    pub(super) fn of(container: &Container, tty: bool, first: Option<OwnedFd>) -> Result<Option<Self>, SysError> {
        if tty || first.is_some() { Self::open(container, first).map(Some) } else { Ok(None) }
    }

    /// Opens it; `first` is somebody who is there from the beginning.
    fn open(container: &Container, first: Option<OwnedFd>) -> Result<Self, SysError> {
        let what = || format!("listen for who attaches to {}", container.name());
        let _ = std::fs::remove_file(container.folder().join("attach.sock"));
        let folder = File::open(container.folder()).or_sys_with(what)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).or_sys_with(what)?;
        socket::bind(listener.as_raw_fd(), &address(&folder)?).or_sys_with(what)?;
        socket::listen(&listener, Backlog::new(16).or_sys_with(what)?).or_sys_with(what)?;
        let guests = first.into_iter().map(Guest::new).collect();
        Ok(Self { listener, guests, given: None })
    }

    /// The container runs: `given` goes to those who wait, and if it is `kept` to all who come.
    pub(super) fn welcome(&mut self, given: Option<(u8, OwnedFd)>, kept: bool) {
        self.guests.retain(|guest| guest.greet(given.as_ref()));
        self.given = given.filter(|_| kept);
    }

    /// The command has ended: everybody is told, and shown out.
    pub(super) fn say_ended(&mut self, code: i32) {
        self.given = None;
        let end = Instant::now() + PATIENCE;
        for mut guest in self.guests.drain(..) {
            guest.own_up();
            guest.add(0, &code.to_le_bytes());
            while guest.flush() && !guest.waiting.is_empty() {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                let _ = poll(&mut [PollFd::new(guest.socket.as_fd(), PollFlags::POLLOUT)], timeout);
            }
            guest.show_out();
        }
    }

    fn come_in(&mut self) {
        let Ok(raw) = socket::accept4(self.listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) else { return };
        let guest = Guest::new(crate::kernel::pidfd::own(raw));
        if guest.greet(self.given.as_ref()) {
            self.guests.push(guest);
        }
    }
}

impl Beside for Door {
    fn fds(&self) -> Vec<PollFd<'_>> {
        let interest = |guest: &Guest| if guest.waiting.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT };
        let listener = PollFd::new(self.listener.as_fd(), PollFlags::POLLIN);
        std::iter::once(listener).chain(self.guests.iter().map(|g| PollFd::new(g.socket.as_fd(), interest(g)))).collect()
    }

    fn act(&mut self, ready: &[bool]) -> bool {
        let mut nth = 0;
        self.guests.retain_mut(|guest| {
            nth += 1;
            !ready.get(nth).copied().unwrap_or(false) || (guest.flush() && !guest.has_left())
        });
        if ready.first() == Some(&true) {
            self.come_in();
        }
        true
    }

    fn heard(&mut self, stream: u8, bytes: &[u8]) {
        self.guests.retain_mut(|guest| {
            if guest.waiting.len() > MOST {
                guest.missed += bytes.len();
            } else {
                guest.own_up();
                guest.add(stream, bytes);
            }
            guest.flush()
        });
    }
}

impl Guest {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: Vec::new(), missed: 0 }
    }

    /// Says how much is missing at this place.
    fn own_up(&mut self) {
        if self.missed > 0 {
            let note = format!("\r\n({} bytes are not shown here: they came faster than they were read; skiff logs has them)\r\n", self.missed);
            self.missed = 0;
            self.add(2, note.as_bytes());
        }
    }

    fn greet(&self, given: Option<&(u8, OwnedFd)>) -> bool {
        let (kind, fds) = given.map_or((NOTHING, Vec::new()), |(kind, fd)| (*kind, vec![fd.as_raw_fd()]));
        let rights = [ControlMessage::ScmRights(&fds)];
        let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
        socket::sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(&[kind])], control, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT, None).is_ok()
    }

    fn add(&mut self, stream: u8, bytes: &[u8]) {
        self.waiting.push(stream);
        self.waiting.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        self.waiting.extend_from_slice(bytes);
    }

    /// Sends what can be sent; false if nobody is there any more.
    fn flush(&mut self) -> bool {
        while !self.waiting.is_empty() {
            match socket::send(self.socket.as_raw_fd(), &self.waiting, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        // What one long burst took is given back.
        self.waiting.shrink_to(1 << 16);
        true
    }

    /// A guest says nothing; what can be read is that he has gone.
    fn has_left(&self) -> bool {
        match socket::recv(self.socket.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
            Ok(n) => n == 0,
            Err(errno) => !matches!(errno, nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR),
        }
    }

    /// Ends the connection, though the process that takes over has the socket too.
    fn show_out(&self) {
        let _ = socket::shutdown(self.socket.as_raw_fd(), Shutdown::Both);
    }
}
