//! Listening sockets of a network namespace: /proc/PID/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5)).
//!
//! A line a socket: number, local address and port, remote ones, state, …, the inode tenth. Addresses
//! are hexadecimal words in the machine's byte order, ports in the usual one.
//! See it live: `cat /proc/net/tcp`; `ss -ltn` says the same in words.

use super::SysError;
use super::proc::Process;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        assert_eq!(ip("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9A-F: \n]{0,200}", any in ".{0,80}") {
            parse(&text, "tcp");
            parse(&any, "udp");
            ip(&any);
        }
    }
}
