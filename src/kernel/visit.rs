//! Looking at what has no file in /proc: from inside another process's namespaces (setns(2)).
//!
//! A child of ours enters the namespaces, looks, writes what it saw into a pipe, and ends. Entering
//! needs CAP_SYS_ADMIN in the user namespace that owns them, so a rootless container's user
//! namespace is entered first, which its owner may.
#![allow(unsafe_code)]

use super::address::{self, Net};
use super::link::{self, Link};
use super::netlink::Socket;
use super::ns::{self, Ns};
use super::pidfd::{self, Fork, Pidfd};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::io::Read;
use std::os::fd::AsRawFd;

/// Runs `look` in a namespace of process `pid`; `None` where it may not be entered.
/// At most one pipe's worth of text (64 KiB) comes back.
pub fn visit(pid: i32, kind: Ns, look: impl FnOnce() -> Option<String>) -> Option<String> {
    let own = std::process::id() as i32;
    let (theirs, ours) = (kind.inode(pid).ok()?, kind.inode(own).ok()?);
    if theirs == ours {
        return look();
    }
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).ok()?;
    match pidfd::fork().ok()? {
        Fork::Child => {
            drop(read);
            let entered = Pidfd::open(pid).and_then(|target| {
                if Ns::User.inode(pid)? != Ns::User.inode(own)? {
                    ns::join(&target, Ns::User)?;
                }
                ns::join(&target, kind)
            });
            if entered.is_ok()
                && let Some(seen) = look()
            {
                let _ = nix::unistd::write(&write, seen.as_bytes());
            }
            pidfd::exit_now(0)
        }
        Fork::Parent(child) => {
            drop(write);
            let mut seen = String::new();
            let read = std::fs::File::from(read).read_to_string(&mut seen);
            let _ = Pidfd::open(child).and_then(|c| c.wait());
            (read.is_ok() && !seen.is_empty()).then_some(seen)
        }
    }
}

/// The hostname that process `pid` sees.
pub fn hostname(pid: i32) -> Option<String> {
    visit(pid, Ns::Uts, || nix::unistd::gethostname().ok().map(|n| n.to_string_lossy().into_owned()))
}

/// The links of the network namespace of process `pid` that are up, out of `names`.
pub fn links_up(pid: i32, names: &[String]) -> Option<Vec<String>> {
    let seen = visit(pid, Ns::Net, || {
        let up: Vec<&str> = names.iter().filter(|n| is_up(n)).map(String::as_str).collect();
        // Never empty, or it could not be told from a visit that failed.
        Some(format!("up {}", up.join(" ")))
    })?;
    Some(seen.strip_prefix("up ")?.split_whitespace().map(String::from).collect())
}

/// All links of the network namespace of process `pid`; `None` where it may not be entered.
pub fn links(pid: i32) -> Option<Vec<Link>> {
    // Never empty: each network namespace has its lo, so an empty answer is a visit that failed.
    let seen = visit(pid, Ns::Net, || serde_json::to_string(&link::all().ok()?).ok())?;
    serde_json::from_str(&seen).ok()
}

/// All IPv4 addresses of the network namespace of process `pid`, each with its link's name; `None`
/// where it may not be entered.
pub fn addresses(pid: i32) -> Option<Vec<(String, Net)>> {
    let seen = visit(pid, Ns::Net, || {
        let socket = Socket::route().ok()?;
        let links = link::list(&socket).ok()?;
        let named = |index: u32| links.iter().find(|l| l.index == index).map(|l| l.name.clone()).unwrap_or_default();
        let all: Vec<(String, Net)> = address::links(&socket).ok()?.into_iter().map(|(index, net)| (named(index), net)).collect();
        serde_json::to_string(&all).ok()
    })?;
    serde_json::from_str(&seen).ok()
}

fn is_up(name: &str) -> bool {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let Ok(any) = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None) else { return false };
    // SAFETY: ifreq is plain old data; all zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    // SAFETY: SIOCGIFFLAGS reads and writes one ifreq, which outlives the call.
    let answer = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    if Errno::result(answer).is_err() {
        return false;
    }
    // SAFETY: SIOCGIFFLAGS has just filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    i32::from(flags) & libc::IFF_UP != 0
}
