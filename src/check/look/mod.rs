//! One file a family of assertions: how each is read from the kernel.

mod capabilities;
mod cgroup;
mod digest;
mod file;
mod identity;
pub(super) mod image;
mod link;
mod listens;
mod mount;
mod mounted;
mod namespace;
mod network;
mod permission;
mod root;
mod same;
mod signals;
mod viewer;
mod way;

use super::machine::{Machine, Seen};
use super::model::{Assertion, Check};
use super::verdict::Outcome;
use std::collections::BTreeMap;

/// What an assertion is about.
pub(super) enum Subject<'a> {
    /// A process that was found.
    Process {
        /// It.
        seen: &'a Seen,
        /// The machine.
        machine: &'a Machine,
        /// The processes that other checks chose.
        chosen: &'a BTreeMap<&'a str, &'a Seen>,
        /// How many fitted.
        count: u64,
        /// Whether all that may fit could be read.
        whole: bool,
    },
    /// Something with a path.
    Thing {
        /// The check, which says where.
        check: &'a Check,
        /// The machine.
        machine: &'a Machine,
        /// The processes that other checks chose.
        chosen: &'a BTreeMap<&'a str, &'a Seen>,
    },
}

/// What was seen.
pub(super) struct Fact {
    /// How it stands.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Where it was read.
    pub at: String,
    /// What would help, where that is known.
    pub hint: Option<String>,
}

impl Fact {
    /// It is so, or not.
    pub fn is(so: bool, expected: impl Into<String>, found: impl Into<String>, at: impl Into<String>) -> Self {
        let outcome = if so { Outcome::Passed } else { Outcome::NotYet };
        Self { outcome, expected: expected.into(), found: found.into(), at: at.into(), hint: None }
    }

    /// It cannot be read.
    pub fn unknown(expected: impl Into<String>, why: impl Into<String>, at: impl Into<String>) -> Self {
        Self { outcome: Outcome::CannotTell, expected: expected.into(), found: why.into(), at: at.into(), hint: Some("sudo drydock check".into()) }
    }

    /// Of several facts: all must hold; the first that does not is shown.
    pub fn all(facts: Vec<Fact>) -> Self {
        let mut facts = facts;
        if facts.is_empty() {
            return Self::unknown("something", "nothing was asked", "the exercise's file");
        }
        let worst = facts.iter().enumerate().max_by_key(|(i, f)| (f.outcome, std::cmp::Reverse(*i))).map(|(i, _)| i);
        match worst {
            Some(index) if facts[index].outcome != Outcome::Passed => facts.swap_remove(index),
            _ => {
                let join = |part: fn(&Fact) -> &str| facts.iter().map(part).collect::<Vec<_>>().join(", ");
                Fact::is(true, join(|f| &f.expected), join(|f| &f.found), facts.first().map_or("", |f| &f.at))
            }
        }
    }
}

/// Reads what the assertion speaks of.
pub(super) fn look(that: &Assertion, subject: &Subject<'_>) -> Fact {
    match subject {
        Subject::Process { count, whole, .. } if matches!(that, Assertion::Count(_)) => how_many(that, *count, *whole),
        Subject::Process { seen, machine, chosen, .. } => of_process(that, seen, machine, chosen),
        Subject::Thing { check, machine, chosen } => of_thing(that, check, machine, chosen),
    }
}

fn how_many(that: &Assertion, count: u64, whole: bool) -> Fact {
    let Assertion::Count(wanted) = that else { return misplaced(that) };
    let outcome = wanted.judge(count, whole);
    let more = if whole { "" } else { ", and others that may not be read" };
    let hint = (outcome == Outcome::CannotTell).then(|| "sudo drydock check".to_owned());
    Fact { outcome, expected: format!("{wanted} such processes"), found: format!("{count}{more}"), at: "/proc".into(), hint }
}

fn of_process(that: &Assertion, seen: &Seen, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    match that {
        Assertion::Namespace(wanted) => namespace::kinship(wanted, seen, machine, chosen),
        Assertion::Hostname(name) => namespace::hostname(name, seen, machine),
        Assertion::InnerPid(n) => namespace::inner_pid(n.0, seen),
        Assertion::Processes(count) => namespace::processes(count, seen, machine),
        Assertion::Proc(_) => mount::own_proc(seen),
        Assertion::Root(root) => mount::root(root, seen, chosen),
        Assertion::Mount(wanted) => mount::mount(wanted, seen),
        Assertion::Limit(wanted) => cgroup::limits(wanted, &cgroup::of_process(seen), machine),
        Assertion::Members(count) => cgroup::members(count, &cgroup::of_process(seen), machine),
        Assertion::Events(wanted) => cgroup::events(wanted, &cgroup::of_process(seen), machine),
        Assertion::Capabilities(wanted) => capabilities::sets(wanted, seen),
        Assertion::NoNewPrivileges(wanted) => capabilities::no_new_privileges(*wanted, seen),
        Assertion::Seccomp(mode) => capabilities::seccomp(&mode.0, seen),
        Assertion::UidMap(lines) => identity::uid_map(lines, seen, machine),
        Assertion::Uid(n) => identity::id("Uid", n.0, seen),
        Assertion::Gid(n) => identity::id("Gid", n.0, seen),
        Assertion::Environment(wanted) => identity::environment(wanted, seen),
        Assertion::Nowhere(text) => identity::nowhere(&text.0, seen),
        Assertion::Links(links) => network::links(links, seen),
        Assertion::File(file) => file::in_view(file, seen, machine),
        Assertion::Listens(wanted) => listens::listens(wanted, seen),
        Assertion::Address(wanted) => way::address(wanted, seen),
        Assertion::DefaultRoute(wanted) => way::default_route(wanted, seen),
        Assertion::Connected(wanted) => way::connected(wanted, seen, chosen),
        Assertion::Same(wanted) => same::same(wanted, seen, chosen),
        Assertion::Heeds(wanted) => signals::heeds(wanted, seen),
        other => misplaced(other),
    }
}

fn of_thing(that: &Assertion, check: &Check, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let path = check.conditions.path.clone().unwrap_or_default();
    match (check.find, that) {
        (super::model::Find::Cgroup, Assertion::Exists(wanted)) => cgroup::exists(*wanted, &path, machine),
        (super::model::Find::Cgroup, Assertion::Limit(wanted)) => cgroup::limits(wanted, &cgroup::Group::Path(path), machine),
        (super::model::Find::Cgroup, Assertion::Members(count)) => cgroup::members(count, &cgroup::Group::Path(path), machine),
        (super::model::Find::Cgroup, Assertion::Events(wanted)) => cgroup::events(wanted, &cgroup::Group::Path(path), machine),
        (super::model::Find::File, Assertion::Exists(wanted)) => {
            let there = std::fs::symlink_metadata(&path).is_ok();
            let word = |b| if b { "there" } else { "not there" };
            Fact::is(there == *wanted, format!("{path} {}", word(*wanted)), word(there), path.clone())
        }
        (super::model::Find::File, Assertion::Is(text)) => file::on_host(&path, Some(&text.0), None, None),
        (super::model::Find::File, Assertion::Contains(text)) => file::on_host(&path, None, Some(&text.0), None),
        (super::model::Find::File, Assertion::Sha256(text)) => file::on_host(&path, None, None, Some(&text.0)),
        (super::model::Find::File, Assertion::Digest(digest)) => digest::on_host(&path, digest),
        (super::model::Find::File, Assertion::Mode(mode)) => permission::on_host(&path, |meta, at| permission::mode(*mode, meta, at)),
        (super::model::Find::File, Assertion::Owner(owner)) => permission::on_host(&path, |meta, at| permission::owner(owner, meta, machine, at)),
        (super::model::Find::Mount, that) => mounted::look(that, check, machine, chosen),
        (super::model::Find::Link, that) => link::look(that, check, machine, chosen),
        (super::model::Find::Event, that) => super::record::events(that, check, machine),
        (_, other) => misplaced(other),
    }
}

/// The lint refuses such a file; this is for one that was never linted.
fn misplaced(that: &Assertion) -> Fact {
    let expected = super::suits::word(&format!("{that:?}"));
    Fact { outcome: Outcome::CannotTell, expected, found: "this cannot be asked of what was found".into(), at: "the exercise's file".into(), hint: Some("drydock course lint".into()) }
}
