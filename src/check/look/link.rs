//! Network links by name, kind and master: rtnetlink, asked inside the network namespace they are in.

use super::viewer::viewer;
use super::{Fact, misplaced};
use crate::check::machine::{Machine, Seen};
use crate::check::model::{Assertion, Check, Conditions};
use crate::kernel::link::Link;
use crate::kernel::ns::Ns;
use crate::kernel::visit;
use std::collections::BTreeMap;

/// Reads what the assertion speaks of.
pub(super) fn look(that: &Assertion, check: &Check, machine: &Machine, chosen: &BTreeMap<&str, &Seen>) -> Fact {
    let c = &check.conditions;
    let words = in_words(c);
    let pid = match viewer(check, Ns::Net, &words, machine, chosen) {
        Ok(pid) => pid,
        Err(fact) => return fact,
    };
    let at = format!("the network namespace of process {pid} (RTM_GETLINK)");
    let Some(all) = visit::links(pid) else { return Fact::unknown(words, "it may not be entered (CAP_SYS_ADMIN is missing)", at) };
    let fitting: Vec<&Link> = all.iter().filter(|l| fits(c, l, &all)).collect();
    let list = |links: &[&Link]| links.iter().map(|l| shown(l, &all)).collect::<Vec<_>>().join("; ");
    let found = if fitting.is_empty() { format!("none; there are {}", list(&all.iter().collect::<Vec<_>>())) } else { list(&fitting) };
    match that {
        Assertion::Exists(true) => Fact::is(!fitting.is_empty(), words, found, at),
        Assertion::Exists(false) => Fact::is(fitting.is_empty(), format!("no, not {words}"), found, at),
        Assertion::Count(count) => Fact::is(count.fits(fitting.len() as u64), format!("{count} of: {words}"), found, at),
        Assertion::Up(up) => {
            let so = !fitting.is_empty() && fitting.iter().all(|l| l.up == *up);
            Fact::is(so, format!("{words}, {}", if *up { "up" } else { "down" }), found, at)
        }
        other => misplaced(other),
    }
}

fn fits(c: &Conditions, link: &Link, all: &[Link]) -> bool {
    c.name.as_ref().is_none_or(|n| *n == link.name)
        && c.kind.as_ref().is_none_or(|k| link.kind.as_ref() == Some(k))
        && c.master.as_ref().is_none_or(|m| master(link, all) == Some(m))
}

fn master<'a>(link: &Link, all: &'a [Link]) -> Option<&'a str> {
    all.iter().find(|l| Some(l.index) == link.master).map(|l| l.name.as_str())
}

fn shown(link: &Link, all: &[Link]) -> String {
    let kind = link.kind.as_ref().map(|k| format!(" ({k})")).unwrap_or_default();
    let master = master(link, all).map(|m| format!(" in {m}")).unwrap_or_default();
    format!("{}{kind}{master} {}", link.name, if link.up { "up" } else { "down" })
}

fn in_words(c: &Conditions) -> String {
    let mut words = vec!["a link".to_owned()];
    words.extend(c.name.clone());
    words.extend(c.kind.as_ref().map(|k| format!("of kind {k}")));
    words.extend(c.master.as_ref().map(|m| format!("in {m}")));
    words.push(c.seen_by.as_ref().map_or("on the host".to_owned(), |id| format!("as `{id}` sees it")));
    words.join(" ")
}
