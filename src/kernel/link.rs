//! Network links: bridges and pairs of veth, made and listed (rtnetlink(7), veth(4)).
//!
//! To list them needs no privilege: one request, answered by a message a link: a `struct ifinfomsg`
//! and attributes. Of those, the name, the kind (veth, bridge, …; a physical link has none) and the
//! link that it belongs to are read. To make one needs CAP_NET_ADMIN. A veth is one end of a pair, like
//! a cable: what goes in here comes out there, and with one end the other is gone. See it live:
//! `ip -details link`.

use super::SysError;
use super::netlink::{Message, Socket, attributes, text, word};
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
    /// The index of the link that it hangs on; of a veth that is its other end, in that one's namespace.
    #[serde(default)]
    pub peer: Option<u32>,
}

// linux/rtnetlink.h, linux/if_link.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_DELLINK: u16 = 17;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// Bytes of a struct ifinfomsg.
const INFO: usize = 16;

/// A hardware address.
pub type Mac = [u8; 6];

/// All links of the calling process's network namespace.
pub fn all() -> Result<Vec<Link>, SysError> {
    list(&Socket::route()?)
}

/// All links of a socket's network namespace.
pub fn list(socket: &Socket) -> Result<Vec<Link>, SysError> {
    let mut links = Vec::new();
    let request = Message::new(RTM_GETLINK, libc::NLM_F_DUMP).body(&info(0, false));
    socket.dump(request, || "list the links".into(), |kind, body| links.extend((kind == RTM_NEWLINK).then(|| link(body)).flatten()))?;
    Ok(links)
}

/// The link of that name, asked for alone.
pub fn named(socket: &Socket, name: &str) -> Result<Option<Link>, SysError> {
    let mut found = None;
    let request = Message::new(RTM_GETLINK, libc::NLM_F_ACK).body(&info(0, false)).text(IFLA_IFNAME, name);
    let answer = socket.dump(request, || format!("look for the link {name}"), |kind, body| {
        if kind == RTM_NEWLINK {
            found = link(body);
        }
    });
    match answer {
        Err(e) if e.errno == nix::errno::Errno::ENODEV => Ok(None),
        other => other.map(|()| found),
    }
}

/// Makes a bridge with that hardware address, and sets it up. EEXIST if a link has the name.
///
/// Without an address of its own a bridge has the lowest of its links', and another one whenever that
/// link goes: who has asked for it by ARP would send into the void for half a minute.
pub fn add_bridge(socket: &Socket, name: &str, mac: Mac) -> Result<(), SysError> {
    let message = new_link().body(&info(0, true)).text(IFLA_IFNAME, name).attribute(IFLA_ADDRESS, &mac).nested(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "bridge"));
    socket.send(message, 1, || format!("make the bridge {name}"))
}

/// One end of a pair of veth.
#[derive(Debug, Clone)]
pub struct End<'a> {
    /// The link's name.
    pub name: &'a str,
    /// The network namespace that it is made in.
    pub namespace: std::os::fd::BorrowedFd<'a>,
    /// Its hardware address.
    pub mac: Mac,
}

/// Makes a pair of veth: one end here, up and plugged into the bridge with the index `master`, and one
/// in another network namespace, still down. EEXIST if either name is taken.
pub fn add_veth(socket: &Socket, here: &str, master: u32, there: &End<'_>) -> Result<(), SysError> {
    use std::os::fd::AsRawFd;
    let message = new_link().body(&info(0, true)).text(IFLA_IFNAME, here).attribute(IFLA_MASTER, &master.to_ne_bytes());
    let message = message.nested(IFLA_LINKINFO, |m| {
        m.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, |m| {
            m.nested(VETH_INFO_PEER, |m| {
                // An end cannot be up before it has a peer (ENOTCONN), and this one is made first.
                m.body(&info(0, false))
                    .text(IFLA_IFNAME, there.name)
                    .attribute(IFLA_ADDRESS, &there.mac)
                    .attribute(IFLA_NET_NS_FD, &there.namespace.as_raw_fd().to_ne_bytes())
            })
        })
    });
    socket.send(message, 1, || format!("make the pair of veth {here} and {}", there.name))
}

/// Sets a link up.
pub fn set_up(socket: &Socket, link: &Link) -> Result<(), SysError> {
    let message = Message::new(RTM_NEWLINK, libc::NLM_F_ACK).body(&info(link.index, true));
    socket.send(message, 1, || format!("set the link {} up", link.name))
}

/// Removes a link; its peer goes too, if it has one. ENODEV if there is none of that index.
pub fn remove(socket: &Socket, link: &Link) -> Result<(), SysError> {
    let message = Message::new(RTM_DELLINK, libc::NLM_F_ACK).body(&info(link.index, false));
    socket.send(message, 1, || format!("remove the link {}", link.name))
}

fn new_link() -> Message {
    Message::new(RTM_NEWLINK, libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL)
}

/// A struct ifinfomsg: family, type, index, flags, and which of the flags are meant.
fn info(index: u32, up: bool) -> [u8; INFO] {
    let mut info = [0; INFO];
    info[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        info[8..12].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
        info[12..16].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
    }
    info
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: word(body, 4)?, up: word(body, 8)? & libc::IFF_UP as u32 != 0, ..Link::default() };
    for (kind, value) in attributes(body.get(INFO..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_LINK => link.peer = word(value, 0).filter(|index| *index != 0),
            IFLA_MASTER => link.master = word(value, 0),
            IFLA_LINKINFO => link.kind = attributes(value).into_iter().find(|(kind, _)| *kind == IFLA_INFO_KIND).map(|(_, v)| text(v)),
            _ => {}
        }
    }
    Some(link)
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
            link(&bytes);
        }
    }
}
