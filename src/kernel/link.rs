//! Network links of the calling process's network namespace (rtnetlink(7), RTM_GETLINK).
//!
//! One request, answered by a message a link: a netlink header, a `struct ifinfomsg`, attributes. Of
//! those, the name, the kind (veth, bridge, …; a physical link has none) and the link that it belongs
//! to are read. Needs no privilege. See it live: `ip -details link`.

use super::{OrSys, SysError};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use serde::{Deserialize, Serialize};

/// One link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number in this namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// veth, bridge, dummy, …; none for lo and for hardware.
    pub kind: Option<String>,
    /// The index of the bridge or bond that it belongs to.
    pub master: Option<u32>,
    /// Set up by somebody (IFF_UP).
    pub up: bool,
}

// linux/rtnetlink.h, linux/if_link.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
/// Bytes of a netlink header, and of a struct ifinfomsg.
const HEADER: usize = 16;
const INFO: usize = 16;

/// All links.
pub fn all() -> Result<Vec<Link>, SysError> {
    let what = "list the links";
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).or_sys(what)?;
    let mut request = Vec::new();
    request.extend(((HEADER + INFO) as u32).to_ne_bytes());
    request.extend(RTM_GETLINK.to_ne_bytes());
    request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
    request.extend([0; 8 + INFO]);
    nix::unistd::write(&netlink, &request).or_sys(what)?;
    let mut links = Vec::new();
    // A dump comes in parts of at most 32 KiB.
    let mut part = vec![0; 1 << 16];
    loop {
        let n = match nix::unistd::read(&netlink, &mut part) {
            Err(Errno::EINTR) => continue,
            other => other.or_sys(what)?,
        };
        if !collect(&part[..n], &mut links).map_err(|errno| SysError::new(what, errno))? {
            return Ok(links);
        }
    }
}

/// Takes the links out of one part of the answer; false when it was the last.
fn collect(part: &[u8], links: &mut Vec<Link>) -> Result<bool, Errno> {
    let mut rest = part;
    while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
        let length = length as usize;
        let Some(body) = rest.get(HEADER..length) else { return Err(Errno::EBADMSG) };
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(false),
            libc::NLMSG_ERROR => return Err(Errno::from_raw(-(word(body, 0).unwrap_or(0) as i32))),
            _ if kind == RTM_NEWLINK => links.extend(link(body)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: word(body, 4)?, up: word(body, 8)? & libc::IFF_UP as u32 != 0, ..Link::default() };
    for (kind, value) in attributes(body.get(INFO..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MASTER => link.master = word(value, 0),
            IFLA_LINKINFO => link.kind = attributes(value).into_iter().find(|(kind, _)| *kind == IFLA_INFO_KIND).map(|(_, v)| text(v)),
            _ => {}
        }
    }
    Some(link)
}

/// Type and value of each; the two topmost bits of a type are flags.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (half(bytes, 0), half(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(4..length) else { break };
        found.push((kind & 0x3fff, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_network_namespace_has_a_loopback_link() {
        assert!(all().unwrap().iter().any(|l| l.name == "lo" && l.kind.is_none() && l.master.is_none()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = collect(&bytes, &mut Vec::new());
            link(&bytes);
        }
    }
}
