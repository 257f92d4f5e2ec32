//! Names of the world: handed on to the resolvers that the host itself asks (resolv.conf(5)), or to
//! those that a container was given with `--dns`.
//!
//! Each question goes out from a socket of its own, under an id of its own: whoever wants to slip in a
//! false answer must guess port and id (RFC 5452). Who does not answer in time is followed by the next.

use super::message::{self, Code, Query};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long one resolver may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// A packet that says by how much it may be larger than 512 bytes is seldom larger than this (RFC 6891).
const LARGE: usize = 4096;

/// The resolvers that the host asks.
pub fn of_host() -> Vec<IpAddr> {
    servers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

/// The `nameserver` lines of a resolv.conf.
pub fn servers(text: &str) -> Vec<IpAddr> {
    let value = |line: &str| line.split_whitespace().nth(1)?.split('%').next()?.parse().ok();
    text.lines().filter(|l| l.split_whitespace().next() == Some("nameserver")).filter_map(value).collect()
}

/// A question that was handed on.
#[derive(Debug)]
pub struct Pending {
    /// Answers come here.
    pub socket: UdpSocket,
    /// After it, the next resolver is asked.
    pub deadline: Instant,
    asker: SocketAddr,
    query: Vec<u8>,
    id: u16,
    rest: Vec<IpAddr>,
}

/// What became of it.
#[derive(Debug)]
pub enum News {
    /// Nothing yet.
    None,
    /// Nobody is there.
    Failed,
    /// This goes to who asked.
    Answer(SocketAddr, Vec<u8>),
}

impl Pending {
    /// Asks the first of the resolvers that can be reached.
    pub fn ask(asker: SocketAddr, query: &Query<'_>, servers: &[IpAddr]) -> Option<Self> {
        ask(asker, query.bytes(), servers.to_vec())
    }

    /// Reads what came.
    pub fn hear(&self) -> News {
        let mut bytes = [0; LARGE];
        let answer = match self.socket.recv(&mut bytes) {
            Ok(length) => &bytes[..length],
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return News::None,
            Err(_) => return News::Failed,
        };
        match message::read(&self.query) {
            Ok(query) if query.is_answered_by(answer, self.id) => News::Answer(self.asker, message::under(message::id(&self.query), answer)),
            _ => News::None,
        }
    }

    /// Its time is up: the next resolver, or the answer that there is none.
    pub fn late(self) -> Result<Self, (SocketAddr, Vec<u8>)> {
        let (asker, failed) = (self.asker, message::read(&self.query).map(|q| q.empty(Code::Failed)).unwrap_or_default());
        ask(asker, &self.query, self.rest).ok_or((asker, failed))
    }
}

fn ask(asker: SocketAddr, query: &[u8], mut servers: Vec<IpAddr>) -> Option<Pending> {
    while !servers.is_empty() {
        let server = servers.remove(0);
        let id = random()?;
        if let Ok(socket) = send(server, &message::under(id, query)) {
            return Some(Pending { socket, deadline: Instant::now() + PATIENCE, asker, query: query.to_vec(), id, rest: servers });
        }
    }
    None
}

fn send(server: IpAddr, query: &[u8]) -> std::io::Result<UdpSocket> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect((server, 53))?;
    socket.send(query)?;
    Ok(socket)
}

/// The same by TCP, waiting for the answer.
pub fn ask_by_tcp(query: &[u8], servers: &[IpAddr]) -> Option<Vec<u8>> {
    servers.iter().find_map(|server| {
        let mut stream = TcpStream::connect_timeout(&(*server, 53).into(), PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write(&mut stream, query)?;
        read(&mut stream).filter(|answer| message::read(query).is_ok_and(|q| q.is_answered_by(answer, message::id(query))))
    })
}

/// A packet on a stream has its length before it (RFC 1035, 4.2.2).
pub fn read(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Writes one so.
pub fn write(stream: &mut impl Write, bytes: &[u8]) -> Option<()> {
    let length = u16::try_from(bytes.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length, bytes].concat()).ok()
}

fn random() -> Option<u16> {
    let mut bits = [0; 2];
    crate::kernel::random::fill(&mut bits).ok()?;
    Some(u16::from_be_bytes(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_a_resolv_conf_are_found() {
        let text = "# nameserver 1.1.1.1\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0\nnameservers 9.9.9.9\nnameserver x\nsearch a\n";
        assert_eq!(servers(text), ["10.0.0.1".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
    }
}
