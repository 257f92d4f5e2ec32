//! What the witness has written down, read back: one JSON object a line.
//!
//! Some evidence vanishes with what it was about: an exit code is gone when the parent has read it,
//! a cgroup's counters when the group is removed. The witness was there; without one nothing can be
//! told.

use super::look::Fact;
use super::machine::Machine;
use super::model::{Assertion, Check, Count, Number};
use crate::kernel::kmsg;
use serde::{Deserialize, Serialize};

/// One fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// oom-kill, exec, exit, fork, unshare.
    pub kind: String,
    /// Clock ticks since boot.
    pub ticks: u64,
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: String,
    /// Its cgroup.
    pub cgroup: String,
    /// Exit code.
    pub status: Option<u64>,
    /// The signal that ended it.
    pub signal: Option<u64>,
}

/// OOM kills are in the kernel's log too. It proves that there were enough, never that there were
/// not: it is a ring.
fn in_the_kernels_log(wanted: &Count, expected: String, check: &Check, machine: &Machine) -> Fact {
    let at = "/dev/kmsg";
    let fits = |path: &str| check.conditions.cgroup.as_ref().is_none_or(|m| m.fits(path));
    match kmsg::oom_kills() {
        Ok(kills) => {
            let count = kills.iter().filter(|k| k.ticks >= machine.scene.since_ticks && fits(&k.cgroup)).count() as u64;
            Fact::is(wanted.fits(count), expected, count.to_string(), at)
        }
        Err(error) => {
            let mut fact = Fact::unknown(expected, format!("no witness was there, and the kernel's log may not be read ({:?})", error.errno), at);
            fact.hint = Some("work in `drydock shell`, where the witness is, and do it again; or sudo drydock check".into());
            fact
        }
    }
}

/// How many recorded facts fit the check's conditions.
pub(super) fn events(that: &Assertion, check: &Check, machine: &Machine) -> Fact {
    let c = &check.conditions;
    let kind = c.kind.clone().unwrap_or_default();
    let fallback = Count::In(super::model::Bounds { at_least: Some(Number(1)), at_most: None });
    let wanted = if let Assertion::Count(count) = that { count } else { &fallback };
    let expected = format!("{wanted} recorded: {kind}");
    let Some(path) = &machine.scene.record else {
        if kind == "oom-kill" && c.command.is_none() {
            return in_the_kernels_log(wanted, expected, check, machine);
        }
        let mut fact = Fact::unknown(expected, "no witness was there", "the witness's record");
        fact.hint = Some("work in `drydock shell`, where the witness is, and do it again".into());
        return fact;
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().filter_map(|l| serde_json::from_str::<Event>(l).ok()).filter(|e| {
        e.kind == kind
            && e.ticks >= machine.scene.since_ticks
            && c.command.as_ref().is_none_or(|m| m.fits(&e.command))
            && c.cgroup.as_ref().is_none_or(|m| m.fits(&e.cgroup))
            && c.status.is_none_or(|n| e.status == Some(n.0))
            && c.signal.is_none_or(|n| e.signal == Some(n.0))
    });
    let count = found.count() as u64;
    Fact::is(wanted.fits(count), expected, count.to_string(), path.display().to_string())
}
