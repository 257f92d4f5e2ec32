//! The kernel's packet filter: tables, chains, rules, sets, changed in one transaction (nft(8)).
//!
//! A packet passes hooks on its way (prerouting, input, forward, output, postrouting). A chain that
//! is bound to a hook sees it there; its rules are small programs of expressions over registers:
//! load a field of the packet, compare it or look it up in a set, and a verdict. What is in a
//! [`Batch`] becomes true at once or not at all, so nobody sees half a firewall. Needs
//! CAP_NET_ADMIN in the user namespace that owns the network namespace. See it live:
//! `nft list table ip NAME`; the messages are those of linux/netfilter/nf_tables.h.
//!
//! IPv4 alone. What nft(8) does more: it reads a language, and optimises; here the caller has the
//! rules as values.

mod expression;

pub use expression::{Expression, Verdict};

use super::SysError;
use super::netlink::{Message, Socket, attributes};
use nix::errno::Errno;

/// The family of IPv4's tables (NFPROTO_IPV4).
const IPV4: u8 = 2;
const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const GET_TABLE: u16 = SUBSYSTEM | 1;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const DELETE_CHAIN: u16 = SUBSYSTEM | 5;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const GET_RULE: u16 = SUBSYSTEM | 7;
const DELETE_RULE: u16 = SUBSYSTEM | 8;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM | 12;
const GET_ELEMENT: u16 = SUBSYSTEM | 13;
const DELETE_ELEMENT: u16 = SUBSYSTEM | 14;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const LIST_ELEMENT: u16 = 1;
const MAP: u32 = 8;

/// What a chain is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    /// `filter` or `nat`.
    pub kind: &'static str,
    /// Its place on a packet's way: 0 prerouting, 1 input, 2 forward, 3 output, 4 postrouting.
    pub number: u32,
    /// The order among those of the same hook; lower is earlier.
    pub priority: i32,
}

/// The kind of a key or a value, by the numbers that nft(8) shows them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address, 4 bytes.
    Address = 7,
    /// A protocol such as TCP, 1 byte.
    Protocol = 12,
    /// A port, 2 bytes.
    Port = 13,
    /// A link's name, 16 bytes.
    Link = 41,
}

impl Kind {
    fn bytes(self) -> u32 {
        match self {
            Kind::Link => 16,
            Kind::Address | Kind::Protocol | Kind::Port => 4,
        }
    }
}

/// A link's name as a key.
pub fn link_key(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(16, 0);
    key
}

/// A port, or a protocol's number, as a part of a key: in network order, padded to a register.
pub fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut key = bytes.to_vec();
    key.resize(bytes.len().next_multiple_of(4), 0);
    key
}

/// Changes of one table that are made together.
#[derive(Debug)]
pub struct Batch<'a> {
    table: &'a str,
    message: Message,
    count: usize,
}

impl<'a> Batch<'a> {
    /// Nothing yet.
    pub fn of(table: &'a str) -> Self {
        let mut message = Message::new(BATCH_BEGIN, 0);
        message.raw(&general(0, SUBSYSTEM >> 8));
        Self { table, message, count: 0 }
    }

    /// The table itself; no error if it is there.
    pub fn table(&mut self) {
        self.begin(NEW_TABLE, libc::NLM_F_CREATE);
        self.text(1, self.table);
    }

    /// Removes the table with all that is in it. ENOENT if it is not there.
    pub fn remove_table(&mut self) {
        self.begin(DELETE_TABLE, 0);
        self.text(1, self.table);
    }

    /// A chain; without a hook it is jumped to.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        self.begin(NEW_CHAIN, libc::NLM_F_CREATE);
        self.text(1, self.table);
        self.text(3, name);
        if let Some(hook) = hook {
            self.message.nest(4, |m| {
                m.put(1, &hook.number.to_be_bytes());
                m.put(2, &hook.priority.to_be_bytes());
            });
            self.text(7, hook.kind);
        }
    }

    /// Removes a chain with its rules. EBUSY while another rule jumps there.
    pub fn remove_chain(&mut self, name: &str) {
        self.begin(DELETE_CHAIN, 0);
        self.text(1, self.table);
        self.text(3, name);
    }

    /// Removes a rule by its handle.
    pub fn remove_rule(&mut self, chain: &str, handle: u64) {
        self.begin(DELETE_RULE, 0);
        self.text(1, self.table);
        self.text(2, chain);
        self.message.put(3, &handle.to_be_bytes());
    }

    /// A rule at the end of a chain.
    pub fn rule(&mut self, chain: &str, expressions: &[Expression]) {
        self.rule_at(libc::NLM_F_APPEND, chain, expressions);
    }

    /// A rule before the others of a chain.
    pub fn rule_first(&mut self, chain: &str, expressions: &[Expression]) {
        self.rule_at(0, chain, expressions);
    }

    fn rule_at(&mut self, end: i32, chain: &str, expressions: &[Expression]) {
        self.begin(NEW_RULE, libc::NLM_F_CREATE | end);
        self.text(1, self.table);
        self.text(2, chain);
        self.message.nest(4, |list| expressions.iter().for_each(|e| list.nest(LIST_ELEMENT, |m| e.write(m))));
    }

    /// A set of keys, or with `values` a map; a key of several kinds is their concatenation.
    pub fn set(&mut self, name: &str, keys: &[Kind], values: &[Kind]) {
        self.begin(NEW_SET, libc::NLM_F_CREATE);
        self.text(1, self.table);
        self.text(2, name);
        self.message.put(3, &if values.is_empty() { 0 } else { MAP }.to_be_bytes());
        self.message.put(4, &number(keys).to_be_bytes());
        self.message.put(5, &length(keys).to_be_bytes());
        if !values.is_empty() {
            self.message.put(6, &number(values).to_be_bytes());
            self.message.put(7, &length(values).to_be_bytes());
        }
        // A number that names the set within this batch; the kernel wants one.
        self.count += 1;
        self.message.put(10, &(self.count as u32).to_be_bytes());
        self.count -= 1;
        if keys == [Kind::Link] {
            // For nft(8) alone, which would show a name backwards: the key has this machine's byte order.
            self.message.put(13, &[&[0, 4][..], &1u32.to_ne_bytes()].concat());
        }
    }

    /// Puts a key, and in a map its value, into a set. EEXIST if another value is there for the key.
    pub fn element(&mut self, set: &str, key: &[u8], value: Option<&[u8]>) {
        self.begin(NEW_ELEMENT, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        self.element_of(set, key, value);
    }

    /// Takes a key out of a set. ENOENT if it is not there.
    pub fn remove_element(&mut self, set: &str, key: &[u8]) {
        self.begin(DELETE_ELEMENT, 0);
        self.element_of(set, key, None);
    }

    fn element_of(&mut self, set: &str, key: &[u8], value: Option<&[u8]>) {
        self.text(1, self.table);
        self.text(2, set);
        self.message.nest(3, |list| {
            list.nest(LIST_ELEMENT, |m| {
                m.nest(1, |m| m.put(1, key));
                if let Some(value) = value {
                    m.nest(2, |m| m.put(1, value));
                }
            });
        });
    }

    /// Makes it all true, or nothing of it.
    pub fn commit(mut self, socket: &Socket) -> Result<(), SysError> {
        self.message.begin(BATCH_END, 0);
        self.message.raw(&general(0, SUBSYSTEM >> 8));
        let table = self.table;
        socket.send(self.message, self.count, || format!("change the packet filter's table {table}"))
    }

    fn begin(&mut self, kind: u16, flags: i32) {
        self.count += 1;
        self.message.begin(kind, libc::NLM_F_ACK | flags);
        self.message.raw(&general(IPV4, 0));
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.message.put(kind, &[value.as_bytes(), &[0]].concat());
    }
}

/// Is the table there?
pub fn has_table(socket: &Socket, table: &str) -> Result<bool, SysError> {
    let message = Message::new(GET_TABLE, libc::NLM_F_ACK).body(&general(IPV4, 0)).text(1, table);
    match socket.send(message, 1, || format!("look for the packet filter's table {table}")) {
        Err(e) if e.errno == Errno::ENOENT => Ok(false),
        other => other.map(|()| true),
    }
}

/// Is the key in a set? False as well where there is no such set, or no such table.
///
/// A question, and no change that might be refused: a change waits until every processor has seen the
/// rules as they were (RCU), which takes ten times as long as all the rest of joining a network.
pub fn has_element(socket: &Socket, table: &str, set: &str, key: &[u8]) -> Result<bool, SysError> {
    let mut message = Message::new(GET_ELEMENT, libc::NLM_F_ACK).body(&general(IPV4, 0)).text(1, table).text(2, set);
    message.nest(3, |list| list.nest(LIST_ELEMENT, |m| m.nest(1, |m| m.put(1, key))));
    match socket.send(message, 1, || format!("look into the set {set} of the packet filter's table {table}")) {
        Err(e) if e.errno == Errno::ENOENT => Ok(false),
        other => other.map(|()| true),
    }
}

/// What a chain is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// What its rules let through is dropped (its policy).
    Drops,
    /// It is let through, or the chain is one that others jump to.
    Passes,
}

/// Looks for a chain.
pub fn chain(socket: &Socket, table: &str, name: &str) -> Result<Found, SysError> {
    let message = Message::new(GET_CHAIN, libc::NLM_F_ACK).body(&general(IPV4, 0)).text(1, table).text(3, name);
    let mut found = Found::Nothing;
    let answer = socket.dump(message, || format!("look for the packet filter's chain {table} {name}"), |_, body| {
        let policy = attributes(body.get(4..).unwrap_or_default()).into_iter().find(|(kind, _)| *kind == 5);
        found = if policy.is_some_and(|(_, value)| value == [0; 4]) { Found::Drops } else { Found::Passes };
    });
    match answer {
        Err(e) if e.errno == Errno::ENOENT => Ok(Found::Nothing),
        other => other.map(|()| found),
    }
}

/// The handles of the rules in a chain that name another: jumps to it.
pub fn jumps(socket: &Socket, table: &str, from: &str, to: &str) -> Result<Vec<u64>, SysError> {
    let message = Message::new(GET_RULE, libc::NLM_F_DUMP).body(&general(IPV4, 0)).text(1, table).text(2, from);
    let (mut handles, name) = (Vec::new(), [to.as_bytes(), &[0]].concat());
    let answer = socket.dump(message, || format!("list the rules of {table} {from}"), |_, body| {
        let (mut handle, mut names_it) = (None, false);
        for (kind, value) in attributes(body.get(4..).unwrap_or_default()) {
            match kind {
                3 => handle = value.try_into().ok().map(u64::from_be_bytes),
                4 => names_it = value.windows(name.len()).any(|w| w == name),
                _ => {}
            }
        }
        handles.extend(handle.filter(|_| names_it));
    });
    match answer {
        Err(e) if e.errno == Errno::ENOENT => Ok(Vec::new()),
        other => other.map(|()| handles),
    }
}

/// A struct nfgenmsg: family, version, and a number that the subsystem reads.
fn general(family: u8, id: u16) -> [u8; 4] {
    let id = id.to_be_bytes();
    [family, 0, id[0], id[1]]
}

/// A concatenation's number: six bits a part.
fn number(kinds: &[Kind]) -> u32 {
    kinds.iter().fold(0, |number, kind| number << 6 | *kind as u32)
}

/// A concatenation's length: each part fills whole registers. One alone has its own length.
fn length(kinds: &[Kind]) -> u32 {
    match kinds {
        [Kind::Protocol] => 1,
        [Kind::Port] => 2,
        parts => parts.iter().map(|k| k.bytes()).sum(),
    }
}
