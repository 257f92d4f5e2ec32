//! Listening and connected sockets of a network namespace, and its way out: /proc/PID/net/{tcp,tcp6,
//! udp,udp6,route} (proc_pid_net(5)).
//!
//! A line a socket: number, local address and port, remote ones, state, …, the inode tenth. Addresses
//! are hexadecimal words in the machine's byte order, ports in the usual one.
//! See it live: `cat /proc/net/tcp`; `ss -ltn` says the same in words.

use super::SysError;
use super::proc::Process;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket that waits for whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Where it listens; 0.0.0.0 and :: are every address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// What `socket:[…]` in /proc/PID/fd shows.
    pub inode: u64,
}

/// A TCP connection, seen from one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// This end.
    pub here: SocketAddr,
    /// The other.
    pub there: SocketAddr,
    /// What `socket:[…]` in /proc/PID/fd shows.
    pub inode: u64,
}

/// TCP_ESTABLISHED, TCP_FIN_WAIT2, TCP_CLOSE_WAIT (net/tcp_states.h): both ends have agreed; in the
/// last two, one of them has said all it had to say.
const STANDING: [&str; 3] = ["01", "05", "08"];

/// The TCP connections of the process's network namespace. ESRCH when the process has ended.
pub fn connected(process: &Process) -> Result<Vec<Connection>, SysError> {
    let mut all = Vec::new();
    for file in ["net/tcp", "net/tcp6"] {
        match process.text(file) {
            Ok(text) => all.extend(text.lines().skip(1).filter_map(connection)),
            Err(e) if e.errno == Errno::ENOENT => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

fn connection(line: &str) -> Option<Connection> {
    let words: Vec<&str> = line.split_whitespace().collect();
    STANDING.contains(words.get(3)?).then_some(())?;
    Some(Connection { here: end(words.get(1)?)?, there: end(words.get(2)?)?, inode: words.get(9)?.parse().ok()? })
}

/// `0100007F:1F90`; an IPv4 address in IPv6's clothes (::ffff:127.0.0.1) is given without them.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    Some(SocketAddr::new(ip(address)?.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

/// The gateways of the routes to everywhere, out of the text of net/route: a line a route, the second
/// word its network, the third the gateway, the eighth the mask.
pub fn default_gateways(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (*words.get(1)? == "00000000" && *words.get(7)? == "00000000").then_some(())?;
        ip(words.get(2)?).filter(|a| !a.is_unspecified())
    };
    text.lines().skip(1).filter_map(gateway).collect()
}

/// Those of the process's network namespace, of IPv4 and IPv6; `protocol` is tcp or udp.
/// A kernel without one of the families has no file for it. ESRCH when the process has ended.
pub fn listening(process: &Process, protocol: &str) -> Result<Vec<Bound>, SysError> {
    let mut all = Vec::new();
    for file in [format!("net/{protocol}"), format!("net/{protocol}6")] {
        match process.text(&file) {
            Ok(text) => all.extend(parse(&text, protocol)),
            Err(e) if e.errno == Errno::ENOENT => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

fn parse(text: &str, protocol: &str) -> Vec<Bound> {
    // TCP_LISTEN; a UDP socket without a peer is TCP_CLOSE (net/tcp_states.h).
    let state = if protocol == "tcp" { "0A" } else { "07" };
    text.lines().skip(1).filter_map(|line| bound(line, state)).collect()
}

fn bound(line: &str, state: &str) -> Option<Bound> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if *words.get(3)? != state {
        return None;
    }
    let (address, port) = words.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|port| *port != 0)?;
    Some(Bound { address: ip(address)?, port, inode: words.get(9)?.parse().ok()? })
}

fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn who_listens_is_read_and_who_is_connected_is_not() {
        let text = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
                    1: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        let expected = Bound { address: Ipv4Addr::LOCALHOST.into(), port: 8080, inode: 4711 };
        assert_eq!(parse(text, "tcp"), [expected]);
        let there = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 22);
        let standing = Connection { here: SocketAddr::new(there.ip(), 8081), there, inode: 4712 };
        assert_eq!(text.lines().filter_map(connection).collect::<Vec<_>>(), [standing]);
        assert_eq!(end("0000000000000000FFFF00000100007F:0016"), Some(there));
        let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask\neth0\t00000000\t0102030A\t0003\t0\t0\t0\t00000000\neth0\t0002030A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        assert_eq!(default_gateways(routes), [IpAddr::from([10, 3, 2, 1])]);
        assert_eq!(ip("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9A-F: \n]{0,200}", any in ".{0,80}") {
            parse(&text, "tcp");
            parse(&any, "udp");
            ip(&any);
            connection(&any);
            default_gateways(&text);
        }
    }
}
