//! Namespaces, hostname, pids: /proc/PID/ns and /proc/PID/status (namespaces(7)).

use super::Fact;
use crate::check::machine::{Machine, Seen};
use crate::check::model::{Count, Kinship};
use crate::kernel::ns::Ns;
use std::collections::BTreeMap;

/// Whose namespaces they are: told by inode.
pub(super) fn kinship(wanted: &BTreeMap<Ns, Kinship>, seen: &Seen, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    Fact::all(wanted.iter().map(|(kind, kinship)| one(*kind, kinship, seen, machine, chosen)).collect())
}

fn one(kind: Ns, kinship: &Kinship, seen: &Seen, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let at = format!("/proc/{}/ns/{kind}", seen.pid());
    let expected = match kinship {
        Kinship::Own => format!("its own {kind} namespace"),
        Kinship::Host => format!("the host's {kind} namespace"),
        Kinship::SameAs(other) => format!("the {kind} namespace of `{other}`"),
        Kinship::DiffersFrom(other) => format!("another {kind} namespace than `{other}`"),
    };
    let Some(theirs) = seen.namespaces().get(&kind) else {
        return Fact::unknown(expected, format!("not readable: the process belongs to user {}", seen.uid), at);
    };
    let host = machine.host.get(&kind);
    if let Kinship::SameAs(name) | Kinship::DiffersFrom(name) = kinship
        && let Some(other) = chosen.get(name.as_str())
        && !other.namespaces().contains_key(&kind)
    {
        return Fact::unknown(expected, format!("not readable: process {} belongs to user {}", other.pid(), other.uid), format!("/proc/{}/ns/{kind}", other.pid()));
    }
    let other = |name: &String| chosen.get(name.as_str()).and_then(|s| s.namespaces().get(&kind));
    let (so, compared) = match kinship {
        Kinship::Own => (Some(theirs) != host, host),
        Kinship::Host => (Some(theirs) == host, host),
        Kinship::SameAs(name) => (Some(theirs) == other(name), other(name)),
        Kinship::DiffersFrom(name) => (other(name).is_some_and(|o| o != theirs), other(name)),
    };
    let beside = compared.map_or("none to compare with".to_owned(), |c| format!("{kind}:[{c}] beside it"));
    Fact::is(so, expected, format!("{kind}:[{theirs}], {beside}"), at)
}

/// The hostname that it sees.
pub(super) fn hostname(name: &str, seen: &Seen, machine: &Machine) -> Fact {
    let at = format!("the UTS namespace of process {}", seen.pid());
    match machine.hostname(seen) {
        Some(found) => Fact::is(found == name, format!("hostname {name}"), found, at),
        None => Fact::unknown(format!("hostname {name}"), "its UTS namespace may not be entered", at),
    }
}

/// Its pid in its own pid namespace.
pub(super) fn inner_pid(wanted: u64, seen: &Seen) -> Fact {
    let at = format!("NSpid in /proc/{}/status", seen.pid());
    let inner = seen.process().and_then(|p| p.status()).ok().and_then(|s| s.numbers("NSpid").last().copied());
    match inner {
        Some(inner) => Fact::is(u64::from(inner) == wanted, format!("pid {wanted} inside"), inner.to_string(), at),
        None => Fact::is(false, format!("pid {wanted} inside"), "the process has just ended", at),
    }
}

/// How many processes live in its pid namespace.
pub(super) fn processes(wanted: &Count, seen: &Seen, machine: &Machine) -> Fact {
    let at = "/proc/*/ns/pid";
    let Some(pid_ns) = seen.namespaces().get(&Ns::Pid) else {
        return Fact::unknown(format!("{wanted} processes"), "its PID namespace may not be read", at);
    };
    let count = machine.processes.iter().filter(|p| p.namespaces().get(&Ns::Pid) == Some(pid_ns)).count() as u64;
    Fact::is(wanted.fits(count), format!("{wanted} processes in its PID namespace"), count.to_string(), at)
}
