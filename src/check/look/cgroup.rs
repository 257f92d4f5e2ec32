//! Limits, members and events of control groups (cgroups(7)).
//!
//! A process's own group is meant, not one above it: that is where an exercise writes. v1 and v2
//! spell files and values differently; `kernel::cgroup` knows how.

use super::Fact;
use crate::check::machine::{Machine, Seen};
use crate::check::model::{Count, LimitName, Text};
use crate::kernel::cgroup::limit::{self, Event, Limit, Value};
use crate::kernel::cgroup::{Amount, Controller};
use crate::kernel::units;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which group.
pub(super) enum Group {
    /// That of a process: controllers and path in each hierarchy.
    Of(Vec<(String, String)>),
    /// By its path below each hierarchy.
    Path(String),
}

/// The group of a process.
pub(super) fn of_process(seen: &Seen) -> Group {
    Group::Of(seen.process().and_then(|p| p.cgroups()).unwrap_or_default())
}

/// The group's directory in the hierarchy of one controller, and whether that is v1.
fn directory(group: &Group, controller: Controller, machine: &Machine) -> Option<(PathBuf, bool)> {
    let hierarchy = machine.layout.as_ref()?.hierarchy(controller)?;
    let path = match group {
        Group::Path(path) => path.clone(),
        Group::Of(list) => {
            let name = controller.name(hierarchy.v1);
            let here = |c: &str| if hierarchy.v1 { c.split(',').any(|c| c == name) } else { c.is_empty() };
            list.iter().find(|(controllers, _)| here(controllers))?.1.clone()
        }
    };
    Some((hierarchy.mount.join(path.trim_start_matches('/')), hierarchy.v1))
}

fn no_controller(expected: String, controller: Controller) -> Fact {
    let name = controller.name(false);
    let mut fact = Fact::unknown(expected, format!("this machine has no {name} controller to be seen"), "/sys/fs/cgroup");
    fact.hint = Some("drydock doctor says what this machine can do".into());
    fact
}

/// The group's limits.
pub(super) fn limits(wanted: &BTreeMap<LimitName, Text>, group: &Group, machine: &Machine) -> Fact {
    Fact::all(wanted.iter().map(|(name, text)| one_limit(*name, &text.0, group, machine)).collect())
}

fn one_limit(name: LimitName, wanted: &str, group: &Group, machine: &Machine) -> Fact {
    let kind = match name {
        LimitName::Memory => Limit::Memory,
        LimitName::MemorySwap => Limit::MemorySwap,
        LimitName::Cpu => Limit::Cpus,
        LimitName::Pids => Limit::Pids,
    };
    let Some((folder, v1)) = directory(group, kind.controller(), machine) else {
        return no_controller(format!("a limit of {wanted}"), kind.controller());
    };
    let file = folder.join(kind.file_name(v1));
    let expected = |text: String| format!("{} = {text}", kind.file_name(v1));
    let read = std::fs::read_to_string(&file).ok();
    let beside = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let value = read.as_deref().and_then(|text| limit::read_back(kind, v1, text, beside));
    let found = || read.as_deref().map_or("no such file".to_owned(), |t| t.trim().to_owned());
    let at = file.display().to_string();
    match (name, value) {
        (_, value) if wanted == "none" => {
            let unlimited = matches!(value, Some(Value::Amount(Amount::Unlimited)) | None) || matches!(&value, Some(Value::Quota(q)) if q.cpus().is_none());
            Fact::is(unlimited, "no limit", found(), at)
        }
        (LimitName::Cpu, value) => {
            let want: f64 = wanted.parse().unwrap_or(f64::NAN);
            let cpus = if let Some(Value::Quota(q)) = &value { q.cpus() } else { None };
            let shown = cpus.map_or_else(found, |c| format!("{} ({c:.2} CPUs)", found()));
            Fact::is(cpus.is_some_and(|c| (c - want).abs() < 0.005), format!("a quota of {want} CPUs"), shown, at)
        }
        (LimitName::Pids, value) => {
            let so = matches!(value, Some(Value::Amount(Amount::Of(n))) if Some(n) == wanted.parse().ok());
            Fact::is(so, expected(wanted.to_owned()), found(), at)
        }
        (LimitName::Memory | LimitName::MemorySwap, value) => {
            let bytes = units::bytes(wanted).unwrap_or(0);
            // The kernel keeps whole pages: what was written is rounded down.
            let page = 4096;
            let found = match &value {
                Some(Value::Amount(Amount::Of(n))) => units::both(*n),
                Some(Value::Amount(Amount::Unlimited)) => "no limit".into(),
                _ => found(),
            };
            let so = matches!(value, Some(Value::Amount(Amount::Of(n))) if n / page == bytes / page);
            Fact::is(so, expected(units::both(bytes)), found, at)
        }
    }
}

/// How many processes the group has.
pub(super) fn members(wanted: &Count, group: &Group, machine: &Machine) -> Fact {
    let expected = format!("{wanted} processes in the group");
    let place = [Controller::Pids, Controller::Memory, Controller::Cpu].into_iter().find_map(|c| directory(group, c, machine));
    let Some((folder, _)) = place else { return no_controller(expected, Controller::Pids) };
    let file = folder.join("cgroup.procs");
    let at = file.display().to_string();
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let count = text.lines().count() as u64;
            Fact::is(wanted.fits(count), expected, count.to_string(), at)
        }
        Err(_) => Fact::is(false, expected, "no such group", at),
    }
}

/// What the kernel counted in the group.
pub(super) fn events(wanted: &BTreeMap<Event, Count>, group: &Group, machine: &Machine) -> Fact {
    Fact::all(wanted.iter().map(|(event, count)| one_event(*event, count, group, machine)).collect())
}

fn one_event(event: Event, wanted: &Count, group: &Group, machine: &Machine) -> Fact {
    let (controller, ..) = event.place(false);
    let Some((folder, v1)) = directory(group, controller, machine) else {
        return no_controller(format!("{wanted} events"), controller);
    };
    let (_, name, key) = event.place(v1);
    let file = folder.join(name);
    let at = file.display().to_string();
    let expected = format!("{key} {wanted}");
    match std::fs::read_to_string(&file).ok().and_then(|text| limit::keyed(&text, key)) {
        Some(count) => Fact::is(wanted.fits(count), expected, format!("{key} {count}"), at),
        None => Fact::is(false, expected, "no such group", at),
    }
}

/// There or not, in any hierarchy.
pub(super) fn exists(wanted: bool, path: &str, machine: &Machine) -> Fact {
    let word = |b| if b { "there" } else { "not there" };
    let expected = format!("the cgroup {path} {}", word(wanted));
    let Some(layout) = &machine.layout else { return no_controller(expected, Controller::Memory) };
    let group = Group::Path(path.to_owned());
    let found = Controller::ALL.into_iter().filter_map(|c| directory(&group, c, machine)).map(|(d, _)| d).find(|d| d.is_dir());
    let top = layout.unified.as_ref().or(layout.v1.first()).map(|h| h.mount.display().to_string()).unwrap_or_default();
    Fact::is(found.is_some() == wanted, expected, word(found.is_some()), found.map_or(top, |d| d.display().to_string()))
}
