//! Links of a process's network namespace: /proc/PID/net/dev, and a visit for up or down.

use super::Fact;
use crate::check::machine::Seen;
use crate::check::model::Links;
use crate::kernel::{view, visit};

/// Its links.
pub(super) fn links(wanted: &Links, seen: &Seen) -> Fact {
    let at = format!("/proc/{}/net/dev", seen.pid());
    let there = seen.process().map(|p| view::links(&p)).unwrap_or_default();
    let mut facts = Vec::new();
    if let Some(only) = &wanted.only {
        let same = there.len() == only.len() && only.iter().all(|l| there.contains(l));
        facts.push(Fact::is(same, format!("only the links {}", only.join(", ")), there.join(", "), at.clone()));
    }
    for name in &wanted.has {
        facts.push(Fact::is(there.contains(name), format!("a link {name}"), there.join(", "), at.clone()));
    }
    if !wanted.up.is_empty() {
        let at = format!("the network namespace of process {} (SIOCGIFFLAGS)", seen.pid());
        let expected = format!("{} up", wanted.up.join(", "));
        facts.push(match visit::links_up(seen.pid(), &there) {
            Some(up) => {
                let so = wanted.up.iter().all(|l| up.contains(l));
                Fact::is(so, expected, if up.is_empty() { "all links are down".into() } else { format!("up: {}", up.join(", ")) }, at)
            }
            None => Fact::unknown(expected, "its network namespace may not be entered", at),
        });
    }
    Fact::all(facts)
}
