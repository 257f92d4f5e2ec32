//! Ids, id maps and environment: /proc/PID/status, uid_map, environ (user_namespaces(7)).

use super::Fact;
use crate::check::machine::{Machine, Seen};
use crate::check::model::MapLine;
use std::collections::BTreeMap;

/// Its user id map: these lines and no others.
pub(super) fn uid_map(wanted: &[MapLine], seen: &Seen, machine: &Machine) -> Fact {
    let at = format!("/proc/{}/uid_map", seen.pid());
    let learner = machine.scene.learner;
    let outside = |line: &MapLine| if line.outside.0 == "learner" { Some(learner) } else { line.outside.0.parse().ok() };
    let lines: Vec<_> = wanted.iter().map(|l| (l.inside, outside(l).unwrap_or(u32::MAX), l.count)).collect();
    let show = |lines: &[(u32, u32, u32)]| {
        let text: Vec<String> = lines.iter().map(|(i, o, c)| format!("{i} {o} {c}")).collect();
        if text.is_empty() { "empty: nobody is mapped".to_owned() } else { text.join("; ") }
    };
    match seen.process().and_then(|p| p.id_map("uid_map")) {
        Ok(found) => Fact::is(found == lines, format!("uid_map {}", show(&lines)), show(&found), at),
        Err(_) => Fact::unknown(format!("uid_map {}", show(&lines)), "not readable", at),
    }
}

/// Its real user or group id, as seen from here.
pub(super) fn id(field: &str, wanted: u64, seen: &Seen) -> Fact {
    let at = format!("{field} in /proc/{}/status", seen.pid());
    let found = seen.process().and_then(|p| p.status()).ok().and_then(|s| s.numbers(field).first().copied());
    let so = found.map(u64::from) == Some(wanted);
    Fact::is(so, format!("{field} {wanted}"), found.map_or("the process has just ended".into(), |n| n.to_string()), at)
}

/// Variables that it was started with.
pub(super) fn environment(wanted: &BTreeMap<String, String>, seen: &Seen) -> Fact {
    let at = format!("/proc/{}/environ", seen.pid());
    let Ok(environ) = seen.process().and_then(|p| p.environ()) else { return Fact::unknown("its environment", "not readable", at) };
    let one = |(key, value): (&String, &String)| {
        let found = environ.iter().find_map(|e| e.strip_prefix(key.as_str())?.strip_prefix('='));
        Fact::is(found == Some(value), format!("{key}={value}"), found.map_or(format!("no {key}"), |f| format!("{key}={f}")), at.clone())
    };
    Fact::all(wanted.iter().map(one).collect())
}

/// A text that stands neither in its environment nor in its command line: both can be read by
/// everybody who may look at the process, and by the engine's users.
pub(super) fn nowhere(text: &str, seen: &Seen) -> Fact {
    let at = format!("/proc/{0}/environ and /proc/{0}/cmdline", seen.pid());
    let expected = format!("no {text} in its environment or command line");
    let Ok(environ) = seen.process().and_then(|p| p.environ()) else { return Fact::unknown(expected, "not readable", at) };
    let variable = environ.iter().find(|e| e.contains(text)).and_then(|e| e.split_once('='));
    let found = match variable {
        Some((name, _)) => format!("the variable {name}"),
        None if seen.command.contains(text) => format!("its command line, {}", seen.command),
        None => return Fact::is(true, expected, format!("{} variables without it", environ.len()), at),
    };
    Fact::is(false, expected, found, at)
}
