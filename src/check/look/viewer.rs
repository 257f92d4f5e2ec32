//! Through whose eyes a mount or a link is looked at: those of a process that another check found,
//! or the host's.

use super::Fact;
use crate::check::machine::{Machine, Seen};
use crate::check::model::Check;
use crate::kernel::ns::Ns;
use std::collections::BTreeMap;

/// A process in the wanted namespace, by its pid here; the error is the fact that there is none.
pub(super) fn viewer(check: &Check, kind: Ns, expected: &str, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Result<i32, Fact> {
    if let Some(id) = &check.conditions.seen_by {
        let seen = chosen.get(id.as_str());
        return seen.map(|s| s.pid()).ok_or_else(|| Fact::is(false, expected, format!("no process to look through: see `{id}`"), "/proc"));
    }
    // The host's is what it was when the exercise began; we may have moved since, and process 1 of
    // a container is not the host's either.
    let host = machine.host.get(&kind).copied();
    let there = |pid: &i32| host.is_some() && kind.inode(*pid).ok() == host;
    let near = [std::process::id() as i32, 1].into_iter().find(there);
    let pid = near.or_else(|| machine.processes.iter().map(Seen::pid).find(there));
    pid.ok_or_else(|| Fact::unknown(expected, format!("no process in the host's {kind} namespace can be read from here"), format!("/proc/*/ns/{kind}")))
}
