//! A DNS packet, as far as a resolver that knows a few names must read and write one (RFC 1035, 4.1).
//!
//! A header of 12 bytes (id, flags, four counts), then the question: a name as labels with a length
//! before each, a type, a class. A query is read up to its question and no further; an answer repeats
//! the question and points back to its name (4.1.4). See it live: `dig @GATEWAY NAME +qr`.

use std::net::Ipv4Addr;

const HEADER: usize = 12;
/// RFC 1035, 3.2.2.
const A: u16 = 1;
const PTR: u16 = 12;
const INTERNET: u16 = 1;
/// Seconds that an answer may be kept: a container may be gone, and its address another's, the next moment.
const KEPT: u32 = 5;
/// What every reader of UDP takes without having said more (RFC 1035, 4.2.1).
pub const SMALL: usize = 512;

/// How a query was answered (RFC 1035, 4.1.1, RCODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// With what there is, maybe nothing of this type.
    Fine = 0,
    /// The query could not be read.
    Malformed = 1,
    /// Nobody could be asked.
    Failed = 2,
    /// Not a kind of query that is answered here.
    Unknown = 4,
    /// Not for who asks.
    Refused = 5,
}

/// What a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The addresses of a name.
    Addresses,
    /// The name of an address.
    Name(Ipv4Addr),
    /// Another type.
    Other,
}

/// A query that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    bytes: &'a [u8],
    /// Where the question ends.
    end: usize,
    /// The name asked for, in small letters, without a dot at its end.
    pub name: String,
    /// What of it.
    pub wanted: Wanted,
}

/// Reads a query. `Err` has the answer to one that cannot be read, or nothing where none is due: a
/// resolver that answers answers could be made to talk to itself.
pub fn read(bytes: &[u8]) -> Result<Query<'_>, Option<Vec<u8>>> {
    let flags = half(bytes, 2).filter(|_| bytes.len() >= HEADER).ok_or(None)?;
    if flags & 0x8000 != 0 {
        return Err(None);
    }
    let refuse = |code| Some(header(bytes, code, 0, 0, false));
    if flags & 0x7800 != 0 {
        return Err(refuse(Code::Unknown));
    }
    let question = || {
        let (name, at) = name(bytes)?;
        Some((name, half(bytes, at)?, half(bytes, at + 2)?, at + 4))
    };
    let (name, kind, class, end) = question().filter(|_| half(bytes, 4) == Some(1)).ok_or_else(|| refuse(Code::Malformed))?;
    let wanted = match (kind, class) {
        (A, INTERNET) => Wanted::Addresses,
        (PTR, INTERNET) => reversed(&name).map_or(Wanted::Other, Wanted::Name),
        _ => Wanted::Other,
    };
    Ok(Query { bytes, end, name, wanted })
}

/// The question's name, and where it ends. A pointer has nothing before it to point to.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut name) = (HEADER, String::new());
    loop {
        let length = usize::from(*bytes.get(at)?);
        let label = bytes.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length > 63 || at > HEADER + 255 {
            return None;
        }
        if length == 0 {
            return Some((name, at));
        }
        if !name.is_empty() {
            name.push('.');
        }
        // A byte that no name of ours has stands for itself well enough not to be found.
        name.extend(label.iter().map(|b| if b.is_ascii_graphic() && *b != b'.' { b.to_ascii_lowercase() as char } else { '\u{fffd}' }));
    }
}

/// `4.3.2.10.in-addr.arpa` is 10.2.3.4 (RFC 1035, 3.5).
fn reversed(name: &str) -> Option<Ipv4Addr> {
    let mut parts: Vec<&str> = name.strip_suffix(".in-addr.arpa")?.split('.').collect();
    parts.reverse();
    parts.join(".").parse().ok()
}

impl Query<'_> {
    /// The whole packet.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// An answer without a record.
    pub fn empty(&self, code: Code) -> Vec<u8> {
        self.answer(code, &[], false)
    }

    /// These addresses, as many as `room` takes; where not all fit, it says so, and the asker comes
    /// again by TCP.
    pub fn addresses(&self, addresses: &[Ipv4Addr], room: usize) -> Vec<u8> {
        let fit = room.saturating_sub(self.end) / 16;
        let records: Vec<Vec<u8>> = addresses.iter().take(fit).map(|a| record(A, &a.octets())).collect();
        self.answer(Code::Fine, &records, addresses.len() > fit)
    }

    /// That name.
    pub fn named(&self, name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name.split('.').filter(|l| !l.is_empty() && l.len() < 64) {
            data.push(label.len() as u8);
            data.extend(label.as_bytes());
        }
        data.push(0);
        self.answer(Code::Fine, &[record(PTR, &data)], false)
    }

    fn answer(&self, code: Code, records: &[Vec<u8>], cut: bool) -> Vec<u8> {
        let mut answer = header(self.bytes, code, 1, records.len() as u16, cut);
        answer.extend(&self.bytes[HEADER..self.end]);
        records.iter().for_each(|r| answer.extend(r));
        answer
    }

    /// True if these bytes answer this question under that id.
    pub fn is_answered_by(&self, bytes: &[u8], id: u16) -> bool {
        let asked = &self.bytes[HEADER..self.end];
        half(bytes, 0) == Some(id)
            && half(bytes, 2).is_some_and(|flags| flags & 0x8000 != 0)
            && bytes.get(HEADER..self.end).is_some_and(|question| question.eq_ignore_ascii_case(asked))
    }
}

/// The packet under another id.
pub fn under(id: u16, bytes: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes(), bytes.get(2..).unwrap_or_default()].concat()
}

/// A packet's id.
pub fn id(bytes: &[u8]) -> u16 {
    half(bytes, 0).unwrap_or(0)
}

/// A record of the question's name: a pointer to it, type, class, seconds, length, data.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let pointer = 0xc000 | HEADER as u16;
    let halves = [pointer, kind, INTERNET].map(u16::to_be_bytes).concat();
    [&halves[..], &KEPT.to_be_bytes(), &(data.len() as u16).to_be_bytes(), data].concat()
}

fn header(query: &[u8], code: Code, questions: u16, answers: u16, cut: bool) -> Vec<u8> {
    // Its id; an answer, as much recursion as was asked for, and recursion is to be had.
    let asked = half(query, 2).unwrap_or(0) & 0x0100;
    let flags = 0x8080 | asked | if cut { 0x0200 } else { 0 } | code as u16;
    [id(query), flags, questions, answers, 0, 0].map(u16::to_be_bytes).concat()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = [7u16, 0x0100, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend([kind, INTERNET].map(u16::to_be_bytes).concat());
        bytes
    }

    #[test]
    fn a_query_is_read_and_answered() {
        let bytes = query("Web.Shop", A);
        let read = read(&bytes).unwrap();
        assert_eq!((read.name.as_str(), &read.wanted), ("web.shop", &Wanted::Addresses));
        let answer = read.addresses(&[Ipv4Addr::new(10, 1, 2, 3)], SMALL);
        assert_eq!(answer[..12], [0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..bytes.len()], bytes[12..], "the question, letter by letter");
        assert_eq!(answer[bytes.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 1, 2, 3]);
        assert!(read.is_answered_by(&answer, 7) && !read.is_answered_by(&answer, 8) && !read.is_answered_by(&bytes, 7));
        let back = query("3.2.1.10.in-addr.arpa", PTR);
        assert_eq!(super::read(&back).unwrap().wanted, Wanted::Name(Ipv4Addr::new(10, 1, 2, 3)));
    }

    #[test]
    fn more_addresses_than_fit_are_cut_and_said_to_be() {
        let bytes = query("web", A);
        let many: Vec<Ipv4Addr> = (0..100).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
        let answer = read(&bytes).unwrap().addresses(&many, SMALL);
        assert!(answer.len() <= SMALL && answer[2] & 2 != 0 && answer[7] == 30, "{answer:?}");
        assert!(read(&bytes).unwrap().addresses(&many, 65535)[2] & 2 == 0);
    }

    #[test]
    fn what_is_no_query_gets_no_answer_and_what_cannot_be_read_is_told_so() {
        let mut bytes = query("web", A);
        bytes[2] |= 0x80;
        assert_eq!(read(&bytes), Err(None), "an answer");
        assert_eq!(read(&[0; 11]), Err(None), "no header");
        for (change, code) in [((2usize, 0x10u8), 4u8), ((5, 2), 1), ((12, 0xc0), 1), ((12, 64), 1), ((12, 200), 1)] {
            let mut bytes = query("web", A);
            bytes[change.0] = change.1;
            let answer = read(&bytes).unwrap_err().unwrap();
            assert_eq!((answer.len(), answer[3] & 15), (12, code), "{change:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(query) = read(&bytes) {
                query.addresses(&[Ipv4Addr::LOCALHOST; 40], SMALL);
                query.is_answered_by(&bytes, 0);
            }
        }

        #[test]
        fn a_header_before_any_bytes_neither(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&query("a", A)[..12], &bytes].concat();
            if let Ok(query) = read(&bytes) {
                let answer = query.named(&query.name);
                prop_assert!(query.is_answered_by(&answer, 7));
                // Within what every reader of UDP takes, and the same length again as a name may have.
                prop_assert!(answer.len() <= SMALL + 255);
            }
        }
    }
}
