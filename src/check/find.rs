//! Picking processes out by what the kernel shows of them.

use super::machine::{Machine, Seen};
use super::model::{Conditions, Kinship};

/// What a search came to.
pub(super) struct Found<'m> {
    /// Those that fit.
    pub fitting: Vec<&'m Seen>,
    /// Those that may fit, but cannot be read from here.
    pub hidden: Vec<&'m Seen>,
}

/// All processes that meet every condition.
pub(super) fn processes<'m>(machine: &'m Machine, conditions: &Conditions) -> Found<'m> {
    let mut found = Found { fitting: Vec::new(), hidden: Vec::new() };
    for seen in &machine.processes {
        // The command line is readable to all, so it is asked first: it is also the cheapest.
        if conditions.command.as_ref().is_some_and(|c| !c.fits(&seen.command)) {
            continue;
        }
        match fits(machine, seen, conditions) {
            Some(true) => found.fitting.push(seen),
            Some(false) => {}
            // It has ended meanwhile.
            None if seen.process().is_err() => {}
            // With a command that fits it is a likely one; without, any other user's process
            // would be, and only those of containers matter.
            None if conditions.command.is_some() || in_other_cgroup(seen) => found.hidden.push(seen),
            None => {}
        }
    }
    found
}

/// `None` when it cannot be read.
fn fits(machine: &Machine, seen: &Seen, conditions: &Conditions) -> Option<bool> {
    if let Some(cgroup) = &conditions.cgroup
        && !seen.process().and_then(|p| p.cgroups()).ok()?.iter().any(|(_, path)| cgroup.fits(path))
    {
        return Some(false);
    }
    if let Some(wanted) = conditions.inner_pid
        && seen.process().and_then(|p| p.status()).ok()?.numbers("NSpid").last().map(|n| u64::from(*n)) != Some(wanted.0)
    {
        return Some(false);
    }
    let needs_more = conditions.hostname.is_some() || !conditions.namespace.is_empty() || !conditions.environment.is_empty() || conditions.shell_descendant.is_some();
    if needs_more && seen.is_hidden() {
        return None;
    }
    for (kind, kinship) in &conditions.namespace {
        let shared = seen.namespaces().get(kind) == machine.host.get(kind);
        if shared != (*kinship == Kinship::Host) {
            return Some(false);
        }
    }
    if let Some(wanted) = &conditions.hostname {
        // Who shares our own hostname is never meant: the name is drawn, not the machine's. But a
        // learner may have renamed the machine itself, so ask all the same.
        if machine.hostname(seen).as_ref() != Some(wanted) {
            return Some(false);
        }
    }
    if conditions.environment.is_empty() && conditions.shell_descendant.is_none() {
        return Some(true);
    }
    let environ = seen.process().and_then(|p| p.environ()).ok()?;
    let has = |key: &str, value: &str| environ.iter().any(|e| e.strip_prefix(key).and_then(|r| r.strip_prefix('=')) == Some(value));
    let from_shell = match (&machine.scene.shell, conditions.shell_descendant) {
        (Some(nonce), Some(wanted)) => has("DRYDOCK_SHELL", nonce) == wanted,
        (None, Some(_)) => return None,
        _ => true,
    };
    Some(from_shell && conditions.environment.iter().all(|(k, v)| has(k, v)))
}

/// True for a process that somebody has put into a cgroup of its own.
fn in_other_cgroup(seen: &Seen) -> bool {
    let own = crate::kernel::proc::Process::current().and_then(|p| p.cgroups()).unwrap_or_default();
    seen.process().and_then(|p| p.cgroups()).is_ok_and(|theirs| theirs != own)
}

/// The conditions in words, for evidence.
pub(super) fn in_words(c: &Conditions) -> String {
    let mut words = Vec::new();
    words.extend(c.command.as_ref().map(|m| format!("running `{m}`")));
    words.extend(c.hostname.as_ref().map(|h| format!("that sees the hostname {h}")));
    words.extend(c.inner_pid.map(|n| format!("that is number {} in its own PID namespace", n.0)));
    words.extend(c.cgroup.as_ref().map(|m| format!("in the cgroup {m}")));
    words.extend(c.environment.iter().map(|(k, v)| format!("started with {k}={v}")));
    words.extend(c.namespace.keys().map(|ns| format!("in the wanted {ns} namespace")));
    format!("a process {}", words.join(", "))
}
