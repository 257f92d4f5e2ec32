//! Mounts by where they are, their type and their source: /proc/PID/mountinfo of whoever sees them.

use super::viewer::viewer;
use super::{Fact, misplaced};
use crate::check::machine::{Machine, Seen};
use crate::check::model::{Assertion, Check, Conditions, Propagation};
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::ns::Ns;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads what the assertion speaks of.
pub(super) fn look(that: &Assertion, check: &Check, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let c = &check.conditions;
    let words = in_words(c);
    let pid = match viewer(check, Ns::Mnt, &words, machine, chosen) {
        Ok(pid) => pid,
        Err(fact) => return fact,
    };
    let at = format!("/proc/{pid}/mountinfo");
    let Ok(all) = mountinfo::of(pid) else { return Fact::unknown(words, "this user may not read it", at) };
    let fitting: Vec<&Mount> = all.iter().filter(|m| fits(c, m)).collect();
    // Where nothing fits, what is in its place tells most.
    let near = || all.iter().filter(|m| c.at.as_ref().is_some_and(|at| m.target == Path::new(at)));
    let found = match fitting.is_empty() {
        true => near().map(shown).next_back().map_or("none".to_owned(), |m| format!("there is {m}")),
        false => fitting.iter().map(|m| shown(m)).collect::<Vec<_>>().join("; "),
    };
    let topmost = fitting.last();
    match that {
        Assertion::Exists(true) => Fact::is(topmost.is_some(), words, found, at),
        Assertion::Exists(false) => Fact::is(topmost.is_none(), format!("no, not {words}"), found, at),
        Assertion::Count(count) => Fact::is(count.fits(fitting.len() as u64), format!("{count} of: {words}"), found, at),
        Assertion::Options(wanted) => {
            let has = |m: &Mount, option: &String| m.options.contains(option) || m.super_options.contains(option);
            let so = topmost.is_some_and(|m| wanted.iter().all(|option| has(m, option)));
            Fact::is(so, format!("{words} with {}", wanted.join(",")), found, at)
        }
        Assertion::Propagation(wanted) => {
            let kinds = topmost.map(|m| propagation(m));
            let shown = kinds.as_ref().map_or(found, |k| format!("{k:?}").to_lowercase());
            Fact::is(kinds.is_some_and(|k| k.contains(wanted)), format!("{words}, {}", format!("{wanted:?}").to_lowercase()), shown, at)
        }
        other => misplaced(other),
    }
}

fn fits(c: &Conditions, mount: &Mount) -> bool {
    c.at.as_ref().is_none_or(|at| mount.target == Path::new(at))
        && c.fstype.as_ref().is_none_or(|t| *t == mount.fstype)
        && c.source.as_ref().is_none_or(|s| s.fits(&mount.source))
}

/// A mount may be shared and a slave at once.
fn propagation(mount: &Mount) -> Vec<Propagation> {
    let tagged = |tag: &str| mount.propagation.iter().any(|p| p.split(':').next() == Some(tag));
    let kinds = [("shared", Propagation::Shared), ("master", Propagation::Slave), ("unbindable", Propagation::Unbindable)];
    let mut kinds: Vec<Propagation> = kinds.into_iter().filter(|(tag, _)| tagged(tag)).map(|(_, kind)| kind).collect();
    if kinds.is_empty() {
        kinds.push(Propagation::Private);
    }
    kinds
}

fn shown(mount: &Mount) -> String {
    let below = if mount.root == Path::new("/") { String::new() } else { format!(" ({})", mount.root.display()) };
    format!("{} of {}{below} at {}, {}", mount.fstype, mount.source, mount.target.display(), mount.options.join(","))
}

fn in_words(c: &Conditions) -> String {
    let mut words = vec!["a mount".to_owned()];
    words.extend(c.at.as_ref().map(|at| format!("at {at}")));
    words.extend(c.fstype.as_ref().map(|t| format!("of type {t}")));
    words.extend(c.source.as_ref().map(|s| format!("of {s}")));
    words.push(c.seen_by.as_ref().map_or("on the host".to_owned(), |id| format!("as `{id}` sees it")));
    words.join(" ")
}
