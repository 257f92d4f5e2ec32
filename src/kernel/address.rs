//! Addresses of links, and the route to everywhere else (rtnetlink(7): RTM_NEWADDR, RTM_NEWROUTE).
//!
//! See it live: `ip address`, `ip route`. IPv4 alone.

use super::SysError;
use super::netlink::{Message, Socket, attributes, word};
use std::net::Ipv4Addr;

// linux/rtnetlink.h, linux/if_addr.h
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_DST: u16 = 1;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
/// Bytes of a struct rtmsg, and of a struct ifaddrmsg.
const ROUTE: usize = 12;
const ADDRESS: usize = 8;

/// An IPv4 network, or an address with the length of its network's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Net {
    /// An address.
    pub address: Ipv4Addr,
    /// How many of its leading bits name the network: 0 to 32.
    pub length: u8,
}

impl Net {
    /// The bits that name the network.
    pub fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }

    /// The lowest address of the network.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) & self.mask())
    }

    /// The highest one: a message to it goes to all.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !self.mask())
    }

    /// Is that address in the network?
    pub fn has(self, other: Ipv4Addr) -> bool {
        u32::from(other) & self.mask() == u32::from(self.first())
    }

    /// Do the two have an address in common?
    pub fn overlaps(self, other: Self) -> bool {
        self.has(other.first()) || other.has(self.first())
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl std::str::FromStr for Net {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network such as 10.1.2.0/24");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let length = length.parse().ok().filter(|l| *l <= 32).ok_or_else(wrong)?;
        Ok(Self { address: address.parse().map_err(|_| wrong())?, length })
    }
}

impl TryFrom<String> for Net {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Net> for String {
    fn from(net: Net) -> Self {
        net.to_string()
    }
}

/// Gives a link an address. EEXIST if it has it.
pub fn add(socket: &Socket, link: u32, net: Net) -> Result<(), SysError> {
    let mut body = [0; ADDRESS];
    body[0] = libc::AF_INET as u8;
    body[1] = net.length;
    body[4..8].copy_from_slice(&link.to_ne_bytes());
    let address = net.address.octets();
    let message = Message::new(RTM_NEWADDR, libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL).body(&body);
    let message = message.attribute(IFA_LOCAL, &address).attribute(IFA_ADDRESS, &address).attribute(IFA_BROADCAST, &net.broadcast().octets());
    socket.send(message, 1, || format!("give the link {link} the address {net}"))
}

/// Sends what no other route knows to `gateway`, which a link must reach already. EEXIST if there is
/// such a route.
pub fn add_default_route(socket: &Socket, gateway: Ipv4Addr) -> Result<(), SysError> {
    let mut body = [0; ROUTE];
    body[0] = libc::AF_INET as u8;
    body[4] = RT_TABLE_MAIN;
    body[5] = RTPROT_BOOT;
    body[7] = RTN_UNICAST;
    let message = Message::new(RTM_NEWROUTE, libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL).body(&body);
    socket.send(message.attribute(RTA_GATEWAY, &gateway.octets()), 1, || format!("set the default route to {gateway}"))
}

/// The addresses of all links: a link's index, and an address with the length of its network's part.
pub fn links(socket: &Socket) -> Result<Vec<(u32, Net)>, SysError> {
    let mut found = Vec::new();
    let mut family = [0; ADDRESS];
    family[0] = libc::AF_INET as u8;
    socket.dump(Message::new(RTM_GETADDR, libc::NLM_F_DUMP).body(&family), || "list the addresses".into(), |kind, body| {
        if kind == RTM_NEWADDR {
            found.extend(word(body, 4).zip(net(body, ADDRESS, IFA_LOCAL)));
        }
    })?;
    Ok(found)
}

/// What an address or a route says: its length, and the attribute that has the address.
fn net(body: &[u8], skip: usize, wanted: u16) -> Option<Net> {
    let length = body.get(1).copied().filter(|l| (1..=32).contains(l))?;
    let (_, value) = attributes(body.get(skip..)?).into_iter().find(|(kind, _)| *kind == wanted)?;
    Some(Net { address: Ipv4Addr::from(u32::from_be(word(value, 0)?)), length })
}

/// The networks that this namespace has an address in or a route to; not the route to everywhere.
pub fn known(socket: &Socket) -> Result<Vec<Net>, SysError> {
    let mut found: Vec<Net> = links(socket)?.into_iter().map(|(_, net)| net).collect();
    let mut family = [0; ROUTE];
    family[0] = libc::AF_INET as u8;
    socket.dump(Message::new(RTM_GETROUTE, libc::NLM_F_DUMP).body(&family), || "list the routes".into(), |kind, body| {
        // The kernel's own table of local addresses has nothing that the addresses did not say.
        if kind == RTM_NEWROUTE && body.get(4) == Some(&RT_TABLE_MAIN) {
            found.extend(net(body, ROUTE, RTA_DST));
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_knows_what_is_in_it() {
        let net: Net = "10.111.16.9/20".parse().unwrap();
        assert_eq!((net.first(), net.broadcast()), (Ipv4Addr::new(10, 111, 16, 0), Ipv4Addr::new(10, 111, 31, 255)));
        assert!(net.has(Ipv4Addr::new(10, 111, 30, 1)) && !net.has(Ipv4Addr::new(10, 111, 32, 0)));
        assert!(net.overlaps("10.0.0.0/8".parse().unwrap()) && !net.overlaps("10.112.0.0/16".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Net>().unwrap().overlaps(net));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "/8"] {
            assert!(wrong.parse::<Net>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn this_machine_knows_the_network_of_its_loopback() {
        let socket = Socket::route().unwrap();
        assert!(known(&socket).unwrap().iter().any(|n| n.has(Ipv4Addr::LOCALHOST)));
    }
}
