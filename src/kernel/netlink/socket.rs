//! A netlink socket: requests, and the kernel's answers.

use super::{HEADER, Message, half, word};
use crate::kernel::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::os::fd::OwnedFd;

/// The kernel answers a dump in parts of at most 32 KiB.
const PART: usize = 1 << 16;

/// A socket of the network namespace in which it was made.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// To links, addresses and routes (rtnetlink(7)).
    pub fn route() -> Result<Self, SysError> {
        Self::open(SockProtocol::NetlinkRoute, "open a socket to the kernel's network")
    }

    /// To the packet filter.
    pub fn filter() -> Result<Self, SysError> {
        Self::open(SockProtocol::NetlinkNetFilter, "open a socket to the kernel's packet filter")
    }

    fn open(protocol: SockProtocol, what: &str) -> Result<Self, SysError> {
        Ok(Self(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).or_sys(what)?))
    }

    /// Sends a message that asks for an acknowledgement, and waits for it. `expected` is how many
    /// messages of a batch ask for one. The first errno is the answer.
    pub fn send(&self, message: Message, expected: usize, what: impl Fn() -> String) -> Result<(), SysError> {
        self.write(message, &what)?;
        let mut left = expected;
        let mut part = vec![0; PART];
        while left > 0 {
            let n = self.read(&mut part, &what)?;
            for (kind, body) in messages(&part[..n]) {
                if i32::from(kind) == libc::NLMSG_ERROR {
                    match -(word(body, 0).unwrap_or(0) as i32) {
                        0 => left = left.saturating_sub(1),
                        errno => return Err(SysError::new(what(), Errno::from_raw(errno))),
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a request for a list (NLM_F_DUMP), and gives each message of the answer to `each`:
    /// its type, and what follows the header.
    pub fn dump(&self, message: Message, what: impl Fn() -> String, mut each: impl FnMut(u16, &[u8])) -> Result<(), SysError> {
        self.write(message, &what)?;
        let mut part = vec![0; PART];
        loop {
            let n = self.read(&mut part, &what)?;
            for (kind, body) in messages(&part[..n]) {
                match i32::from(kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => {
                        let errno = -(word(body, 0).unwrap_or(0) as i32);
                        return if errno == 0 { Ok(()) } else { Err(SysError::new(what(), Errno::from_raw(errno))) };
                    }
                    _ => each(kind, body),
                }
            }
        }
    }

    fn write(&self, message: Message, what: &impl Fn() -> String) -> Result<(), SysError> {
        nix::unistd::write(&self.0, &message.finish()).map(drop).or_sys_with(what)
    }

    fn read(&self, part: &mut [u8], what: &impl Fn() -> String) -> Result<usize, SysError> {
        loop {
            match nix::unistd::read(&self.0, part) {
                Err(Errno::EINTR) => {}
                Ok(0) => return Err(SysError::new(what(), Errno::EPIPE)),
                other => return other.or_sys_with(what),
            }
        }
    }
}

/// Type and content of each message in a part of an answer; what is cut short ends the list.
fn messages(part: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    let mut rest = part;
    while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
        let length = length as usize;
        let Some(body) = rest.get(HEADER..length) else { break };
        found.push((kind, body));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            messages(&bytes);
        }
    }
}
