//! Where a process's packets can go, and a connection that shows that they went there.
//!
//! Addresses are asked for by rtnetlink inside its network namespace; the route to everywhere stands in
//! /proc/PID/net/route, and its connections in /proc/PID/net/tcp (proc_pid_net(5)). A connection is two
//! kernels' agreement that packets went both ways, which no printed text can fake.

use super::Fact;
use super::listens::own_sockets;
use crate::check::machine::Seen;
use crate::check::scalar::Text;
use crate::check::way::{AddressIs, Connected};
use crate::kernel::ns::Ns;
use crate::kernel::{proc, socket, visit};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An address of its network namespace.
pub(super) fn address(wanted: &AddressIs, seen: &Seen) -> Fact {
    let on = wanted.on.as_ref().map(|link| format!(" on {link}")).unwrap_or_default();
    let (expected, at) = (format!("the address {}{on}", wanted.is), format!("the network namespace of process {} (RTM_GETADDR)", seen.pid()));
    let Some(all) = visit::addresses(seen.pid()) else { return Fact::unknown(expected, "it may not be entered (CAP_SYS_ADMIN is missing)", at) };
    let so = all.iter().any(|(link, net)| *net == wanted.is && wanted.on.as_ref().is_none_or(|l| l == link));
    let list: Vec<String> = all.iter().map(|(link, net)| format!("{net} on {link}")).collect();
    Fact::is(so, expected, if list.is_empty() { "no address at all".into() } else { list.join(", ") }, at)
}

/// The gateway of its route to everywhere: an address, or `none`.
pub(super) fn default_route(wanted: &Text, seen: &Seen) -> Fact {
    let expected = if wanted.0 == "none" { "no default route".to_owned() } else { format!("a default route via {}", wanted.0) };
    let at = format!("/proc/{}/net/route", seen.pid());
    let Ok(text) = seen.process().and_then(|p| p.text("net/route")) else { return Fact::unknown(expected, "not readable", at) };
    let gateways = socket::default_gateways(&text);
    let list: Vec<String> = gateways.iter().map(ToString::to_string).collect();
    let so = if wanted.0 == "none" { gateways.is_empty() } else { list.contains(&wanted.0) };
    Fact::is(so, expected, if list.is_empty() { "no default route".into() } else { format!("via {}", list.join(", ")) }, at)
}

/// A connection that it holds.
pub(super) fn connected(wanted: &Connected, seen: &Seen, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let (expected, at) = (wanted.in_words(), format!("/proc/{}/net/tcp, tcp6, and /proc/{}/fd", seen.pid(), seen.pid()));
    let theirs = match wanted.with.as_ref().map(|id| of_other(id, seen, chosen)) {
        None => None,
        Some(Ok(all)) => Some(all),
        Some(Err(problem)) => return Fact::is(false, expected, problem, at),
    };
    let Ok(process) = seen.process() else { return Fact::is(false, expected, "the process has just ended", at) };
    let Ok(all) = socket::connected(&process) else { return Fact::unknown(expected, "not readable", at) };
    let Some(own) = own_sockets(&process) else { return unreadable(expected, &process, at) };
    let held: Vec<_> = all.into_iter().filter(|c| own.contains(&c.inode)).collect();
    let fits = |c: &&socket::Connection| {
        wanted.to.is_none_or(|a| a == c.there.ip())
            && wanted.port.is_none_or(|p| p.0 == u64::from(c.there.port()))
            && wanted.own_port.is_none_or(|p| p.0 == u64::from(c.here.port()))
            && theirs.as_ref().is_none_or(|t| t.contains(&c.there.ip()))
    };
    let list: Vec<String> = held.iter().map(|c| format!("{} with {}", c.here, c.there)).collect();
    let found = if list.is_empty() { "it has no connection".into() } else { list.join(", ") };
    Fact::is(held.iter().any(|c| fits(&c)), expected, found, at)
}

fn unreadable(expected: String, process: &proc::Process, at: String) -> Fact {
    if process.argv().is_err() {
        return Fact::is(false, expected, "the process has just ended", at);
    }
    Fact::unknown(expected, "its descriptors are not readable", at)
}

/// The addresses of another's network namespace, which must not be this one's.
fn of_other(id: &str, seen: &Seen, chosen: &BTreeMap<&str, &Seen>) -> Result<Vec<IpAddr>, String> {
    let other = chosen.get(id).ok_or_else(|| format!("no {id} was found"))?;
    if Ns::Net.inode(seen.pid()).ok() == Ns::Net.inode(other.pid()).ok() {
        return Err(format!("`{id}` is in the very same network namespace"));
    }
    let all = visit::addresses(other.pid()).ok_or_else(|| format!("the addresses of `{id}` cannot be read"))?;
    Ok(all.into_iter().map(|(_, net)| net.address.into()).filter(|a: &IpAddr| !a.is_loopback()).collect())
}
