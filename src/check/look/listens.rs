//! Listening sockets: /proc/PID/net/{tcp,tcp6,udp,udp6} and /proc/PID/fd (proc_pid_net(5)).
//!
//! The tables are those of the process's network namespace; which of their sockets are its own is
//! told by their inodes among its descriptors. A UDP socket listens when it is bound and has no peer.

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::{Listener, Listens};
use crate::kernel::proc::Process;
use crate::kernel::socket::{self, Bound};
use std::collections::BTreeSet;

/// A port that it listens on, or must not.
pub(super) fn listens(wanted: &Listens, seen: &Seen) -> Fact {
    let wishes = [("tcp", wanted.tcp), ("udp", wanted.udp)];
    let asked = wishes.into_iter().filter_map(|(protocol, port)| Some((protocol, port?.0)));
    Fact::all(asked.map(|(protocol, port)| one(protocol, port, wanted, seen)).collect())
}

fn one(protocol: &str, port: u64, wanted: &Listens, seen: &Seen) -> Fact {
    let who = if wanted.by == Listener::Process { "the process" } else { "its network namespace" };
    let on = wanted.address.map(|a| format!("{a} ")).unwrap_or_default();
    let not = if wanted.absent { "not " } else { "" };
    let expected = format!("{who} {not}listening on {on}{protocol} port {port}");
    let at = format!("/proc/{}/net/{protocol}, {protocol}6", seen.pid());
    let process = match seen.process() {
        Ok(process) => process,
        Err(_) => return Fact::is(false, expected, "the process has just ended", at),
    };
    let Ok(all) = socket::listening(&process, protocol) else { return Fact::unknown(expected, "not readable", at) };
    let fits = |b: &&Bound| u64::from(b.port) == port && wanted.address.is_none_or(|a| a == b.address);
    let there: Vec<&Bound> = all.iter().filter(fits).collect();
    let found = if all.is_empty() { format!("nobody listens on {protocol} there") } else { shown(&all) };
    if wanted.by == Listener::Namespace || there.is_empty() {
        return Fact::is(there.is_empty() == wanted.absent, expected, found, at);
    }
    match own_sockets(&process) {
        Some(own) => {
            let its = there.iter().any(|b| own.contains(&b.inode));
            let found = if its { found } else { format!("{found}; that socket is another process's") };
            Fact::is(its != wanted.absent, expected, found, format!("{at}, and /proc/{}/fd", seen.pid()))
        }
        None => Fact::unknown(expected, format!("somebody there does; whether it does is not readable: the process belongs to user {}", seen.uid), format!("/proc/{}/fd", seen.pid())),
    }
}

fn shown(all: &[Bound]) -> String {
    let set: BTreeSet<String> = all.iter().map(|b| std::net::SocketAddr::new(b.address, b.port).to_string()).collect();
    set.into_iter().collect::<Vec<_>>().join(", ")
}

/// Inodes of its sockets; `None` where its descriptors may not be read.
pub(super) fn own_sockets(process: &Process) -> Option<BTreeSet<u64>> {
    Some(process.descriptors().ok()?.into_iter().filter_map(|(_, to)| to.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect())
}
