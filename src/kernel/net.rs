//! The loopback link of the calling process's network namespace (netdevice(7)).
//!
//! A new network namespace has one link, `lo`, and it is down: even 127.0.0.1 cannot be reached.
//! See it live: `unshare --net ip link`. Bigger runtimes speak netlink here; one ioctl is enough.
#![allow(unsafe_code)]

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::os::fd::AsRawFd;

/// Sets the link `lo` up. EPERM without CAP_NET_ADMIN in the user namespace that owns the
/// network namespace.
pub fn loopback_up() -> Result<(), SysError> {
    let what = || "set the link lo up".to_owned();
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).or_sys_with(what)?;
    // SAFETY: ifreq is plain old data; all zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let answer = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(answer).map(drop).or_sys_with(what)
}
