//! The expressions of a rule: each loads a register, looks at one, or ends the rule with a verdict.
//!
//! A register of this machine has 4 bytes and a number from 0; a link's name takes four of them.

use crate::kernel::netlink::Message;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is dropped.
    Drop,
    /// This table lets it pass.
    Accept,
    /// Another chain goes on, and comes back.
    Jump(&'a str),
}

/// One expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression<'a> {
    /// Loads the name of the link that the packet came in by.
    InLink(u32),
    /// Loads the name of the link that it goes out by.
    OutLink(u32),
    /// Loads the protocol's number: 6 is TCP, 17 UDP.
    Protocol(u32),
    /// Loads bytes of the IPv4 header: register, offset, length.
    Header(u32, u32, u32),
    /// Loads bytes of the transport's header: register, offset, length.
    Transport(u32, u32, u32),
    /// Loads what kind of address the destination is here (RTN_LOCAL is 2).
    DestinationType(u32),
    /// Loads what connection tracking did to the connection.
    Status(u32),
    /// Goes on if the register has these bytes.
    Is(u32, &'a [u8]),
    /// Goes on unless it has.
    IsNot(u32, &'a [u8]),
    /// Keeps the bits of a register, 4 bytes, that the mask has.
    Mask(u32, [u8; 4]),
    /// Goes on if the key in the registers from this on is in the set.
    In(&'a str, u32),
    /// Goes on unless it is.
    NotIn(&'a str, u32),
    /// Looks the key up in a map, and loads its value into the registers from the second number on.
    Map(&'a str, u32, u32),
    /// Changes the destination: registers of address and port. Nothing comes after it.
    Destination(u32, u32),
    /// Changes the source to the address of the link that it goes out by.
    Masquerade,
    /// Ends the rule.
    Say(Verdict<'a>),
}

/// The first register of 4 bytes (NFT_REG32_00); number 0 is the verdict.
const FIRST: u32 = 8;

impl Expression<'_> {
    /// Writes name and data.
    pub(super) fn write(&self, m: &mut Message) {
        let number = |m: &mut Message, kind, value: u32| m.put(kind, &value.to_be_bytes());
        let register = |m: &mut Message, kind, value: u32| m.put(kind, &(FIRST + value).to_be_bytes());
        let mut expression = |name: &str, data: &dyn Fn(&mut Message)| {
            m.put(1, &[name.as_bytes(), &[0]].concat());
            m.nest(2, data);
        };
        match *self {
            Self::InLink(to) => expression("meta", &|m| meta(m, to, 6)),
            Self::OutLink(to) => expression("meta", &|m| meta(m, to, 7)),
            Self::Protocol(to) => expression("meta", &|m| meta(m, to, 16)),
            Self::Header(to, offset, length) => expression("payload", &|m| payload(m, to, 1, offset, length)),
            Self::Transport(to, offset, length) => expression("payload", &|m| payload(m, to, 2, offset, length)),
            Self::DestinationType(to) => expression("fib", &|m| {
                register(m, 1, to);
                // What: the type of an address; of which: the destination.
                number(m, 2, 3);
                number(m, 3, 2);
            }),
            Self::Status(to) => expression("ct", &|m| {
                register(m, 1, to);
                number(m, 2, 2);
            }),
            Self::Is(at, bytes) => expression("cmp", &|m| compare(m, at, 0, bytes)),
            Self::IsNot(at, bytes) => expression("cmp", &|m| compare(m, at, 1, bytes)),
            Self::Mask(at, mask) => expression("bitwise", &|m| {
                register(m, 1, at);
                register(m, 2, at);
                number(m, 3, 4);
                m.nest(4, |m| m.put(1, &mask));
                m.nest(5, |m| m.put(1, &[0; 4]));
            }),
            Self::In(set, at) => expression("lookup", &|m| lookup(m, set, at)),
            Self::NotIn(set, at) => expression("lookup", &|m| {
                lookup(m, set, at);
                number(m, 5, 1);
            }),
            Self::Map(map, at, to) => expression("lookup", &|m| {
                lookup(m, map, at);
                register(m, 3, to);
            }),
            Self::Destination(address, port) => expression("nat", &|m| {
                number(m, 1, 1);
                number(m, 2, libc::AF_INET as u32);
                register(m, 3, address);
                register(m, 5, port);
            }),
            Self::Masquerade => expression("masq", &|_| {}),
            Self::Say(verdict) => expression("immediate", &|m| say(m, verdict)),
        }
    }
}

fn meta(m: &mut Message, to: u32, key: u32) {
    m.put(1, &(FIRST + to).to_be_bytes());
    m.put(2, &key.to_be_bytes());
}

fn payload(m: &mut Message, to: u32, base: u32, offset: u32, length: u32) {
    for (kind, value) in [(1, FIRST + to), (2, base), (3, offset), (4, length)] {
        m.put(kind, &value.to_be_bytes());
    }
}

fn compare(m: &mut Message, at: u32, how: u32, bytes: &[u8]) {
    m.put(1, &(FIRST + at).to_be_bytes());
    m.put(2, &how.to_be_bytes());
    m.nest(3, |m| m.put(1, bytes));
}

fn lookup(m: &mut Message, set: &str, at: u32) {
    m.put(1, &[set.as_bytes(), &[0]].concat());
    m.put(2, &(FIRST + at).to_be_bytes());
}

fn say(m: &mut Message, verdict: Verdict<'_>) {
    m.put(1, &0u32.to_be_bytes());
    m.nest(2, |m| {
        m.nest(2, |m| match verdict {
            Verdict::Drop => m.put(1, &0i32.to_be_bytes()),
            Verdict::Accept => m.put(1, &1i32.to_be_bytes()),
            Verdict::Jump(chain) => {
                m.put(1, &(-3i32).to_be_bytes());
                m.put(2, &[chain.as_bytes(), &[0]].concat());
            }
        });
    });
}
