//! What the witness has written down, read back: one JSON object a line.
//!
//! Some evidence vanishes with what it was about: an exit code is gone when the parent has read it,
//! a cgroup's counters when the group is removed. The witness was there; without one nothing can be
//! told. A record counts only while a living witness keeps it, and only that of this boot: clock
//! ticks and pids of another mean nothing here. What the witness could not hear is not "not yet".

use super::look::Fact;
use super::machine::Machine;
use super::model::{Assertion, Bounds, Check, Count, Number};
use super::verdict::Outcome;
use super::witness::is_kept;
use crate::kernel::kmsg;
use crate::kernel::proc::boot_id;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// All kinds of facts that a check may ask for.
pub const KINDS: [&str; 8] = ["oom-kill", "oom", "emptied", "removed", "exec", "exit", "fork", "unshare"];
/// Who told of an OOM kill, when it was the kernel's log; else a counter did.
pub const LOG: &str = "log";

/// The first line: where and what the witness hears.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// /proc/sys/kernel/random/boot_id.
    pub boot: String,
    /// Clock ticks since boot when it began.
    pub ticks: u64,
    /// Why it hears of no fork, exec and exit, if so.
    pub deaf: Option<String>,
    /// Why it does not read the kernel's log, if so.
    pub no_log: Option<String>,
}

/// One fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// One of [`KINDS`]; or `lost`: some before this were not heard.
    pub kind: String,
    /// Clock ticks since boot.
    pub ticks: u64,
    /// The process; of a fork, the child.
    pub pid: i32,
    /// Of a fork: who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<i32>,
    /// Its command line; of a fork, what it has from its parent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Its cgroup.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup: String,
    /// Of an exec and an exit: its pid in its own PID namespace, as it was at its exec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<u64>,
    /// Exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u64>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<u64>,
    /// Who told, where two may tell of the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// A record that counts.
struct Record {
    opening: Opening,
    events: Vec<Event>,
}

impl Record {
    /// Reads one; the error says why it does not count.
    fn open(path: &Path) -> Result<Self, String> {
        if !is_kept(path) {
            return Err("no witness was there".into());
        }
        let text = std::fs::read_to_string(path).map_err(|e| format!("the witness's record cannot be read: {}", e.kind()))?;
        let (first, rest) = text.split_once('\n').unwrap_or_default();
        let opening: Opening = serde_json::from_str(first).map_err(|_| "the witness's record has no beginning".to_owned())?;
        if boot_id().as_ref() != Some(&opening.boot) {
            return Err("the witness's record is of another boot".into());
        }
        let events = rest.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        Ok(Self { opening, events })
    }

    /// Why facts of this kind may be missing; `here` says which groups the check is about.
    fn gap(&self, kind: &str, since: u64, here: impl Fn(&Event) -> bool) -> Option<String> {
        let lost = |by: &str| self.events.iter().any(|e| e.kind == "lost" && e.by == by && e.ticks >= since);
        match kind {
            "exec" | "exit" | "fork" => match &self.opening.deaf {
                Some(why) => Some(format!("the witness hears no process events ({why}): CAP_NET_ADMIN in the host's user namespace is missing")),
                None => lost("").then(|| "process events came faster than the witness could hear them".into()),
            },
            "oom-kill" => {
                // Its counters go with a group; then only the log could have told.
                let gone = self.events.iter().find(|e| e.kind == "removed" && e.ticks >= since && here(e));
                let why = self.opening.no_log.clone().or_else(|| lost(LOG).then(|| "part of it was overwritten".to_owned()));
                let (gone, why) = gone.zip(why)?;
                Some(format!("the cgroup {} was removed, and the witness has not read the kernel's log ({why})", gone.cgroup))
            }
            _ => None,
        }
    }

    /// How many facts fit. Of an OOM kill both the log and a counter may tell: in each cgroup, the
    /// one that told of more is right.
    fn count(&self, fits: impl Fn(&Event) -> bool) -> u64 {
        let mut by_group: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        let (kills, others): (Vec<&Event>, Vec<&Event>) = self.events.iter().filter(|e| fits(e)).partition(|e| e.kind == "oom-kill");
        for kill in kills {
            by_group.entry(&kill.cgroup).or_default()[usize::from(kill.by == LOG)] += 1;
        }
        others.len() as u64 + by_group.values().map(|[counters, log]| counters.max(log)).sum::<u64>()
    }
}

/// How many recorded facts fit the check's conditions.
pub(super) fn events(that: &Assertion, check: &Check, machine: &Machine) -> Fact {
    let kind = check.conditions.kind.clone().unwrap_or_default();
    let fallback = Count::In(Bounds { at_least: Some(Number(1)), at_most: None });
    let wanted = if let Assertion::Count(count) = that { count } else { &fallback };
    let expected = format!("{wanted} recorded: {kind}");
    let record = machine.scene.record.as_deref().ok_or("no witness was there".to_owned()).and_then(|path| Ok((path, Record::open(path)?)));
    let (path, record) = match record {
        Ok(there) => there,
        Err(why) if kind == "oom-kill" && check.conditions.command.is_none() => return in_the_kernels_log(&why, wanted, expected, check, machine),
        Err(why) => {
            let mut fact = Fact::unknown(expected, why, "the witness's record");
            fact.hint = Some("work in `drydock shell`, where the witness is, and do it again".into());
            return fact;
        }
    };
    let count = record.count(|e| e.kind == kind && fits(e, check, machine));
    let gap = record.gap(&kind, machine.scene.since_ticks, |e| check.conditions.cgroup.as_ref().is_none_or(|m| m.fits(&e.cgroup)));
    let outcome = wanted.judge(count, gap.is_none());
    let found = match gap.filter(|_| outcome == Outcome::CannotTell) {
        Some(gap) => gap,
        None => count.to_string(),
    };
    let hint = (outcome == Outcome::CannotTell).then(|| "work in `sudo drydock shell`, and do it again".to_owned());
    Fact { outcome, expected, found, at: path.display().to_string(), hint }
}

fn fits(event: &Event, check: &Check, machine: &Machine) -> bool {
    let c = &check.conditions;
    event.ticks >= machine.scene.since_ticks
        && c.command.as_ref().is_none_or(|m| m.fits(&event.command))
        && c.cgroup.as_ref().is_none_or(|m| m.fits(&event.cgroup))
        && c.inner_pid.is_none_or(|n| event.inner == Some(n.0))
        && c.status.is_none_or(|n| event.status == Some(n.0))
        && c.signal.is_none_or(|n| event.signal == Some(n.0))
}

/// OOM kills are in the kernel's log too. It is a ring: that there were not enough is proven only
/// where it still reaches back to when the exercise began.
fn in_the_kernels_log(why: &str, wanted: &Count, expected: String, check: &Check, machine: &Machine) -> Fact {
    let at = "/dev/kmsg";
    let since = machine.scene.since_ticks;
    let fits = |path: &str| check.conditions.cgroup.as_ref().is_none_or(|m| m.fits(path));
    let hint = Some("work in `drydock shell`, where the witness is, and do it again; or sudo drydock check".into());
    match kmsg::oom_kills() {
        Ok(past) => {
            let kills: Vec<u64> = past.kills.iter().filter(|k| fits(&k.cgroup)).map(|k| k.ticks).collect();
            let (outcome, count) = reckoned(&kills, past.since, since, kmsg::slept(), wanted);
            let unsure = outcome == Outcome::CannotTell;
            let found = if unsure { format!("{count}; {why}, and the kernel's log does not tell all that was since the exercise began") } else { count.to_string() };
            Fact { outcome, expected, found, at: at.into(), hint: hint.filter(|_| unsure) }
        }
        Err(error) => Fact { hint, ..Fact::unknown(expected, format!("{why}, and the kernel's log may not be read ({:?})", error.errno), at) },
    }
}

/// How it stands with kills at these ticks of the log's clock, which is whole from `whole` on, and how
/// many there were for sure. While the machine slept that clock stood still, so that a kill may
/// have been later than it says, by as much as was slept; when is not known.
fn reckoned(kills: &[u64], whole: u64, since: u64, slept: u64, wanted: &Count) -> (Outcome, u64) {
    let after = |later: u64| kills.iter().filter(|k| **k + later >= since).count() as u64;
    let is_whole = whole == 0 || whole.saturating_add(slept) <= since;
    let (least, most) = (wanted.judge(after(0), is_whole), wanted.judge(after(slept), is_whole));
    (if least == most { least } else { Outcome::CannotTell }, after(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Count {
        Count::In(Bounds { at_least: Some(Number(1)), at_most: None })
    }

    #[test]
    fn a_log_that_does_not_reach_back_far_enough_proves_what_it_holds_and_no_more() {
        assert_eq!(reckoned(&[90, 110], 50, 100, 0, &one()), (Outcome::Passed, 1));
        assert_eq!(reckoned(&[90], 50, 100, 0, &one()), (Outcome::NotYet, 0));
        assert_eq!(reckoned(&[], 101, 100, 0, &one()), (Outcome::CannotTell, 0));
        assert_eq!(reckoned(&[110], 105, 100, 0, &one()), (Outcome::Passed, 1));
        assert_eq!(reckoned(&[110], 105, 100, 0, &Count::Is(Number(1))), (Outcome::CannotTell, 1));
        assert_eq!(reckoned(&[110, 111], 105, 100, 0, &Count::Is(Number(1))), (Outcome::NotYet, 2));
    }

    #[test]
    fn on_a_machine_that_slept_a_kill_may_be_later_than_the_log_says() {
        assert_eq!(reckoned(&[90], 0, 100, 20, &one()), (Outcome::CannotTell, 0));
        assert_eq!(reckoned(&[70], 0, 100, 20, &one()), (Outcome::NotYet, 0));
        assert_eq!(reckoned(&[100], 0, 100, 20, &one()), (Outcome::Passed, 1));
    }
}
